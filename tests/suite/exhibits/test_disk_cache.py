"""What is kept in the user's cache: the same as worked out, worked out again when it must be."""

from pathlib import Path

import pytest
from pandas.testing import assert_frame_equal

from suite import analytic
from suite.exhibits import disk_cache
from suite.exhibits.solved import solved


@pytest.fixture
def cache(brief_solutions: Path) -> Path:
    return brief_solutions


def test_the_solvable_model_is_solved_once_and_read_back_to_the_bit(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records, histories = solved()
    assert len(list(cache.iterdir())) == len(records) > 1
    monkeypatch.setattr(analytic, "solve", None)  # whoever calls it now fails
    again, read = solved()
    assert_frame_equal(again, records, check_exact=True)
    assert_frame_equal(read, histories, check_exact=True)


def test_other_settings_and_other_code_are_worked_out(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert disk_cache.kept({"eta": 0.1}, lambda: [0.1 + 0.2]) == [0.1 + 0.2]
    assert disk_cache.kept({"eta": 0.1}, lambda: "not asked") == [0.1 + 0.2]
    assert disk_cache.kept({"eta": 0.2}, lambda: 2) == 2
    monkeypatch.setattr(disk_cache, "code", lambda: "changed")
    assert disk_cache.kept({"eta": 0.1}, lambda: 3) == 3
    assert len(list(cache.iterdir())) == 3


def test_damage_and_a_cache_that_cannot_be_written_only_cost_time(cache: Path) -> None:
    disk_cache.kept({}, lambda: 1)
    (path,) = cache.iterdir()
    path.write_text("[")
    assert disk_cache.kept({}, lambda: 2) == 2
    assert disk_cache.kept({}, lambda: 3) == 2  # whole again
    path.unlink()
    cache.rmdir()
    cache.write_text("a file where the folder should be")
    assert disk_cache.kept({}, lambda: 4) == 4
