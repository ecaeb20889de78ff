"""The committed graph of the themes, asked alone: real photos that come inside packages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import skimage
import sklearn.datasets
import tensorflow as tf

from shared.manifest import read_model
from training.theme_photos import CROP, views

MODEL = Path(__file__).parents[2] / "models" / "tags"
LABELS = (MODEL / "1" / "themes.txt").read_text(encoding="utf-8").splitlines()
SKIMAGE = Path(skimage.__file__).parent / "data"
SKLEARN = Path(sklearn.datasets.__file__).parent / "images"

Floats = npt.NDArray[np.float32]
Classify = Callable[[Floats], Floats]


@pytest.fixture(scope="module")
def graph() -> tf.compat.v1.GraphDef:
    return tf.compat.v1.GraphDef.FromString((MODEL / "1" / "themeClassifier.pb").read_bytes())


@pytest.fixture(scope="module")
def classify(graph: tf.compat.v1.GraphDef) -> Iterator[Classify]:
    """Crops [n, 224, 224, 3] as the network takes them → probabilities [n, 42]."""
    with tf.Graph().as_default() as loaded:
        tf.import_graph_def(graph, name="")
        with tf.compat.v1.Session(graph=loaded) as session:
            yield lambda crops: session.run("probabilities:0", {"image:0": crops})


@pytest.mark.parametrize(
    ("photo", "theme", "among"),
    [
        (SKIMAGE / "chelsea.png", "Cats", 1),
        (SKIMAGE / "coffee.png", "Drinks", 2),
        (SKIMAGE / "rocket.jpg", "Aviation & Space", 5),
        (SKIMAGE / "motorcycle_left.png", "Cycling & Motorcycles", 2),
        (SKLEARN / "china.jpg", "Architecture", 1),
        (SKLEARN / "flower.jpg", "Gardening", 2),
    ],
    ids=lambda value: value.stem if isinstance(value, Path) else None,
)
def test_a_photo_gets_its_theme_wherever_the_point_is(
    classify: Classify, photo: Path, theme: str, among: int
) -> None:
    for probabilities in classify(views(photo.read_bytes())):
        first = [LABELS[place] for place in np.argsort(-probabilities)[:among]]
        assert theme in first


def test_the_probabilities_sum_to_one_and_do_not_depend_on_the_batch(classify: Classify) -> None:
    crops = views((SKIMAGE / "coffee.png").read_bytes())
    together = classify(crops)
    alone = np.concatenate([classify(crop[None]) for crop in crops])
    assert together.shape == (len(crops), len(LABELS))
    np.testing.assert_allclose(together.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(together, alone, atol=1e-4)


def test_the_graph_holds_constants_only_and_is_small(graph: tf.compat.v1.GraphDef) -> None:
    assert {node.op for node in graph.node} == {
        "BiasAdd",
        "Const",
        "Conv2D",
        "DepthwiseConv2dNative",
        "AddV2",
        "MatMul",
        "Mean",
        "Placeholder",
        "Relu6",
        "Softmax",
    }
    assert graph.ByteSize() < 25e6


def test_training_cuts_photos_as_the_manifest_says() -> None:
    themes = {one.name: one for one in read_model(MODEL).classifiers}["themes"]
    assert themes.crop == CROP
    black_and_white = np.array([0, 255], np.float32)
    served = themes.low + black_and_white * (themes.high - themes.low) / 255
    np.testing.assert_allclose((black_and_white - 127) / 128, served)
