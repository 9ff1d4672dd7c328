"""Golden files themselves: what is said of a moved number, and what a renewal changes."""

import tomllib
from pathlib import Path

import pytest
from platformdirs import user_cache_path

TRUTH = """
title = "A truth"
truth = "arithmetic"

[sums]
measure = "exact"
why = "integers"
[sums.values]
"2 + 2" = 4
"""

FILE = """
title = "An example"

[loss]
measure = "relative"
why = "rounding"
tolerance = 1e-6
elsewhere = 1e-2
only_here = ["shaky *"]

[count]
measure = "exact"
why = "integers and words"

[genotype]
measure = "edges"
why = "near ties"
elsewhere = 1
"""

GENOTYPE = "|none~0|+|none~0|skip_connect~1|+|none~0|none~1|none~2|"
DARTS = "Genotype(normal=[('skip_connect', 0), ('sep_conv_3x3', 1)], normal_concat=[2])"
VALUES = {
    "loss": {"steady a": [2.0, 1.0, 0.5], "steady b": 10 / 3, "shaky c": float("nan")},
    "count": {"seven": 7, "word": 'a "quoted" λ'},
    "genotype": {"cell": GENOTYPE, "darts": DARTS},
}


class Project:
    """A copy of the machinery with one golden file, one file of truths, and numbers that can be moved."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        here, self.folder = Path(__file__).parent, pytester.mkdir("copied")
        for source, copy in ((here.parent, pytester.path), (here, self.folder)):
            (copy / "conftest.py").write_text((source / "conftest.py").read_text())
        self.file = self.folder / "example.toml"
        self.file.write_text(FILE)
        (self.folder / "truth.toml").write_text(TRUTH)
        self.measure(VALUES)

    def measure(self, values: dict[str, dict[str, object]], total: int = 4) -> None:
        example = f"nan = float('nan')\ndef test_example(golden):\n    golden('example', {values!r})\n"
        (self.folder / "test_example.py").write_text(example)
        truth = f"def test_truth(golden):\n    golden('truth', {{'sums': {{'2 + 2': {total}}}}})\n"
        (self.folder / "test_truth.py").write_text(truth)

    def run(self, *words: str) -> pytest.RunResult:
        return self.pytester.runpytest_inprocess("-q", "-p", "no:cacheprovider", "--import-mode=importlib", *words)

    def renewed(self, reason: str = "first", *words: str) -> pytest.RunResult:
        result = self.run("--update-golden", reason, *words)
        result.assert_outcomes(passed=2)
        return result


@pytest.fixture(scope="module")
def cache() -> str:
    """Where compiled kernels are, asked for before pytester gives the process another home."""
    return str(user_cache_path())


@pytest.fixture
def project(cache: str, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("XDG_CACHE_HOME", cache)
    return Project(pytester)


def test_what_moved_is_one_table(project: Project) -> None:
    project.renewed()
    project.run().assert_outcomes(passed=2)
    moved = {
        "loss": {"steady a": [2.0, 1.5, 0.75], "steady b": 3.3333343, "shaky c": 1.0},
        "count": {"seven": 8, "eight": 8},
        "genotype": {
            "cell": GENOTYPE.replace("skip_connect~1", "none~1"),
            "darts": DARTS.replace("conv_3x3", "conv_5x5"),
        },
    }
    project.measure(moved)
    result = project.run()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "example.toml, measured on *: 7 moved",
            " * golden * now * difference * tolerance",
            "loss shaky c * nan * 1.0 * inf relative * 1e-06",
            "loss steady a [[]1] * 1.0 * 1.5 * 0.25 relative, 2 of 3 * 1e-06",
            "count eight * - * new",
            "count seven * 7 * 8 * exact",
            "count word * gone * -",
            "genotype cell * skip_connect~1 * none~1 * 1 of 6 edges * 0",
            "genotype darts * ('sep_conv_3x3', 1) * ('sep_conv_5x5', 1) * 1 of 2 edges * 0",
            '*pytest -m known --update-golden "why"',
        ],
        consecutive=True,
    )


@pytest.mark.parametrize("words", [(), pytest.param(("-n", "1"), marks=pytest.mark.slow)], ids=["here", "workers"])
def test_a_renewal_keeps_its_reason_and_the_earlier_ones(project: Project, words: tuple[str, ...]) -> None:
    project.renewed("first")
    before = project.file.read_bytes()
    project.renewed("nothing moved")
    assert project.file.read_bytes() == before
    project.measure({**VALUES, "count": {"seven": 8, "word": "a"}})
    result = project.renewed('because "8" > 7', *words)
    result.stdout.fnmatch_lines(["count seven * 7 * 8 *"])
    content = tomllib.loads(project.file.read_text())
    assert [renewal["reason"] for renewal in content["renewal"]] == ['because "8" > 7', "first"]
    assert set(content["renewal"][0]) == {"date", "version", "platform", "reason"}
    assert content["count"]["values"] == {"seven": 8, "word": "a"}
    assert content["loss"] == {**tomllib.loads(before.decode())["loss"], "values": content["loss"]["values"]}
    assert len(before.splitlines()) + 6 == len(project.file.read_text().splitlines())
    project.run().assert_outcomes(passed=2)


def test_another_platform_has_its_own_tolerance(project: Project) -> None:
    project.renewed()
    text = project.file.read_text()
    project.file.write_text(text.replace("torch ", "torch 0."))
    near = {"loss": {"steady a": [2.0, 1.01, 0.5], "steady b": 3.35, "shaky c": 9.0}}
    near["genotype"] = {"cell": GENOTYPE.replace("skip_connect~1", "none~1"), "darts": DARTS}  # type: ignore[dict-item]
    project.measure({**VALUES, **near})
    project.run().assert_outcomes(passed=2)
    project.measure({**VALUES, "loss": {**near["loss"], "steady b": 3.4}})
    result = project.run()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["loss steady b * 3.333333333 * 3.4 * 0.02 relative * 0.01"])
    result.stdout.no_fnmatch_line("*steady a*")


def test_a_truth_is_never_renewed(project: Project) -> None:
    project.measure(VALUES, total=5)
    result = project.run("--update-golden", "five is nicer")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["truth.toml, arithmetic: 1 moved", "sums 2 + 2 * 4 * 5 * exact", "*not ours to renew*"]
    )
    assert (project.folder / "truth.toml").read_text() == TRUTH


def test_a_renewal_wants_a_reason(project: Project) -> None:
    result = project.run("--update-golden", " ")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert [line for line in result.errlines if line] == [
        'ERROR: --update-golden wants the reason, which the file keeps: --update-golden "why"'
    ]
    assert project.file.read_text() == FILE
    assert project.run("--update-golden", "a", "--add-golden", "b").ret == pytest.ExitCode.USAGE_ERROR


def test_an_addition_changes_no_other_entry(project: Project) -> None:
    project.renewed()
    before = tomllib.loads(project.file.read_text())
    more = {**VALUES, "count": {**VALUES["count"], "new one": 3}}
    project.measure(more)
    result = project.run()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(['*pytest -m known --add-golden "why"'])
    result = project.run("--add-golden", "a new method")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["count new one * - * new"])
    after = tomllib.loads(project.file.read_text())
    assert after["count"]["values"].pop("new one") == 3
    (addition,) = after.pop("addition")
    assert (addition["reason"], addition["entries"]) == ("a new method", ["count new one"])
    before["loss"]["values"].pop("shaky c"), after["loss"]["values"].pop("shaky c")  # not a number
    assert after == before
    project.run().assert_outcomes(passed=2)


@pytest.mark.parametrize("count", [{"seven": 8, "word": 'a "quoted" λ', "new one": 3}, {"seven": 7, "new one": 3}])
def test_nothing_is_added_while_another_entry_moved_or_is_gone(project: Project, count: dict[str, object]) -> None:
    project.renewed()
    before = project.file.read_bytes()
    project.measure({**VALUES, "count": count})
    result = project.run("--add-golden", "a new method")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(['*pytest -m known --update-golden "why"'])
    assert project.file.read_bytes() == before


def test_an_entry_belongs_to_the_platform_on_which_it_was_added(project: Project) -> None:
    """The others were measured elsewhere and may differ by more; a renewal of the file makes all of one platform."""
    project.renewed()
    project.file.write_text(project.file.read_text().replace("torch ", "torch 0."))
    loss = {**VALUES["loss"], "steady new": 2.0}
    project.measure({**VALUES, "loss": loss})
    project.run("--add-golden", "a new method").assert_outcomes(passed=2)
    project.measure({**VALUES, "loss": {**loss, "steady a": [2.0, 1.01, 0.5], "steady new": 2.01}})
    result = project.run()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["loss steady new * 2.0 * 2.01 * 0.005 relative * 1e-06"])
    result.stdout.no_fnmatch_line("*steady a*")
    project.renewed("of this platform")
    assert "addition" not in tomllib.loads(project.file.read_text())


def test_a_truth_is_not_added_to(project: Project) -> None:
    (project.folder / "test_truth.py").write_text(
        "def test_truth(golden):\n    golden('truth', {'sums': {'2 + 2': 4, '2 + 3': 5}})\n"
    )
    project.run("--add-golden", "more").assert_outcomes(passed=1, failed=1)
    assert (project.folder / "truth.toml").read_text() == TRUTH


def test_what_has_no_stated_tolerance_is_not_taken(project: Project) -> None:
    project.measure({**VALUES, "seconds": {"a": 1}})
    result = project.run("--update-golden", "more")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*example.toml: state a measure, a tolerance and why for*seconds*"])


def test_every_file_says_whose_numbers_they_are_or_why_they_were_measured() -> None:
    for path in sorted(Path(__file__).parent.glob("*.toml")):
        content = tomllib.loads(path.read_text())
        assert ("truth" in content) != ("renewal" in content), path
        assert all(renewal["reason"].strip() for renewal in content.get("renewal", []))
