"""Pickles made to run code, to reach memory, or to take more memory or time than their bytes: each is one line."""

import bz2
import codecs
import gzip
import io
import pickle
import struct
import tracemalloc
from collections import OrderedDict
from fractions import Fraction

import numpy as np
import pytest

from spaces.common.errors import InputError
from spaces.common.unpickling import unpickle

multiarray = pytest.importorskip("numpy._core.multiarray" if hasattr(np, "_core") else "numpy.core.multiarray")
POINTER = b"A" * 8  # what the size of a pointer is taken for


class Call:
    """Pickled as the call of `function`, and a state for what it returns."""

    def __init__(self, function, arguments, *state):
        self.reduced = (function, arguments, *state)

    def __reduce__(self):
        return self.reduced


def scalar(dtype, data):
    return Call(multiarray.scalar, (dtype, data))


def array(shape, dtype, data, *, subtype=np.ndarray, start=(0,), version=1):
    return Call(multiarray._reconstruct, (subtype, start, b"b"), (version, shape, dtype, False, data))


def dtype(name, *state):
    return Call(np.dtype, (name, False, True), (3, *state))


def piece(value):
    """`value`'s instructions, to be put together with others; the memo starts anew in each."""
    return pickle.dumps(value, protocol=2)[2:-1]


def laughs(levels):
    value = [0]
    for _ in range(levels):
        value = [value] * 10
    return value


def nested(levels, kind):
    value = kind()
    for _ in range(levels):
        value = kind([value])
    return value


def same_hash(count):
    return {index * (2**61 - 1): None for index in range(count)}


def text(length):
    return b"X" + struct.pack("<I", length) + b"a" * length


def copies(count):
    """A MiB of text that is encoded `count` times."""
    first = b"c_codecs\nencode\nq\x0c" + text(2**20) + b"q\x0dX\x06\x00\x00\x00latin1q\x0e\x86R"
    return b"(" + first + b"h\x0ch\x0dh\x0e\x86R" * (count - 1) + b"t."


def arrays(count):
    """A MiB of text that is the data of `count` arrays."""
    new = b"cnumpy.core.multiarray\n_reconstruct\nq\x0c(cnumpy\nndarray\nK\x00\x85U\x01btq\x0dR"
    state = b"(K\x01J\x00\x00\x10\x00\x85" + piece(np.dtype("u1")) + b"\x89" + text(2**20) + b"tq\x0eb"
    return b"(" + new + state + b"h\x0ch\x0dRh\x0eb" * (count - 1) + b"t."


OBJECT = np.dtype("O")
FIELD = np.dtype([("a", "O")])
FLOAT = np.dtype("f8")
STATE = pickle.BUILD

