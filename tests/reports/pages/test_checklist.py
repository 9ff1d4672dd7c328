"""The checklist: each answer from records in which it is known."""

import re

import pandas as pd
import pytest

from reports.pages.checklist import ITEMS, checklist
from reports.records.results import Results


@pytest.fixture
def answers(study):
    def give(change=lambda records: records, **options):
        records, histories = study(methods=("darts-1st", "random"), spaces=("nats-tss", "darts"), **options)
        found = checklist(Results.of(change(records), histories))
        return found.set_index("item")

    return give


def test_every_item_is_answered_with_a_number(answers):
    found = answers()
    assert list(found.index) == [item for item, _, _ in ITEMS]
    assert set(found["answer"]) <= {"yes", "no", "partly", "not known"}


def test_a_fair_study(answers):
    found = answers()
    for item in ("Same benchmark", "Same budgets", "Same hardware", "Same code", "Several seeds", "Random search"):
        assert found.loc[item, "answer"] == "yes", item
    assert found.loc["Several seeds", "evidence"].startswith("3 seeds a method and block; 0 of 4 have one.")
    assert found.loc["Tabular benchmark", "answer"] == "partly"
    assert found.loc["Tabular benchmark", "evidence"] == "A tabular benchmark evaluates 6 of 12 trials."
    assert found.loc["Over time", "evidence"] == "There is a history, epoch by epoch, of 12 of 12 trials."
    assert found.loc["Published scale", "answer"] == "no"


def test_one_seed_is_no(answers):
    found = answers(seeds=range(1))
    assert found.loc["Several seeds", "answer"] == "no"
    assert found.loc["Several seeds", "evidence"].startswith("1 seed a method and block; 4 of 4 have one.")


def test_one_trial_is_one_trial(study):
    records, histories = study(methods=("random",), spaces=("nats-tss",), seeds=range(1))
    evidence = " ".join(checklist(Results.of(records, histories))["evidence"])
    assert "1 of 1 trial." in evidence
    assert "1 of 1 block." in evidence
    assert re.findall(r"\b1 [a-z]+s\b", evidence) == []


def test_unequal_budgets_are_told(answers):
    def longer(records):
        own = (records["space"] == "darts") & (records["method"] == "random")
        return records.assign(search_steps=records["search_steps"].where(~own, 90))

    found = answers(longer)
    assert found.loc["Same budgets", "answer"] == "partly"
    assert (
        "in 1 of 2 blocks; furthest apart on darts on digits, 40 to 90 steps" in found.loc["Same budgets", "evidence"]
    )


@pytest.mark.parametrize(
    ("item", "column", "value"),
    [("Same hardware", "device", "cuda: H100"), ("Same hardware", "threads", 8), ("Same code", "version", "0.2.0")],
)
def test_what_differs_is_no(answers, item, column, value):
    found = answers(lambda records: records.assign(**{column: [value, *records[column][1:]]}))
    assert found.loc[item, "answer"] == "no"
    assert str(value) in found.loc[item, "evidence"]


def test_edited_code_is_partly(answers):
    found = answers(lambda records: records.assign(version="0.1.0 (abc-dirty)"))
    assert found.loc["Same code", "answer"] == "partly"


def test_different_retraining_is_told(answers):
    def other(records):
        settings = [{"evaluate.epochs": 5 if method == "random" else 9} for method in records["method"]]
        return records.assign(settings=settings)

    found = answers(other)
    assert found.loc["Same benchmark", "answer"] == "no"
    assert "in 2 of 2 blocks methods were retrained under different settings" in found.loc["Same benchmark", "evidence"]


def test_ablations_are_recipes_of_one_paper(answers):
    def told(sources):
        return lambda records: records.assign(recipe=[{"source": sources[m]} for m in records["method"]])

    assert answers(told({"darts-1st": "one", "random": "one"})).loc["Ablations", "answer"] == "yes"
    assert answers(told({"darts-1st": "one", "random": "two"})).loc["Ablations", "answer"] == "no"
    assert answers().loc["Ablations", "answer"] == "not known"


def test_tuning_counts_what_was_given(answers):
    assert answers().loc["Cost of tuning", "answer"] == "not known"

    def given(records):
        origin = [{"epochs": "settings"} if seed == 0 else {"epochs": "protocol quick"} for seed in records["seed"]]
        return records.assign(origin=pd.Series(origin, index=records.index))

    assert "Settings were given for 4 of 12 trials;" in answers(given).loc["Cost of tuning", "evidence"]
