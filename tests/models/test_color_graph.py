"""The committed graph of the colours, asked alone: patches that leave no doubt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from shared.manifest import read_model
from training.colors import CROP

FOLDER = Path(__file__).parents[2] / "models" / "tags" / "1"
LABELS = (FOLDER / "colors.txt").read_text(encoding="utf-8").splitlines()

Floats = npt.NDArray[np.float32]
Classify = Callable[[Floats], Floats]


@pytest.fixture(scope="module")
def graph() -> tf.compat.v1.GraphDef:
    return tf.compat.v1.GraphDef.FromString((FOLDER / "colorClassifier.pb").read_bytes())


@pytest.fixture(scope="module")
def classify(graph: tf.compat.v1.GraphDef) -> Iterator[Classify]:
    """Patches [n, 9, 9, 3] with values 0-1 → probabilities [n, 18]."""
    with tf.Graph().as_default() as loaded:
        tf.import_graph_def(graph, name="")
        with tf.compat.v1.Session(graph=loaded) as session:
            yield lambda patches: session.run("probabilities:0", {"image:0": patches})


def flat(*colours: tuple[int, int, int]) -> Floats:
    pixels = np.array(colours, np.float32)[:, None, None] / 255
    return np.tile(pixels, (1, 9, 9, 1))


def best(probabilities: Floats, count: int = 1) -> list[str]:
    return [LABELS[place] for place in np.argsort(-probabilities)[:count]]


@pytest.mark.parametrize(
    ("label", "colour"),
    [
        ("red", (255, 0, 0)),
        ("green", (0, 255, 0)),
        ("green", (0, 128, 0)),
        ("blue", (0, 0, 255)),
        ("yellow", (255, 255, 0)),
        ("white", (255, 255, 255)),
        ("black", (0, 0, 0)),
        ("grey", (128, 128, 128)),
        ("orange", (255, 128, 0)),
        ("pink", (255, 130, 190)),
        ("purple", (128, 0, 160)),
        ("brown", (110, 60, 20)),
        ("turquoise", (0, 200, 190)),
        ("beige", (225, 205, 170)),
    ],
)
def test_a_plain_colour_gets_its_name(
    classify: Classify, label: str, colour: tuple[int, int, int]
) -> None:
    assert best(classify(flat(colour))[0]) == [label]


def checks(side: int) -> Floats:
    y, x = np.mgrid[:9, :9] // side
    return np.repeat(((x + y) % 2)[..., None], 3, axis=-1).astype(np.float32)


@pytest.mark.parametrize("side", [2, 3, 4])
def test_a_check_of_black_and_white_is_black_and_white(classify: Classify, side: int) -> None:
    assert "black & white" in best(classify(checks(side)[None])[0], 3)


@pytest.mark.parametrize("turned", [False, True])
def test_stripes_of_many_hues_are_multi_colored(classify: Classify, turned: bool) -> None:
    hues = np.array(
        [(220, 20, 40), (250, 210, 30), (30, 150, 60), (30, 60, 200), (200, 60, 170)], np.float32
    )
    patch = np.repeat(hues[np.arange(9) // 2][None], 9, axis=0) / np.float32(255)
    patch = patch.transpose(1, 0, 2) if turned else patch
    assert "multi-colored" in best(classify(patch[None])[0], 3)


def test_probabilities_sum_to_one_also_for_noise(classify: Classify) -> None:
    patches = np.random.default_rng(0).random((32, 9, 9, 3)).astype(np.float32)
    probabilities = classify(patches)
    assert probabilities.shape == (32, len(LABELS))
    assert probabilities.min() >= 0
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_a_patch_gets_the_same_answer_alone_and_in_a_batch(classify: Classify) -> None:
    patches = np.random.default_rng(1).random((8, 9, 9, 3)).astype(np.float32)
    alone = np.concatenate([classify(patch[None]) for patch in patches])
    np.testing.assert_allclose(classify(patches), alone, atol=1e-5)


def test_the_graph_is_frozen_and_has_no_control_flow(graph: tf.compat.v1.GraphDef) -> None:
    operations = {node.op for node in graph.node}
    refused = {"VarHandleOp", "VariableV2", "While", "StatelessWhile", "If", "Enter", "Switch"}
    assert not operations & (refused | {"PartitionedCall", "StatefulPartitionedCall"})
    (image,) = (node for node in graph.node if node.op == "Placeholder")
    assert image.name == "image"
    assert "probabilities" in {node.name for node in graph.node}


def test_the_crop_that_is_served_is_the_one_trained_on() -> None:
    (colors,) = (entry for entry in read_model(FOLDER.parent).classifiers if entry.name == "colors")
    assert colors.crop == CROP
    assert (colors.low, colors.high) == (0, 1)
