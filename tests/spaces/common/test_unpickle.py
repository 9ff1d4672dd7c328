"""Pickles of plain data are read, anything that names code is refused before it runs."""

import io
import pickle
from collections import OrderedDict

import numpy as np
import pytest

from spaces.common.errors import InputError
from spaces.common.unpickling import unpickle


class Evil:
    def __reduce__(self):
        return (eval, ("print('this must not run')",))


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_plain_data_and_arrays_are_read(protocol):
    content = OrderedDict(a=np.arange(6, dtype=np.uint8).reshape(2, 3), b=[1, 2.5, None, "text"], c=np.float64(0.5))
    found = unpickle(io.BytesIO(pickle.dumps(content, protocol=protocol)), "it")
    assert np.array_equal(found["a"], content["a"])
    assert (found["b"], found["c"]) == (content["b"], content["c"])


@pytest.mark.parametrize("module", ["numpy.core.multiarray", "numpy._core.multiarray"])
def test_arrays_of_either_numpy_are_read(module):
    text = pickle.dumps(np.arange(3), protocol=2)
    for name in (b"numpy.core.multiarray", b"numpy._core.multiarray"):
        text = text.replace(b"c" + name + b"\n", b"c" + module.encode() + b"\n")
    assert unpickle(io.BytesIO(text), "it").tolist() == [0, 1, 2]


def test_a_python_2_string_array_is_read():
    # What Python 2 wrote: the array's bytes as a string of Latin-1.
    text = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I2\ntcnumpy\ndtype\n(S'u1'\nI0\nI1\n"
        b"tR(I3\nS'|'\nNNNI-1\nI-1\nI0\ntbI00\nS'\\xff\\x01'\ntb."
    )
    assert unpickle(io.BytesIO(text), "it").tolist() == [255, 1]


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_code_is_refused_and_not_run(protocol, capsys):
    with pytest.raises(InputError, match="eval"):
        unpickle(io.BytesIO(pickle.dumps([Evil()], protocol=protocol)), "it")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "text", [b"", b"no pickle", b"\x80\x04\x95", pickle.dumps(np.arange(9))[:-20], b"0.", b"\x80\x63."]
)
def test_damage_is_one_line(text):
    with pytest.raises(InputError, match="FILE cannot be read") as caught:
        unpickle(io.BytesIO(text), "FILE")
    assert "\n" not in str(caught.value)
