"""Whatever bytes are read as a pickle: they give plain data or an `InputError`, never a crash or another exception."""

import io
import pickle
import pickletools
import struct
from collections import OrderedDict
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaces.common.errors import InputError
from spaces.common.unpickling import unpickle

# A state of the NATS-Bench archive in small, and CIFAR as Python 2 wrote it.
RUN = {"params": np.float64(0.5), "train_times": OrderedDict({0: 1.5, 1: 2.5}), "epochs": 2, "latency": [np.float32(1)]}
STATE = {"arch_str": "|none~0|", "all_results": {("cifar10", 777): RUN}, "dataset_seed": {"cifar10": [777]}}
IMAGES = {"data": np.arange(6, dtype=np.uint8).reshape(2, 3), "labels": [0, 1], "text": np.array(["a", "bc"])}
PYTHON_2 = (
    b"\x80\x02}q\x01(U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85U\x01b\x87R"
    b"q\x05(K\x01K\x02K\x03\x86cnumpy\ndtype\nq\x06U\x02u1K\x00K\x01\x87Rq\x07(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff"
    b"\xffK\x00tb\x89U\x06\x00\x01\x02\xfd\xfe\xfftbU\x06labelsq\x08]q\x09(K\x00K\x01eu."
)
VALID = [
    PYTHON_2,
    pickle.dumps({"evaluated_indexes": {1, 2}}, protocol=4),
    *(pickle.dumps(data, protocol) for data in (STATE, IMAGES) for protocol in (0, 1, 2, 3, 4)),
]
CODES = [opcode.code.encode("latin-1") for opcode in pickletools.opcodes]
NAMES = [
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("_codecs", "encode"),
    ("collections", "OrderedDict"),
    ("builtins", "eval"),
    ("numpy", "frombuffer"),
]
# Values that instructions meet: parts of arrays, good and bad.
PARTS = [
    *(
        None,
        True,
        0,
        1,
        3,
        -1,
        2**40,
        0.5,
        "latin1",
        "b",
        "O",
        "O8",
        "f8",
        "u1",
        "U2",
        "S1",
        "V8",
        "<",
        "|",
        b"12345678",
    ),
    *(
        (),
        (0,),
        (1,),
        (2**40,),
        (np.ndarray, (0,), b"b"),
        ("f8", False, True),
        ("O8", False, True),
        ("latin1", "latin1"),
    ),
    *((3, "<", None, None, None, -1, -1, 0), (3, "|", None, ("a",), {"a": (np.dtype("u1"), 0)}, 8, 1, 16)),
    *((1, (1,), np.dtype("f8"), False, b"12345678"), (1, (1,), np.dtype("O"), False, b"12345678")),
    *(
        np.dtype("f8"),
        np.dtype("O"),
        np.dtype([("a", "O")]),
        np.dtype(("u1", (2,))),
        np.zeros(2),
        np.float32(1),
        [],
        {},
    ),
]

parts = st.sampled_from([pickle.dumps(part, 3)[2:-1] for part in PARTS])
names = st.sampled_from([f"c{module}\n{name}\n".encode() for module, name in NAMES])
short = st.binary(max_size=9)
lines = st.sampled_from([b"0\n", b"1\n", b"-1\n", b"'a'\n", b"99999999999\n", b"numpy\nndarray\n"])
instructions = st.one_of(
    parts,
    names,
    st.sampled_from(CODES),
    st.sampled_from(
        [b"(", b"t", b"R", b"b", b"\x85", b"\x86", b"\x87", b"a", b"e", b"s", b"u", b"h\x00", b"q\x00", b"\x94"]
    ),
    st.builds(bytes.__add__, st.sampled_from(CODES), short | lines),
    st.builds(lambda data: b"U" + bytes([len(data)]) + data, short),
    st.builds(lambda index: b"h" + bytes([index]), st.integers(0, 9)),
    st.builds(lambda length, data: b"\x8e" + struct.pack("<Q", length) + data, st.integers(0, 2**64 - 1), short),
)
programs = st.builds(lambda listed: b"".join(listed) + b".", st.lists(instructions, min_size=1, max_size=30))


def piece(value):
    return pickle.dumps(value, 3)[2:-1]


