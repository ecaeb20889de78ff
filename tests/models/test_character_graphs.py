"""The committed graphs of `characters` and `digits`, asked as the service asks them."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.manifest import Model, read_model
from shared.preparation import prepare
from training.characters_data import STEPS
from training.characters_fonts import LABELS, draw_pictures
from worker.engines import Engine, engines_for, load_engine
from worker.golden import disagreement

MODELS = Path(__file__).parents[2] / "models"
MOST = 50_000_000


@pytest.fixture(scope="module", params=["digits", "characters"])
def model(request: pytest.FixtureRequest) -> Model:
    return read_model(MODELS / request.param)


@pytest.fixture(scope="module", params=["session", "litert"])
def engine(request: pytest.FixtureRequest, model: Model) -> Engine:
    return load_engine(request.param, model, 1)


def first_answers(engine: Engine, model: Model, characters: str) -> str:
    """Return what is read of pictures of `characters`, black on white."""
    answers = []
    for picture in draw_pictures(characters):
        _, tensors = prepare(model, picture, [], MOST)
        (answer,) = engine.run(tensors)
        answers.append(model.classifiers[0].labels[answer.labels[0, 0]])
    return "".join(answers)


def test_drawn_characters_are_read(engine: Engine, model: Model) -> None:
    """Those that no other one looks like when its size is lost."""
    assert first_answers(engine, model, "23456789") == "23456789"
    if model.name == "characters":
        assert first_answers(engine, model, "ABDEFGHMNQRTabdefhnrt") == "ABDEFGHMNQRTabdefhnrt"


def test_the_engines_agree_on_the_golden_examples(engine: Engine, model: Model) -> None:
    assert engine.name in engines_for(model)
    assert disagreement(engine, model) == ""


def test_the_manifest_names_the_steps_that_it_was_trained_with(model: Model) -> None:
    (classifier,) = model.classifiers
    assert classifier.steps == STEPS
    assert classifier.shape == (28, 28, 1)
    assert "".join(classifier.labels) == LABELS[: len(classifier.labels)]


def test_the_files_are_small_enough_to_commit(model: Model) -> None:
    folder = MODELS / model.name / "1"
    assert sum(path.stat().st_size for path in folder.iterdir()) < 3e6
