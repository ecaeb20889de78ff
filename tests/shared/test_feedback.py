"""The file of predictions and choices: what it keeps, what it lets go of, and when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from shared.feedback import FILE, Feedback, Prediction
from tests.clock import Clock

DAY = 86_400.0


@pytest.fixture
def feedback(tmp_path: Path, clock: Clock) -> Iterator[Feedback]:
    feedback = Feedback(tmp_path, 1024 * 1024, 7, clock)
    yield feedback
    feedback.close()


def made(number: int, size: int = 10, points: int = 1) -> Prediction:
    themes = [{"label": "Cats", "probability": 0.5}]
    items = [{"point": [place, 0], "themes": themes} for place in range(points)]
    return Prediction(f"{number:032x}", "tags", "1", b"x" * size, items)


def kept(feedback: Feedback, count: int) -> list[int]:
    return [number for number in range(count) if feedback.find(f"{number:032x}")]


def test_a_prediction_and_its_choice_come_back_whole(feedback: Feedback, clock: Clock) -> None:
    feedback.keep([made(1, points=2)])
    clock.now += 60
    assert feedback.choose(made(1).request_id, 1, {"themes": "Dogs"})
    (choice,) = feedback.choices(images=True)
    assert choice.prediction.image == b"x" * 10
    assert (choice.prediction.at, choice.at) == (clock() - 60, clock())
    assert choice.item == {"point": [1, 0], "themes": [{"label": "Cats", "probability": 0.5}]}
    assert choice.chosen == {"themes": "Dogs"}
    assert feedback.counts() == [("tags", "1", 2)]


def test_a_later_choice_replaces_an_earlier_one_of_its_classifier_alone(
    feedback: Feedback,
) -> None:
    feedback.keep([made(1)])
    feedback.choose(made(1).request_id, 0, {"themes": "Dogs", "colors": "red"})
    feedback.choose(made(1).request_id, 0, {"themes": None})
    (choice,) = feedback.choices()
    assert choice.chosen == {"themes": None, "colors": "red"}


def test_a_choice_without_its_prediction_is_not_kept(feedback: Feedback) -> None:
    assert not feedback.choose(made(1).request_id, 0, {"themes": "Dogs"})
    assert list(feedback.choices()) == []


def test_the_same_request_is_kept_once(feedback: Feedback) -> None:
    feedback.keep([made(1), made(1)])
    feedback.keep([made(1, size=20)])
    feedback.choose(made(1).request_id, 0, {"themes": "Dogs"})
    assert [len(choice.prediction.image) for choice in feedback.choices(images=True)] == [10]


def test_what_is_too_old_goes_with_its_choices(feedback: Feedback, clock: Clock) -> None:
    feedback.keep([made(0)])
    feedback.choose(made(0).request_id, 0, {"themes": "Dogs"})
    clock.now += 6 * DAY
    feedback.keep([made(1)])
    assert kept(feedback, 2) == [0, 1]
    clock.now += 2 * DAY
    feedback.keep([made(2)])
    assert kept(feedback, 3) == [1, 2]
    assert list(feedback.choices()) == []


def test_what_is_too_old_goes_where_nothing_new_comes_and_leaves_no_trace(
    feedback: Feedback, clock: Clock, tmp_path: Path
) -> None:
    photo = replace(made(0), image=b"a photo of somebody" * 2000)
    feedback.keep([photo, made(1)])
    feedback.choose(made(1).request_id, 0, {"themes": "Dogs"})

    def traces() -> int:
        return sum(b"of somebody" in path.read_bytes() for path in tmp_path.iterdir())

    clock.now += 6 * DAY
    feedback.purge()
    assert kept(feedback, 2) == [0, 1]
    assert traces()
    clock.now += 2 * DAY
    feedback.purge()
    assert kept(feedback, 2) == []
    assert list(feedback.choices()) == []
    assert not traces()


def test_over_the_bound_those_without_a_choice_go_first_then_the_oldest(
    feedback: Feedback, clock: Clock, tmp_path: Path
) -> None:
    chosen = set(range(0, 100, 4))
    for number in range(100):
        clock.now += 1
        feedback.keep([made(number, size=30_000)])
        if number in chosen:
            feedback.choose(made(number).request_id, 0, {"themes": "Dogs"})
    left = set(kept(feedback, 100))
    assert max(left) == 99, "the newest is kept"
    assert 20 <= len(left) <= 35, "a megabyte of them"
    assert {number for number in left if number not in chosen} < set(range(90, 100))
    gone = chosen - left
    assert not gone or max(gone) < min(chosen & left), "of those with a choice, the oldest went"
    feedback.close()  # and takes its journal in
    assert (tmp_path / FILE).stat().st_size < 1.3 * 1024 * 1024