NEW_ARRAY = b"cnumpy.core.multiarray\n_reconstruct\n" + piece((np.ndarray, (0,), b"b")) + b"R"
values = st.sampled_from(PARTS)
states = (values | st.lists(values, max_size=5).map(tuple)).map(piece)
dtypes = st.sampled_from([np.dtype(kind) for kind in ("f8", ">i2", "u1", "b1", "U1", "S3", "O", "V8", [("a", "O")])])
lengths = st.lists(st.integers(-1, 4), max_size=3).map(tuple)
data = st.binary(max_size=16) | st.text(max_size=16) | values
calls = st.one_of(
    st.builds(lambda name, arguments: name + arguments + b"R", names, states),
    st.builds(lambda name, arguments, state: name + arguments + b"R" + state + b"b", names, states, states),
    st.builds(lambda *parts: b"cnumpy.core.multiarray\nscalar\n" + piece(parts) + b"R", dtypes, data),
    st.builds(lambda *state: NEW_ARRAY + piece(state) + b"b", st.just(1), lengths, dtypes, st.booleans(), data),
)
called = st.lists(calls, min_size=1, max_size=3).map(lambda listed: b"(" + b"".join(listed) + b"l.")


@st.composite
def mutated(draw):
    """A valid pickle with a few bytes changed, left out, repeated, or put in."""
    program = bytearray(draw(st.sampled_from(VALID)))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(program)))
        end = min(len(program), start + draw(st.sampled_from([0, 1, 1, 2, 8])))
        program[start:end] = draw(st.one_of(st.binary(min_size=1, max_size=4), instructions, st.just(b"")))
    return bytes(program)


def plain(value):
    if isinstance(value, dict):
        return type(value) in (dict, OrderedDict) and all(plain(part) for pair in value.items() for part in pair)
    if isinstance(value, list | tuple | set):
        return type(value) in (list, tuple, set) and all(plain(part) for part in value)
    if isinstance(value, np.ndarray | np.generic):
        return type(value) is not np.void and value.dtype.kind in "biufSU" and value.nbytes >= 0
    return value is None or type(value) in (bool, int, float, str, bytes)


def check(program):
    try:
        found, refusal = unpickle(io.BytesIO(program), "FILE", limit=2**20), ""
    except InputError as error:
        found, refusal = None, str(error)
    assert plain(found)
    repr(found)  # walks through every value of every array
    assert refusal.isprintable()
    assert len(refusal) < 300


HOSTILE = {"damaged pickles": mutated(), "instructions": programs, "calls": called, "bytes": st.binary(max_size=64)}
ROUNDS = [80, pytest.param(2000, marks=pytest.mark.slow)]


@pytest.mark.parametrize("rounds", ROUNDS)
@pytest.mark.parametrize("kind", HOSTILE)
def test_random_programs_are_plain_data_or_refused(kind, rounds):
    @settings(max_examples=rounds, deadline=None)
    @given(HOSTILE[kind])
    def run(program):
        check(program + b"." if kind == "bytes" else program)

    run()


keys = st.text() | st.integers(-(2**31) + 1, 2**31 - 1) | st.tuples(st.text(), st.integers(0, 999))
atoms = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(min_size=1)
)
trees = st.recursive(
    atoms,
    lambda inner: st.lists(inner) | st.dictionaries(keys, inner) | st.tuples(inner, inner) | st.tuples(inner),
    max_leaves=20,
)


@pytest.mark.parametrize("rounds", ROUNDS)
def test_plain_data_are_read_as_they_were_written(rounds):
    @settings(max_examples=rounds, deadline=None)
    @given(trees, st.sampled_from([0, 1, 2, 3, 4, 5]))
    def run(value, protocol):
        found = unpickle(io.BytesIO(pickle.dumps(value, protocol)), "FILE")
        assert found == value
        assert repr(found) == repr(value)  # the types too

    run()


@pytest.mark.parametrize(
    "kind", ["b1", "i1", "i2", "<i4", ">i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", ">f8", "S3", "U2", ">U2"]
)
def test_arrays_and_scalars_are_read_as_they_were_written(kind):
    for order, protocol in product("CF", range(5)):
        values = np.asarray(np.array([[0, 1, 0], [1, 1, 0]]).astype(kind), order=order)
        array, scalar = unpickle(io.BytesIO(pickle.dumps([values, values[0, 1]], protocol)), "FILE")
        assert array.dtype == values.dtype
        assert array.tolist() == values.tolist()
        assert (type(scalar), scalar) == (type(values[0, 1]), values[0, 1])


@pytest.mark.parametrize("program", VALID)
def test_the_pickles_that_are_damaged_above_are_read(program):
    assert plain(unpickle(io.BytesIO(program), "FILE"))
