"""The figures that were to be reached."""

from __future__ import annotations

from dataclasses import replace

from bench.compare.figures import Results
from bench.compare.targets import LITERT, targets
from tests.bench.test_figures import row

MOSEC = "mosec, litert, own decode"


def compared(*theirs: tuple[float, int]) -> list[float]:
    """Return what 90 answers/s less theirs are, of which so many others were lost, by rounds."""
    results = Results()
    for number, (per_s, lost) in enumerate(theirs, 1):
        other = replace(row(number, per_s, 100, MOSEC), answers=20, errors={"too late": lost})
        results.rows += [row(number, 90, 100, LITERT), other]
    pairs = [each for each in targets(results) if MOSEC in each.what]
    return [round(each.measured, 6) for each in pairs]


def test_a_server_that_stopped_answering_is_not_beaten() -> None:
    assert compared((80, 0), (0, 16 + 20)) == [0.1]
    assert compared((0, 16 + 20)) == []


def test_one_that_lost_some_requests_is_compared() -> None:
    assert compared((80, 19)) == [0.1]
