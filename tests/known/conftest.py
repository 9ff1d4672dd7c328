"""Known numbers: files of golden values, compared with what is measured now, renewed by `--update-golden "why"`.

`--add-golden "why"` adds entries that are new and changes no other.

docs/known-numbers.md describes the files. A file of truths (`truth = "whose numbers they are"`) is never renewed.
"""

import json
import math
import platform
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import torch

from spaces.common.files import write_whole
from suite.environment import engine_name, own_version, processor

Value = int | float | str | list[int] | list[float]
Measured = Mapping[str, Mapping[str, Value]]  # group -> name -> value

DIGITS = 10  # significant ones that a file keeps
REASONS = 8  # renewals that a file remembers
EDGE = re.compile(r"\w+~\d+|\('\w+', \d+\)")  # in both notations of genotypes


@dataclass(frozen=True)
class Group:
    """Values of one kind, how far they may move, and why so far.

    `measure` says what a difference is: `exact`, `absolute`, `relative` (to the entry's largest magnitude) or `edges`
    (of two genotypes, how many differ). `elsewhere` is the tolerance on another platform than the file was measured
    on, by default the same; entries whose names match `only_here` are not compared there.
    """

    measure: str
    why: str
    values: dict[str, Value]
    tolerance: float = 0.0
    elsewhere: float | None = None
    only_here: Sequence[str] = ()

    def allowed(self, name: str, here: bool) -> float:
        """How far the entry may move, `inf` if it is not compared."""
        if here or self.elsewhere is None:
            return self.tolerance
        return math.inf if any(fnmatch(name, pattern) for pattern in self.only_here) else self.elsewhere


@dataclass(frozen=True)
class Move:
    """An entry that moved: of several numbers, the one that moved furthest stands for all."""

    name: str
    golden: str
    now: str
    difference: str
    tolerance: str

    @property
    def new(self) -> bool:
        """Whether the file has no such entry."""
        return (self.golden, self.now, self.tolerance) == ("-", "new", "")


def platform_key(engine: str) -> str:
    """What the bits of a search depend on, its seed and our code apart."""
    kernels = engine_name(engine, "fp32", "cpu").replace("fp32, ", "")
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{platform.machine()}, {processor()}, torch {torch.__version__}, {capability}, {kernels}"


def parts(value: Value, measure: str) -> list[Any]:
    """What is compared one by one: a list's numbers, a genotype's edges."""
    if measure == "edges":
        return EDGE.findall(str(value))
    return value if isinstance(value, list) else [value]


def compare(name: str, golden: Value, now: Value, group: Group, allowed: float) -> Move | None:
    """None where `now` is close enough."""
    one, other = parts(golden, group.measure), parts(now, group.measure)
    if len(one) != len(other):
        return Move(name, f"{len(one)} values", f"{len(other)} values", "", "")
    if group.measure in ("exact", "edges"):
        differences = [float(a != b) for a, b in zip(one, other, strict=True)]
    else:
        scale = max(map(abs, one)) or 1.0 if group.measure == "relative" else 1.0
        # Two that are no number are equal; a number and none are as far apart as can be.
        same = [a == b or (math.isnan(a) and math.isnan(b)) for a, b in zip(one, other, strict=True)]
        differences = [0.0 if s else abs(a - b) / scale for s, a, b in zip(same, one, other, strict=True)]
        differences = [math.inf if math.isnan(d) else d for d in differences]
    total = sum(differences) if group.measure == "edges" else max(differences, default=0.0)
    if total <= allowed:
        return None
    worst = max(range(len(one)), key=lambda place: differences[place])
    place = f" [{worst}]" if isinstance(golden, list) else ""
    ends = (golden, now) if group.measure == "exact" else (one[worst], other[worst])
    words = {
        "exact": ("", "exact"),
        "edges": (f"{total:g} of {len(one)} edges", f"{allowed:g}"),
        "absolute": (f"{total:.3g}", f"{allowed:g}"),
        "relative": (f"{total:.3g} relative", f"{allowed:g}"),
    }
    said, tolerance = words[group.measure]
    if place and said:
        said += f", {sum(d > allowed for d in differences)} of {len(one)}"
    return Move(f"{name}{place}", *map(str, ends), said, tolerance)


