"""Early warnings: areas worked out by hand, the published rules against their methods, chance on noise."""

import numpy as np
import pandas as pd
import pytest

from methods import get_method
from methods.search.settings import resolve
from reports.collapse.definition import Criterion, trials
from reports.collapse.early_warning import alarms, direction, left_out, scores, statements
from reports.collapse.stopping_rules import EIGENVALUE, EigenvalueRule, SkipRule
from reports.records.results import Results
from spaces.nats.genotype import NatsGenotype

PROBE = "probe.alignment.cosine.valid"


def cell(idle: int) -> str:
    return str(NatsGenotype(("skip_connect",) * idle + ("nor_conv_3x3",) * (6 - idle)))


def made(study, space_of, courses, probe):
    """Blocks with their trials, and histories: one trial a (study, course) with `probe(trial, epoch)` in `PROBE`."""
    records, histories = study(methods=("a",), spaces=("nats-tss",), seeds=range(1))
    record, like = records.iloc[0].to_dict(), histories.iloc[0].to_dict()
    rows, kept = [], []
    for number, (name, course) in enumerate(courses):
        key = f"k{number}"
        rows.append({**record, "key": key, "seed": number, "study": name})
        kept += [
            {**like, "key": key, "seed": number, "epoch": e, "genotype": cell(idle), PROBE: probe(number, e)}
            for e, idle in enumerate(course, 1)
        ]
    frame, found = pd.DataFrame(rows), pd.DataFrame(kept)
    results = Results.of(frame, found)
    judged = [(block, trials(block.records, results.by_trial, space_of, Criterion())) for block in results.blocks]
    return judged, results


def one(scored, lead):
    return scored[(scored["probe"] == PROBE) & (scored["lead"] == lead)].iloc[0]


def test_areas_by_hand(study, space_of) -> None:
    """Low alignment warns: two collapses at epoch 4 against two healthy trials, of which one is as low as a case."""
    courses = [("s", [1, 1, 1, 5, 5])] * 2 + [("s", [1] * 5)] * 2
    values = {0: 0.1, 1: 0.3, 2: 0.3, 3: 0.5}
    judged, results = made(study, space_of, courses, lambda trial, epoch: values[trial])
    found = one(scores(judged, results), 2)
    assert (found["cases"], found["pairs"]) == (2, 4)
    assert found["auc"] == pytest.approx((1 + 1 + 0.5 + 1) / 4)
    assert set(scores(judged, results)["lead"]) == {1, 2, 3}  # nothing was seen five epochs before


def test_a_case_is_compared_at_its_own_epoch(study, space_of) -> None:
    """A probe that only counts epochs ranks no trial above another: the clock is no warning."""
    courses = [("s", [1, 5, 5, 5, 5]), ("s", [1, 1, 1, 5, 5]), ("s", [1] * 5)]
    judged, results = made(study, space_of, courses, lambda trial, epoch: float(epoch))
    found = scores(judged, results)
    assert set(found[found["probe"] == PROBE]["auc"]) == {0.5}
    assert one(found, 1)["pairs"] == 2 + 1  # at epoch 1 two are healthy for longer, at epoch 3 one


def test_chance_on_noise(study, space_of) -> None:
    courses = [("s", [1] * 4 + [5] * 2)] * 15 + [("s", [1] * 6)] * 15
    areas = []
    for seed in range(8):
        noise = np.random.default_rng(seed).normal(size=(30, 7))
        judged, results = made(study, space_of, courses, lambda trial, epoch, noise=noise: noise[trial, epoch])
        areas += [one(scores(judged, results), lead)["auc"] for lead in (1, 2, 3)]
    assert np.mean(areas) == pytest.approx(0.5, abs=0.07)  # three standard errors


def test_a_missing_value_is_not_compared(study, space_of) -> None:
    courses = [("s", [1, 1, 5])] * 2 + [("s", [1] * 3)] * 2
    judged, results = made(study, space_of, courses, lambda trial, epoch: np.nan if trial in (0, 2) else 1.0)
    assert one(scores(judged, results), 1)["pairs"] == 1


