"""Which engine serves."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from shared.manifest import Model, read_model
from shared.messages import Tensor
from shared.settings import Settings
from tests.service import ROOT
from tests.worker.fakes import MODEL
from worker.engines import TOP, Answer, engines_for, load_engine
from worker.golden import disagreement
from worker.trial import (
    Choice,
    EngineError,
    Trial,
    choose,
    decide,
    load,
    try_apart,
    try_engine,
)

SESSION = Trial("session", curve_ms={1: 10.0, 4: 40.0})


def litert(ms: float, error: str = "") -> Trial:
    return Trial("litert", curve_ms={1: ms, 4: 4 * ms}, error=error)


def test_the_fastest_serves_and_says_why() -> None:
    choice = choose([SESSION, litert(5.001)])
    assert choice.engine == "litert"
    assert choice.why == "session 100/s, litert 200/s"
    assert [trial["curve_ms"] for trial in choice.trials] == [{1: 10.0, 4: 40.0}, {1: 5, 4: 20}]


def test_the_session_serves_where_it_is_worth_its_memory() -> None:
    choice = choose([SESSION, litert(12.4)])
    assert choice.engine == "litert"
    assert choice.why.endswith("; litert for its memory: the session is not faster by a quarter")
    assert choose([SESSION, litert(10)]).engine == "litert"
    assert "memory" not in choose([SESSION, litert(9.9)]).why
    assert choose([SESSION, litert(12.6)]).engine == "session"


def test_one_that_does_not_agree_does_not_serve_however_fast() -> None:
    choice = choose([SESSION, litert(1, "themes: another likeliest label")])
    assert choice.engine == "session"
    assert choice.why == "session 100/s; litert: themes: another likeliest label"


def test_a_batch_that_takes_too_long_does_not_count() -> None:
    assert choose([SESSION, Trial("litert", curve_ms={1: 20.0, 32: 101.0})]).engine == "session"


def test_where_none_can_serve_it_says_what_was_wrong_with_each() -> None:
    with pytest.raises(EngineError, match="litert: ended with -9"):
        choose([litert(1, "ended with -9")])
    with pytest.raises(EngineError, match="none is installed"):
        choose([])


def test_each_engine_that_can_run_the_model_is_tried_unless_one_is_named() -> None:
    tried: list[str] = []

    def run(name: str) -> Trial:
        tried.append(name)
        return SESSION if name == "session" else litert(5)

    model = dataclasses.replace(MODEL, litert=Path("some.tflite"))
    assert decide(Settings(), model, run).engine == "litert"
    assert tried == ["session", "litert"]
    assert decide(Settings(engine="session"), model, run) == Choice("session", "ENGINE=session")
    assert len(tried) == 2
    with pytest.raises(EngineError, match="'litert' cannot run model 'tags'"):
        decide(Settings(engine="litert"), MODEL, run)


def test_a_model_without_a_litert_graph_has_the_session() -> None:
    assert engines_for(MODEL) == ["session"]


def test_a_trial_in_a_process_of_its_own(tmp_path: Path) -> None:
    script = ROOT / "run_worker.py"
    command = ["env", "-C", str(tmp_path), f"MODELS_FOLDER={ROOT / 'models'}", sys.executable]
    trial = try_apart("litert", [*command, str(script), "--trial", "litert"])
    assert (trial.engine, trial.error) == ("litert", "")
    assert list(trial.curve_ms)[:3] == [1, 2, 4]
    assert trial.speed > 1


def test_a_trial_that_fails_says_why() -> None:
    fails = [sys.executable, "-c", "import sys; sys.exit('themes: wrong')"]
    assert try_apart("litert", fails) == Trial("litert", error="themes: wrong")
    dies = [sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]
    assert try_apart("litert", dies) == Trial("litert", error="ended with -9")


TAGS = read_model(Path("models/tags"))


@pytest.mark.parametrize("name", engines_for(TAGS))
def test_both_engines_agree_on_the_golden_examples(name: str) -> None:
    assert disagreement(load_engine(name, TAGS, 1), TAGS) == ""


@pytest.mark.parametrize("name", engines_for(TAGS))
def test_a_classifier_that_is_asked_alone_says_the_same(name: str) -> None:
    engine = load_engine(name, TAGS, 1)
    assert TAGS.golden is not None
    with np.load(TAGS.golden) as arrays:
        tensors = [arrays[f"input_{item.name}"] for item in TAGS.classifiers]
    together = engine.run(tensors, 1000)
    for top_k in (TOP, 1000):
        for place, tensor in enumerate(tensors):
            (alone,) = engine.run([tensor], top_k, [place])
            assert (alone.labels == together[place].labels[:, :top_k]).all()
            expected = together[place].probabilities[:, :top_k]
            np.testing.assert_allclose(alone.probabilities, expected, atol=1e-5)


def swap(model: Model, **changes: object) -> Model:
    """Return the model with something wrong about its second classifier."""
    first, second = model.classifiers
    return dataclasses.replace(model, classifiers=(first, dataclasses.replace(second, **changes)))  # type: ignore[arg-type]


def test_an_engine_that_departs_from_the_golden_examples_is_refused() -> None:
    wrong = swap(TAGS, high=0.5)
    with pytest.raises(EngineError, match="engine 'session': colors: "):
        load("session", Settings(), wrong)


class Alone:
    """LiteRT, but what it says of a classifier that is asked alone."""

    name = "litert"

    def __init__(self, alone: Callable[[Answer], Answer]) -> None:
        self._engine = load_engine("litert", TAGS, 1)
        self._alone = alone

    def run(
        self, tensors: Sequence[Tensor], top_k: int = TOP, asked: Sequence[int] = ()
    ) -> list[Answer]:
        answers = self._engine.run(tensors, top_k, asked)
        return [self._alone(answer) for answer in answers] if asked else answers


def fails(answer: Answer) -> Answer:
    raise ValueError("too many subgraphs")


def turned(answer: Answer) -> Answer:
    return Answer(answer.probabilities[:, ::-1], answer.labels)


@pytest.mark.parametrize(
    ("alone", "reason"),
    [(fails, "cannot be asked alone: too many subgraphs"), (turned, "says something else")],
)
def test_an_engine_whose_classifiers_cannot_be_asked_alone_is_refused(
    alone: Callable[[Answer], Answer], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.trial.load_engine", lambda *_: Alone(alone))
    with pytest.raises(EngineError, match=f"engine 'litert': themes: {reason}"):
        try_engine("litert", Settings(max_batch=1), TAGS)


def test_a_graph_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"no graph")
    with pytest.raises(EngineError, match="engine 'litert' cannot load model 'tags'"):
        load("litert", Settings(), dataclasses.replace(TAGS, litert=broken))


def test_litert_answers_any_number_of_labels_for_any_size() -> None:
    engine = load_engine("litert", TAGS, 1)
    assert TAGS.golden is not None
    with np.load(TAGS.golden) as arrays:
        tensors = [arrays[f"input_{item.name}"] for item in TAGS.classifiers]
    whole = engine.run(tensors, 1000)
    assert [answer.labels.shape[1] for answer in whole] == [42, 18]
    assert all(np.allclose(answer.probabilities.sum(axis=1), 1, atol=1e-3) for answer in whole)
    for place in range(len(tensors[0])):
        alone = engine.run([tensor[place : place + 1] for tensor in tensors])
        for one, all_ in zip(alone, whole, strict=True):
            assert one.labels[0].tolist() == all_.labels[place, :TOP].tolist()
            assert np.allclose(one.probabilities[0], all_.probabilities[place, :TOP], atol=1e-5)


def test_labels_that_are_not_the_graphs_are_named_with_both_counts() -> None:
    themes, colors = TAGS.classifiers
    fewer = dataclasses.replace(themes, labels=themes.labels[:5])
    counts = r"puts out \[42, 18\], the labels are \[5, 18\]"
    with pytest.raises(EngineError, match=counts):
        load("litert", Settings(), dataclasses.replace(TAGS, classifiers=(fewer, colors)))
