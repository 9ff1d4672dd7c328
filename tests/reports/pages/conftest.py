"""Reports that tests of pages write themselves show few exhibits: all of them take ten seconds to draw."""

from itertools import islice

import pytest

from reports.exhibits.catalogue import catalogue


@pytest.fixture(scope="session")
def few_exhibits():
    """The first exhibits of the catalogue, in place of `reports.render.catalogue`."""
    return lambda: dict(islice(catalogue().items(), 2))


@pytest.fixture(autouse=True)
def fewer_exhibits(monkeypatch, few_exhibits):
    """Reports written in a test show few exhibits. The session's `report` shows all."""
    monkeypatch.setattr("reports.render.catalogue", few_exhibits)
