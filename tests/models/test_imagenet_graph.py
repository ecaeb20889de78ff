"""The committed graph of `imagenet`: real photos that come inside packages."""

from __future__ import annotations

from pathlib import Path

import pytest
import skimage
import sklearn.datasets

from shared.manifest import Model, read_model
from shared.preparation import prepare
from worker.engines import Engine, engines_for, load_engine
from worker.golden import disagreement

FOLDER = Path(__file__).parents[2] / "models" / "imagenet"
SKIMAGE = Path(skimage.__file__).parent / "data"
SKLEARN = Path(sklearn.datasets.__file__).parent / "images"
DOG = Path("../shared/data/photos/dog.jpg")  # the Keras tutorial's
MOST = 50_000_000


@pytest.fixture(scope="module")
def model() -> Model:
    return read_model(FOLDER)


@pytest.fixture(scope="module", params=["session", "litert"])
def engine(request: pytest.FixtureRequest, model: Model) -> Engine:
    return load_engine(request.param, model, 1)


@pytest.mark.parametrize(
    ("photo", "label", "among"),
    [
        (SKIMAGE / "chelsea.png", "Egyptian_cat", 5),
        (SKIMAGE / "coffee.png", "espresso", 1),
        (SKIMAGE / "rocket.jpg", "missile", 5),
        (SKLEARN / "flower.jpg", "daisy", 5),
        pytest.param(
            *(DOG, "beagle", 1),
            marks=pytest.mark.skipif(not DOG.exists(), reason="the tutorial's photo is not here"),
        ),
    ],
    ids=lambda value: value.stem if isinstance(value, Path) else None,
)
def test_a_photo_gets_its_label(
    engine: Engine, model: Model, photo: Path, label: str, among: int
) -> None:
    _, tensors = prepare(model, photo.read_bytes(), [], MOST)
    (answer,) = engine.run(tensors)
    labels = [model.classifiers[0].labels[place] for place in answer.labels[0, :among]]
    assert label in labels


def test_the_engines_agree_on_the_golden_examples(engine: Engine, model: Model) -> None:
    assert engine.name in engines_for(model)
    assert disagreement(engine, model) == ""


def test_there_is_a_label_of_its_own_for_each_of_the_classes(model: Model) -> None:
    (classifier,) = model.classifiers
    assert len(classifier.labels) == 1000
    assert (classifier.labels[162], classifier.labels[167]) == ("beagle", "English_foxhound")


def test_the_graph_is_small_enough_to_commit() -> None:
    sizes = {path.name: path.stat().st_size for path in (FOLDER / "1").iterdir()}
    assert sizes["efficientnetLite0.pb"] < 10e6
    assert sizes["imagenet.tflite"] < 10e6
