"""A classifier's graph in each of its formats, made here, served by the engine that can."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from shared.manifest import ManifestError, Model, read_model
from shared.messages import Tensor
from shared.settings import Settings
from tests.worker.formats import (
    HIGH,
    LABELS,
    MANIFEST,
    build,
    frozen,
    keras,
    saved,
    saved_with_names,
    tflite,
    tflite_with_loops,
)
from worker.engines import engines_for, load_engine
from worker.golden import disagreement_alone
from worker.trial import EngineError, load

# TensorFlow's own, when it writes a network's variables.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def network() -> Any:
    """The network that all formats are made of."""
    return build()


@pytest.fixture(scope="module")
def pixels() -> Tensor:
    """Four images, each brighter than the one before."""
    noise = np.random.default_rng(1).random((4, 5, 6, 3))
    brightness = np.array([10, 60, 140, 255])[:, None, None, None]
    return np.asarray(noise * brightness, np.uint8)


@pytest.fixture(scope="module")
def expected(network: Any, pixels: Tensor) -> Tensor:
    """The softmax that the network gives by itself, float32 [4, 7]."""
    softmax: Tensor = network(pixels.astype(np.float32) * (HIGH / 255)).numpy()
    assert len(set(softmax.argmax(axis=1))) > 1
    return softmax


def make(folder: Path, graph: str) -> Model:
    (folder / "labels.txt").write_text("".join(f"label {n}\n" for n in range(LABELS)))
    (folder / "model.toml").write_text(MANIFEST.replace("GRAPH", graph))
    return read_model(folder.parent)


def folder_of(tmp_path: Path) -> Path:
    folder = tmp_path / "small" / "1"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("save", [frozen, saved, saved_with_names, keras, tflite])
def test_each_format_says_what_the_network_says(
    save: Any, network: Any, pixels: Tensor, expected: Tensor, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path)
    model = make(folder, save(network, folder / "graph"))
    (name,) = engines_for(model)
    assert name == ("litert" if save is tflite else "session")
    engine = load_engine(name, model, 1)
    for size in (4, 1):
        (answer,) = engine.run([pixels[:size]], LABELS)
        found = np.empty_like(expected[:size])
        np.put_along_axis(found, answer.labels, answer.probabilities, axis=1)
        np.testing.assert_allclose(found, expected[:size], atol=1e-5)


def test_formats_are_mixed_in_one_model_and_each_is_asked_alone(
    network: Any, pixels: Tensor, expected: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(tmp_path)
    about = ""
    for name, save in (("pb", frozen), ("saved", saved), ("keras", keras)):
        graph = save(network, folder / "graph")
        about += MANIFEST.replace("first", name).replace("GRAPH", graph)
    make(folder, "graph")
    (folder / "model.toml").write_text(about)
    engine = load_engine("session", read_model(folder.parent), 1)
    together = engine.run([pixels] * 3)
    (alone,) = engine.run([pixels], asked=[1])
    fetched: list[int] = []
    session: Any = vars(engine)["_session"]
    run = session.run

    def noted(outputs: list[Any], feeds: Any) -> Any:
        fetched.append(len(outputs))
        return run(outputs, feeds)

    monkeypatch.setattr(session, "run", noted)
    some = engine.run([pixels] * 2, asked=[0, 2])
    assert fetched == [1, 1]  # not a third set of outputs, and so not a copy of the weights for it
    for answer in (*together, alone, *some):
        assert answer.labels[:, 0].tolist() == expected.argmax(axis=1).tolist()


def test_classifiers_with_loops_in_one_litert_graph_are_asked_alone(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    tflite_with_loops(folder / "both.tflite")
    (folder / "graph.pb").write_bytes(b"")  # for the session, which is not tried here
    make(folder, 'graph.pb"\ninput = "in"\noutput = "out')
    about = (folder / "model.toml").read_text()
    both = about + about.replace("first", "second")
    (folder / "model.toml").write_text(f'litert = "both.tflite"\n{both}')
    model = read_model(folder.parent)
    assert disagreement_alone(load("litert", Settings(), model), model) == ""


def test_a_signature_with_two_outputs_must_be_told_which(network: Any, tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    saved_with_names(network, folder / "graph")
    with pytest.raises(EngineError, match="has 2 outputs, and none is named"):
        load("session", Settings(), make(folder, "graph"))
    with pytest.raises(EngineError, match="has no output 'other'"):
        load("session", Settings(), make(folder, 'graph"\noutput = "other'))


def test_a_keras_file_that_brings_code_is_refused(tmp_path: Path) -> None:
    layers = tf.keras.layers
    image = layers.Input((5, 6, 3))
    code = layers.Lambda(lambda pixels: pixels * 2)(image)
    folder = folder_of(tmp_path)
    graph = keras(tf.keras.Model(image, code), folder / "graph")
    with pytest.raises(EngineError, match=r"(?i)lambda.*unsafe|safe_mode"):
        load("session", Settings(), make(folder, graph))


def test_a_graph_with_other_labels_than_the_file_is_refused(network: Any, tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    for save, name in ((keras, "session"), (tflite, "litert")):
        model = make(folder, save(network, folder / "graph"))
        with (folder / "labels.txt").open("a") as labels:
            labels.write("one more\n")
        with pytest.raises(EngineError, match="model 'small'"):
            load(name, Settings(), read_model(model.classifiers[0].graph.parent.parent))


def test_a_graph_that_puts_out_no_softmax_is_refused(tmp_path: Path) -> None:
    layers = tf.keras.layers
    image = layers.Input((5, 6, 3))
    logits = layers.Dense(LABELS, bias_initializer="ones")(layers.Flatten()(image))
    folder = folder_of(tmp_path)
    model = make(folder, keras(tf.keras.Model(image, logits), folder / "graph"))
    with pytest.raises(EngineError, match="first: what it puts out does not sum to 1"):
        load("session", Settings(), model)


def test_a_frozen_graph_must_say_what_its_ends_are_called(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    (folder / "graph.pb").write_bytes(b"")
    with pytest.raises(ManifestError, match="'input' is missing"):
        make(folder, "graph.pb")