MEMORY = {
    "object scalar": scalar(OBJECT, POINTER),
    "object scalar from text": scalar(OBJECT, "A" * 8),
    "object array": np.array([1, "a"], dtype=object),
    "object array from bytes": array((1,), OBJECT, POINTER),
    "object array from a list": array((1,), OBJECT, [1]),
    "field of objects": array((1,), FIELD, POINTER),
    "field of objects in a scalar": scalar(FIELD, POINTER),
    "field in a field": array((1,), np.dtype([("a", [("b", "O")])]), POINTER),
    "field of numbers": np.zeros(2, dtype=[("a", "f4"), ("b", "i4")]),
    "sub-array of objects": array((1,), np.dtype((OBJECT, (1,))), POINTER),
    "sub-array of numbers in a field": np.zeros(2, dtype=[("a", "f4", (2,))]),
    "fields in a dtype's state": array((1,), dtype("f8", "<", None, ("a",), {"a": (OBJECT, 0)}, 8, 1, 63), POINTER),
    "sub-array in a dtype's state": array((1,), dtype("f8", "<", (OBJECT, (1,)), None, None, 8, 1, 63), POINTER),
    "object dtype without its flags": scalar(dtype("O8", "|", None, None, None, -1, -1, 0), POINTER),
    "object dtype without its flags in an array": array((1,), dtype("O8", "|", None, None, None, -1, -1, 0), POINTER),
    "field of objects without its flags": scalar(dtype("V8", "|", None, ("a",), {"a": (OBJECT, 0)}, 8, 1, 0), POINTER),
    "sub-array of objects without its flags": scalar(dtype("V8", "|", (OBJECT, (1,)), None, None, 8, 1, 0), POINTER),
    "object dtype by a state's order": scalar(dtype("f8", "O", None, None, None, -1, -1, 0), POINTER),
    "larger dtype by its state": array((1,), dtype("u1", "|", None, None, None, 1 << 30, 1, 0), b"1"),
    "text of another size by its state": array((1,), dtype("U1", "<", None, None, None, 400, 4, 8), b"1234"),
    "dtype of void": array((1,), np.dtype("V8"), POINTER),
    "dtype of times": np.array(["2020-01-01"], dtype="M8[s]"),
    "dtype of no size": array((2**40,), np.dtype("S0"), b""),
    "dtype by a number": Call(np.dtype, (17, False, True), (3, "|", None, None, None, -1, -1, 63)),
    "dtype by a type": Call(np.dtype, (dict, False, True)),
    "dtype by fields": Call(np.dtype, ([("a", "O")], False, True)),
    "dtype's state set twice": piece(FLOAT)
    + piece((3, "|", None, ("a",), {"a": (OBJECT, 0)}, 8, 1, 63))
    + STATE
    + b".",
    "array's state set twice": piece(np.zeros(1)) + piece((1, (1,), OBJECT, False, POINTER)) + STATE + b".",
    "array in place of a dtype": scalar(np.zeros(1), POINTER),
    "text in place of a dtype": scalar("f8", POINTER),
    "dtype without a state": scalar(Call(np.dtype, ("f8", False, True)), POINTER),
    "array without a state": [Call(multiarray._reconstruct, (np.ndarray, (0,), b"b"))],
    "array without a state, which another reference to it gets": (
        b"]"
        + piece(Call(multiarray._reconstruct, (np.ndarray, (0,), b"b")))
        + b"q\x63ah\x63"
        + piece((1, (1,), FLOAT, False, POINTER))
        + b"ba."
    ),
    "array before its shape": array((0,), FLOAT, b"", start=(2**40,)),
    "array of a subtype": array((1,), FLOAT, POINTER, subtype=np.matrix),
    "array of records": array((1,), FLOAT, POINTER, subtype=np.recarray),
    "array of a list": array((1,), FLOAT, POINTER, subtype=list),
    "array of a dtype": array((1,), FLOAT, POINTER, subtype=np.dtype),
    "array with an old state": array((1,), FLOAT, POINTER, version=0),
    "array called": Call(np.ndarray, ((2**40,),)),
    "array over a buffer": pickle.dumps(np.zeros(3), protocol=5),
    "frombuffer": Call(np.frombuffer, (POINTER, "f8")),
    "too few bytes": array((2,), FLOAT, POINTER),
    "too many bytes": array((1,), FLOAT, 2 * POINTER),
    "a size that wraps around": array((2**32, 2**29), FLOAT, b""),
    "a negative length": array((-1, -1), FLOAT, POINTER),
    "a length that is no integer": array((1.0,), FLOAT, POINTER),
    "a length that is a truth value": array((True,), FLOAT, POINTER),
    "lengths of an empty array": array((0, 2**62, 2**62), FLOAT, b""),
    "dimensions": array((1,) * 65, FLOAT, POINTER),
    "a list as a shape": array([1], FLOAT, POINTER),
    "data that are an array": array((1,), FLOAT, np.zeros(1)),
    "data beyond Latin-1": array((1,), np.dtype("u1"), "\u1234"),
    "a scalar of another size": scalar(FLOAT, b"1234"),
    "a scalar of no bytes": scalar(FLOAT, b""),
    "a scalar without data": Call(multiarray.scalar, (FLOAT,)),
    "a truth value of 2": array((1,), np.dtype("b1"), b"\x02"),
    "text beyond Unicode": array((1,), np.dtype("U1"), b"\xff\xff\xff\xff"),
    "half a surrogate pair": array((1,), np.dtype("U1"), b"\x00\xd8\x00\x00"),
    "a dtype as data": [FLOAT],
    "a name as data": [np.ndarray],
}

