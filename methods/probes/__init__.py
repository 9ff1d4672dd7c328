"""What can be watched in a search: `PROBES` names every probe and where it stands."""

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from spaces.common.errors import unknown

if TYPE_CHECKING:
    from methods.search.probe import Probe

PROBES: Mapping[str, str] = {
    "cell": "methods.probes.cells:CELL",
    "weights": "methods.probes.weights:WEIGHTS",
    "alignment": "methods.probes.layers:ALIGNMENT",
    "alignment-2nd": "methods.probes.layers:ALIGNMENT_2ND",
    "layer-gradients": "methods.probes.layers:LAYER_GRADIENTS",
    "bound": "methods.probes.layers:BOUND",
    "similarity": "methods.probes.similarity:SIMILARITY",
    "hessian": "methods.probes.curvature:HESSIAN",
    "fisher": "methods.probes.curvature:FISHER",
    "gap": "methods.probes.gap:GAP",
}


def get_probe(name: str) -> "Probe":
    """The probe called `name`. Raises `InputError` with the nearest name if there is none."""
    if name not in PROBES:
        raise unknown("probe", name, PROBES)
    module, attribute = PROBES[name].split(":")
    probe: Probe = getattr(import_module(module), attribute)
    return probe
