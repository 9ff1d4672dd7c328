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

from methods import Search, get_method
from methods.search.settings import resolve
from spaces import get_space
from spaces.cells.mixed_cell import MixedCell
from spaces.common import streams
from spaces.engine import fast_engine, kernel_choice, torch_kernels, trust
from spaces.engine.self_test import whole_nets
from spaces.engine.self_test.checks import checks
from spaces.engine.self_test.examples import examples_of
from spaces.engine.ways import PLAIN, REFERENCE, Way
from suite.data.sets import Augment, Loader

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
        args, kwargs = tree_map_only(
            Tensor, lambda x: Away(zeros(x)) if type(x) is Tensor and x.is_meta else x, (args, kwargs)
        )
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
        if name == "to" and isinstance(args[1] if len(args) > 1 else None, Away):  # to where another tensor is
            args = (args[0], CUDA, args[1].dtype)
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
def pretended(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """Makes a block in which there is a GPU."""
    monkeypatch.setattr(torch, "Generator", Generator)
    # A module's parameters that move are new ones: an `Away` cannot be put into one that there is.
    monkeypatch.setattr(torch.__future__, "_overwrite_module_params_on_conversion", True)
    WAITS.clear()
    return Pretending


@pytest.fixture(autouse=True)
def portable_kernels(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Plain torch on both devices, so that both compute the same; and no self-test, which waits for a device."""
    monkeypatch.setattr(fast_engine, "way_for", lambda *where: Way("fast", torch_kernels))
    monkeypatch.setattr(trust, "TRUSTED", frozenset({"cpu", "cuda"}))
    yield
    kernel_choice.forget()


OTHERS = [pytest.param(space, marks=pytest.mark.slow) for space in ("darts", "s1", "s2", "s3", "s4")]


@pytest.mark.parametrize("engine", ["reference", "fast"])
@pytest.mark.parametrize("space", ["nats-tss", *OTHERS])
def test_a_pass_mixes_no_devices_and_waits_for_none(pretended: Callable[[], Any], space: str, engine: str) -> None:
    """Forward, and back to alpha and all weights; the second time, when all is where it belongs."""
    searched = get_space(space)
    images = torch.randn(2, 3, 8, 8, generator=streams.generator(0, "images"), dtype=torch.float64)
    labels = torch.arange(2)

    def gradients(device: str) -> list[Tensor]:
        torch.manual_seed(0)
        net = searched.supernet(4, 1 if space == "nats-tss" else 3, classes=3, affine=True, engine=engine)  # type: ignore[arg-type]
        net.double().to(device)
        net.skip_dropout = 0.2
        x, y = images.to(device), labels.to(device)
        alpha = {kind: a.double().to(device).requires_grad_() for kind, a in searched.alpha(seed=0).items()}
        for _ in range(2):
            WAITS.clear()
            net.random.reseed(0, "pass")
            loss = F.cross_entropy(net(x, {kind: a.softmax(-1) for kind, a in alpha.items()}), y)
            found = torch.autograd.grad(loss, [*alpha.values(), *net.parameters()], allow_unused=True)
        return [loss.detach(), *(g for g in found if g is not None)]

    expected = gradients("cpu")
    with pretended():
        found = gradients("cuda")
        assert not WAITS
        assert {g.device for g in found} == {CUDA}
    # On a CPU a norm sums in another layout (`BatchNorm`), so in the last digits the two may differ.
    for there, here in zip(found, expected, strict=True):
        torch.testing.assert_close(there.host, here, rtol=1e-9, atol=1e-11)  # type: ignore[attr-defined]


@pytest.mark.parametrize("way", [Way("fast", PLAIN), REFERENCE], ids=str)
@pytest.mark.parametrize("space", ["nats-tss", pytest.param("s4", marks=pytest.mark.slow)])
def test_the_self_test_mixes_no_devices(
    pretended: Callable[[], Any], monkeypatch: pytest.MonkeyPatch, space: str, way: Way
) -> None:
    """And finds what the CPU computes right; the truth is computed before there is a GPU."""
    for example in examples_of(space):
        for training in (True, False):
            example.exact(training)
    monkeypatch.setattr(whole_nets, "examples", lambda: examples_of(space))
    with pretended():
        assert not [finding.words for finding in checks(way, CUDA, "fp32") if not finding.right]


def search(method: str, space: str, device: str, engine: str = "fast", graphs: bool | None = False) -> Search:
    """Two epochs of three steps through the smallest supernet."""
    recipe = get_method(method)
    sizes = {"channels": 4, "cells": 1 if space == "nats-tss" else 3, "batch_size": 4, "epochs": 2}
    settings, _ = resolve(recipe.options, {**recipe.layers(get_space(space)), "test": sizes})
    images = torch.randint(0, 256, (12, 3, 8, 8), generator=streams.generator(0, "images"), dtype=torch.uint8)
    splits = [
        Loader(
            images,
            torch.arange(12) % 3,
            batch_size=4,
            seed=0,
            purpose=split,
            mean=(0.5,) * 3,
            std=(0.25,) * 3,
            augment=Augment(crop=2, flip=True, cutout=4),
            device=device,
        )
        for split in ("weights", "alpha")
    ]
    searched = get_space(space, without=recipe.removes(space))
    sizes = {"classes": 3, "in_channels": 3, "seed": 0}
    how = {"settings": settings, "device": device, "engine": engine, "graphs": graphs}
    return Search(searched, recipe, *splits, **sizes, **how)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("method", "space"),
    [
        ("darts-1st", "nats-tss"),
        ("pr-darts", "nats-tss"),
        *(
            pytest.param(*each, marks=pytest.mark.slow)
            for each in [
                ("lambda-sdarts-rs", "nats-tss"),
                ("darts-2nd-exact", "nats-tss"),
                ("amended-darts", "nats-tss"),
                ("rarts", "nats-tss"),
                ("random", "nats-tss"),
                ("darts-minus", "darts"),
                ("prime+crb", "darts"),
                ("p-darts", "darts"),
                ("darts-1st", "s4"),
            ]
        ),
    ],
)
def test_a_search_mixes_no_devices_and_no_step_waits(pretended: Callable[[], Any], method: str, space: str) -> None:
    """An epoch with its end: batches, optimisers, pieces, accuracies. The second step, when all is where it belongs."""
    expected = next(iter(search(method, space, "cpu")))
    with pretended():
        started = search(method, space, "cuda")
        started.warm_up()
        words = started.learner.computed_by()
        assert words is None or words.endswith(", without CUDA graphs")
        started.advance()
        WAITS.clear()
        started.advance()
        asked = {"__float__": 1} if "prime" in method else {}  # for the trace that says whether alpha moves
        assert dict(WAITS) == asked
        row = started.advance()
        assert WAITS["tolist"] == 1  # the totals, once an epoch
    assert row is not None
    # Not closer: what autograd makes of its own in second derivatives is zero on the pretended GPU.
    assert row["train_loss"] == pytest.approx(expected["train_loss"], rel=1e-3)
    assert row["valid_loss"] == pytest.approx(expected["valid_loss"], rel=1e-2)


def test_graphs_are_the_default_there_alone(pretended: Callable[[], Any]) -> None:
    """Required only where they were asked for."""
    assert search("darts-1st", "nats-tss", "cpu", graphs=None).learner.graphs is None  # type: ignore[attr-defined]
    for graphs, required in ((None, False), (True, True)):
        with pretended():
            learner: Any = search("darts-1st", "nats-tss", "cuda", graphs=graphs).learner
        assert learner.graphs.required is required
        assert learner.computed_by().endswith(", CUDA graphs where passes allow")


def test_what_would_fail_there_fails(pretended: Callable[[], Any]) -> None:
    """The pretence itself: it knows of another device's tensors and generators, and of waiting."""
    here = torch.ones(3)
    with pretended():
        there = here.to("cuda")
        WAITS.clear()
        with pytest.raises(RuntimeError, match="same device"):
            there + here
        with pytest.raises(AssertionError, match="generator of another device"):
            torch.rand(3, generator=torch.Generator(), device="cuda")
        assert not WAITS
        assert float((there * torch.tensor(2.0)).sum()) == 6
        assert there[there > 0].tolist() == [1, 1, 1]
        there.copy_(here)
        assert torch.equal(there.cpu(), here)
        here.to("cuda", non_blocking=True)
    assert WAITS == {"__float__": 1, "index by a mask": 1, "tolist": 1, "copy_ from the host": 1, "to the host": 1}


@pytest.mark.own_engine
def test_weights_on_the_host_spare_what_they_leave_out(pretended: Callable[[], Any]) -> None:
    """A zero that the host knows costs nothing on a GPU either."""
    space = get_space("nats-tss")
    torch.manual_seed(0)
    net, weights = (
        space.supernet(4, 1, classes=3),
        space.encode(space.parse("|skip_connect~0|+|none~0|none~1|+|nor_conv_1x1~0|none~1|none~2|")),
    )
    images = torch.randn(2, 3, 8, 8)
    expected = net(images, weights).detach()
    with pretended():
        found = net.to("cuda")(images.to("cuda"), weights)
    torch.testing.assert_close(found.host, expected, rtol=1e-4, atol=1e-5)
    plans = [plan for cell in net.modules() if isinstance(cell, MixedCell) for plan in cell.plans]
    assert {len(plan.terms) for plan in plans} == {2}