CODE = {
    "a function": Call(print, ("this must not run",)),
    "a codec": Call(codecs.encode, ("this must not run", "rot13")),
    "a codec that unpacks": Call(codecs.encode, (b"this must not run", "zip")),
    "a class": Fraction(1, 2),
    "an attribute of a name": b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tolist\x93.",
    "a name with escapes": b"cos\x1b[2J\nsystem\n.",
    "a name of a million letters": b"c" + b"o" * 10**6 + b"\nsystem\n.",
    "a name that is no text": b"\x80\x04]]\x93.",
    "a dictionary called": b"}(tR.",
    "arguments that are a list": b"cnumpy\ndtype\n]R.",
    "an instance": b"(inumpy\nndarray\n.",
    "an object": b"(cnumpy\nndarray\no.",
    "a new object": b"\x80\x02cnumpy\nndarray\n)\x81.",
    "a new object with names": b"\x80\x04cnumpy\nndarray\n)}\x92.",
    "a persistent object": b"Pname\n.",
    "an extension": b"\x80\x02\x82\x01.",
    "a buffer of others": b"\x80\x05\x97.",
    "a state for a dictionary": b"}}b.",
    "a state for a name": b"cnumpy\nndarray\n}b.",
    "an array that is filled": piece(np.zeros(1)) + b"K\x01a.",
    "a tuple that is filled": b")(K\x01e.",
    "an ordered dictionary from others": Call(OrderedDict, ([("a", 1)],)),
}

COSTS = {
    "a claimed length": b"\x8e" + struct.pack("<Q", 2**62) + b"few.",
    "a claimed length of text": b"\x8d" + struct.pack("<Q", 2**63) + b"few.",
    "a claimed length of a byte array": b"\x96" + struct.pack("<Q", 2**40) + b"few.",
    "a claimed negative length": b"T" + struct.pack("<i", -1) + b"few.",
    "an index of the memo": b"Nr\xff\xff\xff\x7f.",
    "an index of the memo in digits": b"Np9999999999\n.",
    "a negative index of the memo": b"Np-1\n.",
    "an unknown index of the memo": b"Nq\x03h\x02.",
    "lists in each other": pickle.dumps(nested(40, list)),
    "a million lists in each other": b"]" * 10**6 + b"a" * (10**6 - 1) + b".",
    "a million tuples in each other": b")" + b"\x85" * 10**6 + b".",
    "a key that overflows the stack": b"})" + b"\x85" * 8_000 + b"Ns.",
    "an element that overflows the stack": b"\x8f()" + b"\x85" * 8_000 + b"\x90.",
    "a million marks": b"(" * 10**6 + b".",
    "a list in itself": b"]q\x00h\x00a.",
    "a dictionary in itself": b"}q\x00U\x01ah\x00s.",
    "lists that repeat lists": pickle.dumps(laughs(30)),
    "a million sets": b"(" + b"\x8f" * 10**6 + b"t.",
    "a million dictionaries": b"(" + b"}" * 10**6 + b"t.",
    "copies of text": copies(1000),
    "copies of text in arrays": arrays(1000),
    "keys with one hash": pickle.dumps(same_hash(5)),
    "keys that are floats": pickle.dumps({0.5: 1}),
    "keys that are long tuples": pickle.dumps({("a", 1, 2): 1}),
    "keys that are pairs of integers": pickle.dumps({(1, 2): 1}),
    "keys that are lists": b"}]Ns.",
    "an element that is a list": b"\x8f(]\x90.",
    "a key without a value": b"}(Nu.",
    "an integer of a million digits": b"I" + b"9" * 10**6 + b"\n.",
    "a long of a million digits": b"L" + b"9" * 10**6 + b"L\n.",
    "a long of a million bytes": b"\x8b" + struct.pack("<i", 10**6) + b"\x7f" * 10**6 + b".",
    "a long of 65 bits": b"\x8a\x09" + b"\xff" * 8 + b"\x01.",
    "half a surrogate pair in text": b"V\\ud800\n.",
    "half a surrogate pair in UTF-8": b"\x8c\x03\xed\xa0\x80.",
    "no end of a line": b"V" + b"a" * 10**6,
    "two objects": b"NN.",
    "an open mark": b"(N.",
    "no object": b".",
    "an empty stack": b"a.",
    "too small a tuple": b"N\x86.",
    "a string without quotes": b"Sabc\n.",
    "a float that is none": b"Fabc\n.",
}


def refusal(stream, **limit):
    """The one short line, of ASCII that can be printed, that reading `stream` fails with."""
    with pytest.raises(InputError) as caught:
        unpickle(stream, "FILE", **limit)
    line = str(caught.value)
    assert line.startswith("FILE cannot be read as pickled data: ")
    assert line.isprintable()
    assert line.isascii()
    assert len(line) < 300
    return line


