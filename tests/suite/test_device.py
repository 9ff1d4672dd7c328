"""Everything that a search computes would run on a GPU: shown without one, on tensors that only say they are there.

An `Away` holds a CPU tensor and calls its device `cuda:0`. Whatever mixes it with tensors of the host fails as it would
fail there; whatever makes the host wait for the device is counted. Values are those of the CPU.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import return_and_correct_aliasing
from torch.utils._pytree import tree_flatten, tree_map_only

CUDA = torch.device("cuda", 0)
WAITS: Counter[str] = Counter()
HostGenerator = torch.Generator


class Away(torch.Tensor):
    """A tensor that says it is on the GPU. For torch's own C++ it is a `meta` tensor, so autograd asks for no GPU."""

    host: Tensor

    @staticmethod
    def __new__(cls, host: Tensor) -> "Away":
        shape = torch.empty_strided(host.size(), host.stride(), dtype=host.dtype, device="meta")
        return torch.Tensor._make_subclass(cls, shape)

    def __init__(self, host: Tensor) -> None:
        self.host = host

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return CUDA

    @property
    def is_cuda(self) -> bool:  # type: ignore[override]
        return True

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        meta = torch.device("meta")
        kwargs = {key: value for key, value in (kwargs or {}).items() if key != "device" or value != meta}
        # Where nothing comes back to a tensor, autograd makes zeros of its own.
        args, kwargs = tree_map_only(Tensor, lambda x: Away(zeros(x)) if type(x) is Tensor and x.is_meta else x, (args, kwargs))
        name = func.overloadpacket.__name__
        own = [x for x in tree_flatten((args, kwargs))[0] if isinstance(x, Tensor)]
        others = [x for x in own if not isinstance(x, Away) and x.dim() > 0]
        if name in ("_local_scalar_dense", "nonzero", "equal", "masked_select", "is_nonzero"):
            WAITS[name] += 1
        if name == "index" and any(getattr(x, "dtype", None) is torch.bool for x in tree_flatten(args[1])[0]):
            WAITS["index by a mask"] += 1
        if others and name in ("copy_", "index", "index_put", "index_put_"):
            WAITS[f"{name} from the host"] += 1
        elif others:
            raise RuntimeError(f"{name}: expected all tensors to be on the same device")
        out = func(*unwrapped(args), **unwrapped(kwargs))
        if name == "_to_copy" and kwargs.get("device") == torch.device("cpu"):
            WAITS["to the host"] += 1
            return out
        return return_and_correct_aliasing(func, args, kwargs, tree_map_only(Tensor, Away, out))


def zeros(like: Tensor) -> Tensor:
    return torch.zeros(like.shape, dtype=like.dtype, device="cpu")


def unwrapped(values: Any) -> Any:
    return tree_map_only(Away, lambda x: x.host, values)


class Generator(HostGenerator):
    """A generator that remembers the device it was asked for."""

    def __new__(cls, device: Any = "cpu") -> "Generator":
        return super().__new__(cls)

    def __init__(self, device: Any = "cpu") -> None:
        self.where = torch.device(device).type


class Pretending(TorchFunctionMode):
    """Makes `Away` of what is asked for, or moved, to the GPU."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        there = [x for x in (*args, kwargs.get("device")) if _on_gpu(x)]
        random = kwargs.get("generator")
        if random is not None and name.startswith("rand"):
            assert random.where == ("cuda" if there else "cpu"), f"{name}: a generator of another device"
        if name in ("tolist", "numpy", "item", "__bool__", "__int__", "__float__") and isinstance(args[0], Away):
            WAITS[name] += 1
            return getattr(args[0].host, name)()
        if not there or name == "_parse_to" or isinstance(func, type):
            return func(*args, **kwargs)
        if isinstance(args[0] if args else None, Away) and name == "to":
            rest = [x for x in args[1:] if not _on_gpu(x)]
            kwargs.pop("device", None)
            return func(args[0], *rest, **kwargs) if rest or kwargs else args[0]
        host = [torch.device("cpu") if _on_gpu(x) else x for x in args]
        if "device" in kwargs:
            kwargs["device"] = torch.device("cpu")
        if name in ("to", "tensor", "as_tensor") and not kwargs.pop("non_blocking", False):
            WAITS["from the host"] += 1
        return tree_map_only(Tensor, lambda x: Away(x.detach()).requires_grad_(x.requires_grad), func(*host, **kwargs))


def _on_gpu(x: Any) -> bool:
    return (isinstance(x, torch.device) and x.type == "cuda") or (isinstance(x, str) and x.startswith("cuda"))


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """A GPU that is not there; counts what the host waits for."""
    monkeypatch.setattr(torch, "Generator", Generator)
    # A module's parameters that move are new ones: an `Away` cannot be put into one that there is.
    monkeypatch.setattr(torch.__future__, "_overwrite_module_params_on_conversion", True)
    WAITS.clear()
    with Pretending():
        yield WAITS
