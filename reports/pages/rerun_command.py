"""The command that runs a trial again, read off its record."""

import shlex
from collections.abc import Mapping
from functools import reduce
from math import gcd
from typing import Any

from reports.records.blocks import USUAL_PRECISION, precision_of
from reports.tables.tables import Row
from spaces.common.metric import IMAGE_CLASSIFICATION

OWN = "settings"
"""What a record's `origin` calls whoever set a value on the command line or in a study."""

UNRECORDED = "not recorded"
"""Stands for the layer of a record that does not tell it."""


def search_command(record: Row) -> str:
    """The line for a shell that gives the trial of `record` again: one with the same key, so the same bits.

    Named are the trial, every setting that was given for it (`origin` says which), the kind of device, and the engine,
    the precision and the lack of CUDA graphs where they are not usual. What was watched is asked for too, at a stride
    that has all of it.
    """
    words = ["dartboard", "search", str(record["method"])]
    for option in ("space", "dataset", "seed", "protocol"):
        words += [f"--{option}", str(record[option])]
    if _task(record) != IMAGE_CLASSIFICATION:
        words += ["--task", _task(record)]
    for name in given(record):
        words += ["--set", f"{name}={_value(record['settings'][name])}"]
    words += ["--device", str(record["device"]).partition(":")[0]]
    precision = precision_of(record)
    if str(record["engine"]).startswith("reference") and precision != "bf16":  # which the reference alone computes
        words += ["--engine", "reference"]
    if precision != USUAL_PRECISION:
        words += ["--precision", precision]
    if "without CUDA graphs" in str(record["engine"]):
        words += ["--no-graphs"]
    probes = record.get("probes")
    if isinstance(probes, Mapping) and probes:
        words += ["--probes", ",".join(sorted(probes)), "--probe-every", str(reduce(gcd, map(int, probes.values())))]
    return shlex.join(words)


def given(record: Row) -> list[str]:
    """The settings that were given for the trial, sorted; empty where its record does not tell."""
    origin = record.get("origin")
    if not isinstance(origin, Mapping):
        return []
    return sorted(name for name, layer in origin.items() if layer == OWN and name in record["settings"])


def set_by(record: Row, name: str) -> str:
    """The layer that set a setting of the trial: a recipe, a space, a protocol or `OWN`; `base` where none did."""
    origin = record.get("origin")
    if not isinstance(origin, Mapping):
        return UNRECORDED
    # Records from before these had layers lack the ones of `images` and `threads`, which every trial has.
    of_protocols = name.startswith("evaluate.") or name in ("images", "size", "threads")
    told = not of_protocols or {"images", "threads"} <= set(origin)
    return str(origin.get(name, "base" if told else UNRECORDED))


def doubts(record: Row, known: bool) -> list[str]:
    """What may keep the command from giving the same trial; `known`: the method is one of the registry."""
    words = []
    if not isinstance(record.get("origin"), Mapping):
        words.append("The record does not say which settings were given for the trial, so the command lacks them.")
    if not known:
        words.append(f"{record['method']} is not a registered method: give its file, path/to/file.py:NAME, instead.")
    if _task(record) != IMAGE_CLASSIFICATION:
        words.append(f"{_task(record)} is a task of your own: give its file, path/to/file.py, instead.")
    if str(record["dataset"]).startswith(("npz:", "folder:")):
        words.append(f"{record['dataset']} is a data set of your own: give its path, which the record does not hold.")
    return words


def _task(record: Row) -> str:
    return str(record.get("task", IMAGE_CLASSIFICATION))


def _value(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