@pytest.mark.parametrize(
    "attack", [pytest.param(value, id=name) for name, value in {**MEMORY, **CODE, **COSTS}.items()]
)
def test_a_hostile_pickle_is_refused_in_one_line(attack, capsys):
    programs = [attack] if isinstance(attack, bytes) else [pickle.dumps(attack, protocol) for protocol in (0, 2, 4)]
    for program in programs:
        refusal(io.BytesIO(program))
    assert "must not run" not in capsys.readouterr().out


@pytest.mark.parametrize("deep", [lambda attack: {"a": [(attack,)]}, lambda attack: OrderedDict(a=attack)])
def test_an_object_array_is_refused_wherever_it_stands(deep):
    assert "dtype 'O8'" in refusal(io.BytesIO(pickle.dumps(deep(MEMORY["object array"]), protocol=2)))
    assert "dtype 'O8'" in refusal(io.BytesIO(pickle.dumps(deep(MEMORY["object scalar"]), protocol=2)))


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(b"(" + b"]" * 50_000 + b"t.", id="lists"),
        pytest.param(b"(" + b"]K\x00a" * 50_000 + b"t.", id="lists of one"),
        pytest.param(b"(" + b"}K\x00Ns" * 10_000 + b"t.", id="dictionaries of one"),
        pytest.param(b"(" + b"\x8f" * 50_000 + b"t.", id="sets"),
        pytest.param(b"(" + b"N\x85" * 25_000 + b"t.", id="tuples"),
        pytest.param(b"N" + b"\x94" * 50_000 + b".", id="memo"),
        pytest.param(b"(" + b"\x8c\x02ab\x94" * 10_000 + b"l.", id="short text"),
        pytest.param(b"(" + b"\x8c\x03\xc3\xa91" * 10_000 + b"l.", id="short text beyond ASCII"),
        pytest.param(b"(" + b"\x8a\x01\x80" * 50_000 + b"l.", id="longs"),
        pytest.param(b"(" + b"F1\n" * 50_000 + b"l.", id="floats"),
        pytest.param(b"(ccollections\nOrderedDict\nq\x00" + b"h\x00)R" * 10_000 + b"t.", id="ordered dictionaries"),
        pytest.param(b"(" + (b"]" + b"N" * 8) * 10_000 + b"t.", id="as many lists as are allowed"),
        pytest.param(b"(" + (b"N\x85" + b"N" * 6) * 10_000 + b"t.", id="as many tuples as are allowed"),
        pytest.param(
            b"(" + (b"}K\x00Ns" + b"\x8c\x02ab" * 7) * 3_500 + b"t.", id="as many dictionaries as are allowed"
        ),
        pytest.param(copies(10), id="copies of text"),
        pytest.param(arrays(10), id="copies of text in arrays"),
        pytest.param(
            b"}(" + b"".join(b"M" + struct.pack("<H", key) + b"N" for key in range(65_536)) + b"u.", id="keys"
        ),
    ],
)
def test_memory_stays_below_a_multiple_of_the_bytes(program):
    try:
        found = None
        tracemalloc.start()
        found = unpickle(io.BytesIO(program), "FILE")
    except InputError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    del found
    assert peak < 64 * len(program) + 2 * 2**20


def test_what_unpacks_to_more_than_the_limit_is_not_unpacked():
    bomb = bz2.compress(b"X" + struct.pack("<I", 2**26) + bytes(2**26) + b".")
    tracemalloc.start()
    with bz2.open(io.BytesIO(bomb)) as stream:
        line = refusal(stream, limit=2**20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "1,048,576 bytes" in line
    assert peak < 2**24
    assert "1,048,576 bytes" in refusal(io.BytesIO(b"V" + b"a" * 2**21 + b"\n."), limit=2**20)


@pytest.mark.parametrize("pack", [bz2, gzip])
def test_compressed_pickles_are_read_and_damaged_ones_refused(pack):
    packed = pack.compress(pickle.dumps({"a": np.arange(5000)}, protocol=2))
    assert unpickle(pack.open(io.BytesIO(packed)), "FILE")["a"].tolist() == list(range(5000))
    for damaged in (packed[:-9], packed[: len(packed) // 2], b"no archive", packed[:10] + b"\xff" * 9 + packed[19:]):
        refusal(pack.open(io.BytesIO(damaged)))
