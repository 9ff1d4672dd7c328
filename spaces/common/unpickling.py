"""Read the field's pickled files without letting them run code.

CIFAR, ImageNet16-120 and NATS-Bench are distributed as pickles, and an ordinary unpickler calls whatever function a
file names. The one here resolves only the handful of names those files need to rebuild numbers and NumPy arrays;
a file that names anything else is refused before that name is imported.
"""

import codecs
import collections
import pickle
from importlib import import_module
from typing import IO, Any

import numpy as np

from spaces.common.errors import InputError

_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): codecs.encode,
    ("collections", "OrderedDict"): collections.OrderedDict,
}
# NumPy 2 moved its core, and the files, older or younger, name either place.
_CORES = ("numpy._core.multiarray", "numpy.core.multiarray")
_multiarray = import_module(_CORES[0] if hasattr(np, "_core") else _CORES[1])
for _name in ("_reconstruct", "scalar"):
    _ALLOWED |= {(core, _name): getattr(_multiarray, _name) for core in _CORES}


class _Restricted(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which a file of data does not need") from None


def unpickle(stream: IO[bytes], what: str) -> Any:
    """The object pickled in `stream`: dictionaries, lists, numbers, text and NumPy arrays only.

    Python 2's byte strings are read as Latin-1, as NumPy's arrays of that time require. `what` names the stream in
    the `InputError` raised where it is damaged or names anything but the classes of plain data.
    """
    try:
        return _Restricted(stream, encoding="latin1").load()
    except Exception as error:
        # A damaged pickle fails with nearly any exception: its opcodes run into each other's operands.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{what} cannot be read as pickled data: {reason}; get the file again") from error