class Golden:
    """One file of golden values."""

    def __init__(self, path: Path) -> None:
        self.path = path
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        self.title: str = content.pop("title")
        self.truth: str | None = content.pop("truth", None)
        self.renewals: list[dict[str, Any]] = content.pop("renewal", [])
        self.additions: list[dict[str, Any]] = content.pop("addition", [])
        self.groups = {name: Group(**{"values": {}, **table}) for name, table in content.items()}

    @property
    def source(self) -> str:
        """Where the values come from, in words."""
        return self.truth or f"measured on {self.renewals[0]['platform'] if self.renewals else 'nothing yet'}"

    def platform(self, label: str) -> str:
        """Where the entry was measured: that of its addition, else that of the latest renewal."""
        added = (addition["platform"] for addition in self.additions if label in addition["entries"])
        return next(added, self.renewals[0]["platform"] if self.renewals else "")

    def moves(self, measured: Measured, key: str) -> list[Move]:
        """All entries that moved, appeared or are gone."""
        if unknown := set(measured) - set(self.groups):
            raise AssertionError(f"{self.path.name}: state a measure, a tolerance and why for {sorted(unknown)}")
        found = []
        for title, group in self.groups.items():
            current = measured.get(title, {})
            for name in sorted({*group.values, *current}):
                label = f"{title} {name}"
                if name not in current or name not in group.values:
                    words = ("gone", "") if name not in current else ("", "new")
                    found.append(Move(label, *(w or "-" for w in words), "", ""))
                    continue
                allowed = group.allowed(name, here=self.platform(label) == key)
                value = current[name] if self.truth else kept(current[name])  # a truth is written with all its digits
                found.append(compare(label, group.values[name], value, group, allowed))
        return [move for move in found if move is not None]

    def renew(self, measured: Measured, reason: str, key: str) -> None:
        """Write what was measured, and why, in place of what stood here. Tolerances stay as they are."""
        for title, group in self.groups.items():
            group.values.clear()
            group.values.update({name: kept(value) for name, value in measured.get(title, {}).items()})
        self.renewals, self.additions = [now(reason, key), *self.renewals][:REASONS], []
        self._write()

    def add(self, measured: Measured, reason: str, key: str) -> None:
        """Write what was measured and had no entry, and why. All other entries stay as they are."""
        entries = []
        for title, group in self.groups.items():
            new = {name: kept(value) for name, value in measured.get(title, {}).items() if name not in group.values}
            group.values.update(new)
            entries += [f"{title} {name}" for name in new]
        self.additions.append({**now(reason, key), "entries": entries})
        self._write()

    def _write(self) -> None:
        write_whole(self.path, lambda file: file.write("\n".join(self.lines()).encode()))

    def lines(self) -> Iterator[str]:
        """The file's text: always the same for the same content."""
        yield "# Known numbers: docs/known-numbers.md says what this is and how it is renewed."
        yield f"title = {toml(self.title)}\n"
        for title, changes in (("renewal", self.renewals), ("addition", self.additions)):
            for change in changes:
                yield f"[[{title}]]"
                yield from (f"{key} = {toml(value)}" for key, value in change.items())
                yield ""
        for title, group in self.groups.items():
            yield f"[{title}]"
            said = (field.name for field in fields(Group) if field.name != "values")
            given = {key: getattr(group, key) for key in said}
            yield from (f"{key} = {toml(value)}" for key, value in given.items() if value not in (None, (), 0.0))
            yield f"[{title}.values]"
            yield from (f"{toml(name)} = {toml(value)}" for name, value in sorted(group.values.items()))
            yield ""


def now(reason: str, key: str) -> dict[str, Any]:
    """What a file keeps of a change: when, by which version, on which platform and why."""
    return {"date": date.today(), "version": own_version(), "platform": key, "reason": reason}


def kept(value: Any) -> Any:
    """What a file keeps of a value: of floats, `DIGITS` significant digits."""
    if isinstance(value, list):
        return [kept(one) for one in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def toml(value: Any) -> str:
    """A value as TOML."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml, value))}]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else str(value)


def table(title: str, moves: Sequence[Move]) -> str:
    """Everything that moved, in columns."""
    rows = [("", "golden", "now", "difference", "tolerance"), *(tuple(vars(move).values()) for move in moves)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join([title, *lines])


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, Measured], None]:
    """`golden(topic, measured)` compares with TOPIC.toml beside the test, or renews it, or adds to it."""

    def check(topic: str, measured: Measured) -> None:
        file = Golden(request.path.with_name(f"{topic}.toml"))
        renewal, addition = (request.config.getoption(flag) for flag in ("--update-golden", "--add-golden"))
        key = "" if file.truth else platform_key(request.config.getoption("--engine"))
        moved = file.moves(measured, key)
        if not moved:
            return
        said = table(f"{topic}.toml, {file.source}: {len(moved)} moved", moved)
        if file.truth:
            pytest.fail(f"{said}\nThese numbers are not ours to renew.", pytrace=False)
        if renewal is not None:
            file.renew(measured, renewal, key)
        elif addition is not None and all(move.new for move in moved):
            file.add(measured, addition, key)
        else:
            flag = "--add-golden" if all(move.new for move in moved) else "--update-golden"
            pytest.fail(f'{said}\nIf it is meant: pytest -m known {flag} "why"', pytrace=False)
        request.node.user_properties.append(("renewed", said))

    return check
