"""`dartboard run` and `dartboard search`: a study is run, grown, reported and compared."""

from pathlib import Path

from suite.store import HISTORY, RECORD


def test_a_study_end_to_end(dartboard, document, brief_solutions, tiny_study: Path, tmp_path: Path) -> None:
    runs, report = tmp_path / "runs", tmp_path / "report"
    first = dartboard("run", tiny_study, "--out", runs, "--jobs", "1", "--report", report)
    assert first.exit_code == 0, first.output
    assert "tiny: 2 trials, 0 finished before, 1 at a time" in first.output
    assert (report / "index.html").is_file()
    assert (report / "report.tex").is_file()
    assert str(report / "index.html") in first.output
    assert "darts-1st" in first.output
    records = sorted(runs.rglob(RECORD))
    assert len(records) == 2
    stamps = [path.stat().st_mtime_ns for path in records]

    again = document("run", tiny_study, "--out", runs, "--jobs", "1")
    assert again["trials"] == 2
    assert again["run_now"] == 0
    assert [path.stat().st_mtime_ns for path in records] == stamps

    compared = document("compare", runs)
    methods = {row["method"] for group in compared["groups"] for row in group["methods"]}
    assert methods == {"darts-1st", "random"}


def test_a_study_grows_by_what_is_missing(document, tiny_study: Path, finished: Path) -> None:
    tiny_study.write_text(tiny_study.read_text().replace("seeds = [0]", "seeds = [0, 1]"))
    grown = document("run", tiny_study, "--out", finished, "--jobs", "1")
    assert (grown["trials"], grown["run_now"]) == (4, 2)


def test_search_prints_its_record(document, tiny_npz: Path, tmp_path: Path) -> None:
    record = document(
        "search", "darts-1st", "--dataset", f"npz:{tiny_npz}", "--out", tmp_path, "--set", "epochs=1", "--set",
        "batch_size=8", "--set", "evaluate.epochs=1",
    )  # fmt: skip
    assert record["settings"]["epochs"] == 1
    assert record["origin"]["epochs"] == "settings"
    assert record["recipe"]["order within a step"] == "the weights, then alpha"
    assert (tmp_path / record["key"] / HISTORY).is_file()


def test_a_truncated_record_stops_a_run_before_it_starts(
    dartboard, tiny_study: Path, finished: Path, tmp_path: Path
) -> None:
    runs = finished
    victim = next(runs.rglob(RECORD))
    victim.write_bytes(victim.read_bytes()[:50])
    for arguments in (["run", tiny_study, "--out", runs], ["report", runs, "--out", tmp_path / "r"], ["compare", runs]):
        result = dartboard(*arguments)
        assert result.exit_code == 2
        assert str(victim) in result.stderr.replace("\n", "")
    assert not (tmp_path / "r").exists()


def test_ctrl_c_says_how_to_continue(dartboard, tiny_study: Path, tmp_path: Path, monkeypatch) -> None:
    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("suite.executors.local.run_trial", interrupted)
    result = dartboard("run", tiny_study, "--out", tmp_path / "runs", "--jobs", "1")
    assert result.exit_code == 130
    assert "the same command continues" in result.stderr
