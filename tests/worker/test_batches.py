"""Requests that ask different classifiers, in one batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from shared.images import Crop
from shared.manifest import Classifier, Model, NoSuchClassifierError
from shared.messages import Request, Result, Tensor, decode_results
from shared.queue import Queue
from tests.worker.fakes import LABELS
from worker.engines import TOP, Answer
from worker.loop import Worker

MAILBOX = "e" * 32


def classifier(name: str, side: int) -> Classifier:
    crop = Crop(side, side, fraction=1.0)
    return Classifier(name, crop, 0.0, 1.0, Path("none"), "in", "out", LABELS)


MODEL = Model("pair", "1", "", (classifier("large", 4), classifier("small", 2)))


class Recorder:
    """Says that an item is what its first pixel says; notes what it was asked."""

    name = "fake"

    def __init__(self) -> None:
        self.calls: list[tuple[tuple[int, ...], list[tuple[int, ...]]]] = []

    def run(
        self, tensors: Sequence[Tensor], top_k: int = TOP, asked: Sequence[int] = ()
    ) -> list[Answer]:
        self.calls.append((tuple(asked), [tensor.shape for tensor in tensors]))
        answers = []
        for tensor in tensors:
            first = tensor[:, 0, 0, 0].astype(int)
            labels = (first[:, None] + np.arange(top_k)) % len(LABELS)
            answers.append(Answer(np.full(labels.shape, 0.125, np.float32), labels))
        return answers


def request(value: int, *asked: int, items: int = 1) -> Request:
    """Return a request that is `label <value>` for `large`, and the next for `small`."""
    whole = [np.full((items, side, side, 3), value + n, np.uint8) for n, side in enumerate((4, 2))]
    tensors = [whole[place] for place in asked]
    return Request(f"{value:032x}", tensors, 5000, 5, MAILBOX, classifiers=asked)


def answers(queue: Queue) -> dict[str, Result]:
    received: list[Result] = []
    while payload := queue.receive(MAILBOX, 0.1):
        received += decode_results(payload)
    return {result.id: result for result in received}


def tops(result: Result) -> list[dict[str, str]]:
    return [{name: top[0]["label"] for name, top in item.items()} for item in result.items]


def test_each_request_gets_the_classifiers_that_it_asked_and_no_other_runs(queue: Queue) -> None:
    asked = [
        request(1, 0, 1),
        request(2, 1),
        request(3, 0, 1, items=2),
        request(4, 0),
        request(5, 1),
    ]
    queue.enqueue([one.encode() for one in asked])
    engine = Recorder()
    assert Worker(queue, engine, MODEL, "w", [1.0] * 8).run_once() == 6
    assert engine.calls == [
        ((0, 1), [(3, 4, 4, 3), (3, 2, 2, 3)]),
        ((1,), [(2, 2, 2, 3)]),
        ((0,), [(1, 4, 4, 3)]),
    ]
    found = {id_: tops(result) for id_, result in answers(queue).items()}
    assert found == {
        asked[0].id: [{"large": "label 1", "small": "label 2"}],
        asked[1].id: [{"small": "label 3"}],
        asked[2].id: [{"large": "label 3", "small": "label 4"}] * 2,
        asked[3].id: [{"large": "label 4"}],
        asked[4].id: [{"small": "label 6"}],
    }


@pytest.mark.parametrize("asked", [(1,), (2,), (0, 0)])
def test_tensors_for_another_classifier_than_they_say_fail_alone(
    asked: tuple[int, ...], queue: Queue
) -> None:
    wrong = request(7, *[0] * len(asked))
    queue.enqueue([dataclasses.replace(wrong, classifiers=asked).encode(), request(1, 1).encode()])
    Worker(queue, Recorder(), MODEL, "w", [1.0] * 8).run_once()
    found = answers(queue)
    assert found[wrong.id].error == "failed"
    assert tops(found[request(1, 1).id]) == [{"small": "label 2"}]


def test_a_model_can_be_narrowed_to_some_of_its_classifiers() -> None:
    assert [item.name for item in MODEL.only(["small"]).classifiers] == ["small"]
    assert [item.name for item in MODEL.only(["small", "large"]).classifiers] == ["large", "small"]
    with pytest.raises(NoSuchClassifierError, match="no classifier 'medium', but large, small"):
        MODEL.only(["small", "medium"])
