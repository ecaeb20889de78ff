"""The names of ResNet50's layers, those of 2018 and today's."""

from __future__ import annotations

import pytest

from training.resnet50 import todays_name


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
