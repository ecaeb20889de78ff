"""The features of the labelled photos as LiteRT makes them, in int8.

Heads that never saw a photo can so be asked what LiteRT would say of it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from shared.manifest import read_model
from training.lite0 import FEATURES
from training.theme_head import Floats
from training.theme_photos import POINTS, crops

_CLASSIFIER = "themes"
_FEATURES = f"{_CLASSIFIER}_graph/features"


def read_features(folder: Path, names: tuple[str, ...]) -> Floats:
    """Return float32 [photos, POINTS, 1280] of the photos `names` below `folder`.

    By the committed graph, as its own kernels compute it: XNNPACK's, which serve, show nothing of
    what lies between two layers. Takes a few minutes.
    """
    path = read_model(Path("models/tags")).litert
    assert path is not None
    interpreter = Interpreter(
        str(path),
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    for entry in interpreter.get_input_details():
        interpreter.resize_tensor_input(entry["index"], [POINTS, *entry["shape"][1:]])
    interpreter.allocate_tensors()
    for entry in interpreter.get_input_details():
        interpreter.set_tensor(entry["index"], np.zeros(entry["shape"], np.uint8))
    (place,) = (
        entry["index"] for entry in interpreter.get_input_details() if entry["name"] == _CLASSIFIER
    )
    (features,) = (
        entry["index"]
        for entry in interpreter.get_tensor_details()
        if (entry["name"], entry["dtype"]) == (_FEATURES, np.float32)
    )
    rows = np.empty((len(names), POINTS, FEATURES), np.float32)
    for row, name in zip(rows, names, strict=True):
        interpreter.set_tensor(place, crops((folder / name).read_bytes()))
        interpreter.invoke()
        row[:] = interpreter.get_tensor(features)
    return rows
