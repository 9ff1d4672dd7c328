"""R-DARTS: Understanding and Robustifying Differentiable Architecture Search (Zela et al., ICLR 2020).

Searches find architectures that generalize badly where the validation loss is sharply curved in alpha: there
discretizing costs most. The dominant eigenvalue of ∇²_α L_val measures the curvature (section 4). A search stops before
it grows (DARTS-ES, section 4.3), raises the inner objective's weight decay when it does (DARTS-ADA, section 5), or is
regularized more from its start (R-DARTS, section 5).
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from methods.darts import DARTS_2ND
from methods.probes.curvature import HESSIAN
from methods.search.options import Option
from methods.search.pieces import History
from methods.search.probe import Watched
from methods.search.settings import Settings
from spaces.common import eigenvalue_alarm

EVERY = 2
"""Epochs between two eigenvalues."""

WINDOW = Option("window", 5, "Eigenvalues in the local average λ̄ (section 4.3).", at_least=1, at_most=10_000)
DELTA = Option(
    "delta", 4, "k: measurements between the two averages compared (section 4.3).", at_least=0, at_most=10_000
)
RATIO = Option(
    "ratio", 0.75, "An alarm is raised where λ̄(t - k) / λ̄(t) is below it (section 4.3).", above=0, at_most=1e12
)
START_EPOCH = Option("start_epoch", 10, "First epoch to which the search may go back.", at_least=0, at_most=1_000_000)
DECAY_FACTOR = Option("decay_factor", 10.0, "Factor of the weight decay at each alarm.", above=0, at_most=1e6)
DECAY_MAX = Option("decay_max", 0.03, "Largest weight decay that alarms lead to.", above=0, at_most=1e3)
EXPONENT = Option("k", 3, "k: the weight decay is that of the settings times 3^k (section 5).", at_least=0, at_most=20)

# --- The signal (section 4.3) ----------------------------------------------------------------------------------------


def eigenvalues(history: History) -> list[tuple[int, float]]:
    """(epoch, dominant eigenvalue) after every second epoch, alpha's weight decay included as in the authors' code."""
    column = "probe.hessian.dominant_decayed"
    return [(row["epoch"], row[column]) for row in history if row["epoch"] % EVERY == 0 and column in row]


def alarms(measured: Sequence[tuple[int, float]], settings: Settings) -> Iterator[tuple[int, int]]:
    """The alarms in `measured`: the measurement's place, and that of the one to go back to, from `start_epoch` on."""
    values = [value for _, value in measured]
    found = eigenvalue_alarm.alarms(values, WINDOW.of(settings), DELTA.of(settings), RATIO.of(settings))
    return ((now, back) for now, back in found if measured[back][0] >= START_EPOCH.of(settings))


# --- DARTS-ES --------------------------------------------------------------------------------------------------------


def first_alarm(history: History, settings: Settings) -> int | None:
    """The epoch that the first alarm goes back to."""
    measured = eigenvalues(history)
    return next((measured[back][0] for _, back in alarms(measured, settings)), None)


def curvature_grows(history: History, settings: Settings) -> bool:
    """Stop once the dominant eigenvalue's local average has grown too fast."""
    return first_alarm(history, settings) is not None


def before_the_growth(history: History, settings: Settings) -> int:
    """The architecture of the epoch before the eigenvalue grew; the last one where it did not."""
    epoch = first_alarm(history, settings)
    return len(history) - 1 if epoch is None else next(i for i, row in enumerate(history) if row["epoch"] == epoch)


# --- DARTS-ADA and R-DARTS (L2) --------------------------------------------------------------------------------------


def raised_at_each_alarm(history: History, settings: Settings) -> float:
    """Ten times the weight decay after each alarm, up to a maximum; eigenvalues are compared afresh from there on."""
    decay = settings.weight_decay
    factor, most = DECAY_FACTOR.of(settings), DECAY_MAX.of(settings)
    measured = eigenvalues(history)
    while (alarm := next(alarms(measured, settings), None)) is not None and decay < most:
        decay = min(decay * factor, most)
        measured = measured[alarm[0] + 1 :]
    return decay


def three_to_the_k(history: History, settings: Settings) -> float:
    """The weight decay times 3^k, throughout."""
    return settings.weight_decay * 3 ** EXPONENT.of(settings)


# --- Recipes ---------------------------------------------------------------------------------------------------------

SOURCE = "Zela et al., Understanding and Robustifying Differentiable Architecture Search, ICLR 2020"
SIGNAL = (WINDOW, DELTA, RATIO, START_EPOCH)

# Second order, as the authors ran all of them; 7 operations on the DARTS space, S3 and S4 as they are made.
R_DARTS_ES = replace(
    DARTS_2ND,
    name="r-darts-es",
    title="DARTS-ES: early stopping by the dominant eigenvalue",
    source=SOURCE,
    stop=curvature_grows,
    select_epoch=before_the_growth,
    probes=(Watched(HESSIAN, EVERY),),
    without={"darts": ("none",)},
    options=(*DARTS_2ND.options, *SIGNAL),
)

R_DARTS_ADA = replace(
    R_DARTS_ES,
    name="r-darts-ada",
    title="DARTS-ADA: weight decay that adapts to the dominant eigenvalue",
    stop=DARTS_2ND.stop,
    select_epoch=DARTS_2ND.select_epoch,
    weight_decay=raised_at_each_alarm,
    options=(*R_DARTS_ES.options, DECAY_FACTOR, DECAY_MAX),
)

# R-DARTS (L2) runs k = 0, 1, 2, 3 and keeps the architecture that validates best; one search has one k.
R_DARTS_L2 = replace(
    DARTS_2ND,
    name="r-darts-l2",
    title="R-DARTS (L2): stronger weight decay in the inner objective",
    source=SOURCE,
    weight_decay=three_to_the_k,
    without={"darts": ("none",)},
    options=(*DARTS_2ND.options, EXPONENT),
)
