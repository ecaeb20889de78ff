"""A folder with a graph of any format, dropped beside others: a running service answers by it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from PIL import Image

from tests.service import Service
from tests.worker.formats import HIGH, LABELS, MANIFEST, build, frozen, keras, saved, tflite

pytestmark = [
    pytest.mark.service,
    pytest.mark.timeout(300),
    # TensorFlow's own, when it writes a network's variables.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


Save = Callable[[Any, Path], str]


@pytest.fixture(scope="module")
def network() -> Any:
    """The network that all formats are made of."""
    return build()


def bring(models: Path, name: str, network: Any, **savers: Save) -> None:
    """Bring model `name` with a classifier of each format, at a stroke as it should be done."""
    made = models / f".{name}"
    (made / "1").mkdir(parents=True)
    (made / "1" / "labels.txt").write_text("".join(f"label {n}\n" for n in range(LABELS)))
    about = [
        MANIFEST.replace("first", key).replace("GRAPH", save(network, made / "1" / "graph"))
        for key, save in savers.items()
    ]
    (made / "model.toml").write_text("".join(about))
    made.rename(models / name)


@pytest.fixture
def running(tmp_path: Path, network: Any) -> Iterator[Service]:
    """A service that has one model, and may choose its engines."""
    bring(tmp_path, "small", network, tflite=tflite)
    given = {"WORKERS": "1", "WEB_PROCESSES": "1", "ENGINE": "auto", "MODELS": "*"}
    with Service(**given, MODEL="small", MODELS_FOLDER=str(tmp_path)) as service:
        yield service


def test_every_format_is_loaded_and_says_what_the_network_says(
    running: Service, tmp_path: Path, network: Any
) -> None:
    bring(tmp_path, "lite", network, tflite=tflite)
    bring(tmp_path, "whole", network, pb=frozen, saved=saved, keras=keras)
    pixels = np.random.default_rng(1).integers(0, 256, (5, 6, 3), np.uint8)
    (expected,) = network(pixels[None].astype(np.float32) * (HIGH / 255)).numpy()
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    for name, keys in (("lite", ["tflite"]), ("whole", ["pb", "saved", "keras"])):
        running.wait_for_model(name)
        url = f"{running.url}/predict/{name}?top_k={LABELS}"
        answer = requests.post(url, data=buffer.getvalue(), timeout=30).json()
        for key in keys:
            said = {entry["label"]: entry["probability"] for entry in answer[key]}
            found = [said[f"label {n}"] for n in range(LABELS)]
            np.testing.assert_allclose(found, expected, atol=1e-4)