def test_a_study_is_judged_by_what_the_others_chose(study, space_of) -> None:
    courses = [(name, course) for name in ("x", "y") for course in ([1, 1, 5], [1, 1, 1])]
    judged, results = made(
        study, space_of, courses, lambda trial, epoch: float(trial % 2 if trial < 2 else 1 - trial % 2)
    )
    found = left_out(scores(judged, results)).set_index("study")
    # In x low alignment warns, in y high: what x teaches fails in y. In y the skips, which never differ, are best.
    assert (found.loc["y", "probe"], found.loc["y", "chosen_auc"], found.loc["y", "auc"]) == (PROBE, 1.0, 0.0)
    assert found.loc["x", "probe"] != PROBE
    assert left_out(scores(judged, results).query("study == 'x'")).empty


def test_directions_are_claimed_before_the_data() -> None:
    assert direction("probe.alignment.cosine.valid") == -1
    assert direction("probe.hessian.dominant_decayed") == 1
    assert direction("probe.hessian.spectrum") == direction("train_loss") == 0


def test_statements_say_what_is_missing(study, space_of) -> None:
    judged, results = made(study, space_of, [("s", [1, 1])] * 2, lambda trial, epoch: 0.0)
    words = statements(scores(judged, results), alarms(judged, results, space_of))
    assert words[0].startswith("No probe is scored")
    assert words[1].startswith("The rule eigenvalue (R-DARTS) cannot be judged")
    assert "for 22 epochs or more" in words[1]
    assert words[2].startswith("The rule skips (DARTS+) had no collapse")
    assert "a false alarm in 0 of 2 healthy trials" in words[2]
    judged, results = made(study, space_of, [("s", [1, 1, 5]), ("s", [1] * 3)], lambda trial, epoch: float(trial))
    words = statements(scores(judged, results), alarms(judged, results, space_of))
    assert words[0].startswith(f"{PROBE} ranks best, 2 epochs ahead: area 1.00 over 1 collapse and 1 pair. ")
    assert words[1].startswith("Only one study")
    assert "the onset of 0 of 1 collapse" in words[3]
    assert "a false alarm in 0 of 1 healthy trial" in words[3]
    judged, results = made(study, space_of, [("s", [2, 5])] * 2, lambda trial, epoch: 0.0)
    words = statements(scores(judged, results), alarms(judged, results, space_of))
    assert "the onset of 2 of 2 collapses, a median of 1 epoch ahead; no trial was healthy" in words[2]


def test_skip_rule_and_its_count(study, space_of) -> None:
    courses = [("s", [1, 2, 5]), ("s", [1, 1, 4]), ("s", [1, 3, 1]), ("s", [1, 1, 1])]
    judged, results = made(study, space_of, courses, lambda trial, epoch: 0.0)
    row = alarms(judged, results, space_of).set_index("rule").loc[SkipRule.name]
    assert row[["collapsed", "warned", "lead", "healthy", "false"]].tolist() == [2, 1, 1.0, 2, 1]


def test_the_eigenvalue_rule_calls_when_the_method_stops() -> None:
    """Two implementations, of the recipe on rows as they come and of the report on the whole history."""
    method = get_method("r-darts-es")
    settings, _ = resolve(method.options, {"test": {"epochs": 60}})
    found = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        values = 0.2 + np.cumsum(np.abs(rng.normal(size=60)) * rng.choice([0, 0.02], size=60))
        # Measured after every epoch the rule reads what it would have read: it counts epochs, not measurements.
        every = 1 + seed % 2
        rows = [{"epoch": e, **({EIGENVALUE: values[e - 1]} if e % every == 0 else {})} for e in range(1, 61)]
        stops = [e for e in range(1, 61) if method.stop(rows[:e], settings)]
        called = EigenvalueRule().alarm(pd.DataFrame(rows), [])
        found.append(stops[0] if stops else None)
        assert found[-1] == (None if np.isnan(called) else called)
    assert len(set(found)) > 3


def test_a_search_too_short_for_the_rule_is_no_evidence_of_silence() -> None:
    """An alarm goes back by twelve epochs, to epoch 10 at least: that takes 22, however often it was measured."""

    def history(epochs, every=2):
        rows = [{"epoch": e, EIGENVALUE: 2.0**e if e % every == 0 else np.nan} for e in range(1, epochs + 1)]
        return pd.DataFrame(rows)

    rule = EigenvalueRule()
    for every in (1, 2):
        assert not rule.applies(history(8, every))
        assert not rule.applies(history(21, every))
        assert rule.applies(history(22, every))
        assert rule.alarm(history(22, every), []) == 22
    # Sparser, it is not what the rule reads, however many measurements there are.
    for every in (3, 4):
        assert not rule.applies(history(120, every))
        assert np.isnan(rule.alarm(history(120, every), []))
