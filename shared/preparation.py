"""A photo and its points → the tensors of one request, as a model's classifiers take them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from shared import images
from shared.images import Pixels, Point
from shared.manifest import Model


def prepare(
    model: Model, data: bytes | memoryview, points: Sequence[Point], max_pixels: int
) -> tuple[list[Point], list[Pixels]]:
    """Decode `data` once and cut every classifier's crop around every point.

    No points stands for the image's centre. Returns the points and, per classifier, uint8
    [points, height, width, 3]. Raises `images.ImageError` and `images.PointOutsideError`.
    """
    image = images.open_image(data, max_pixels)
    chosen = list(points) or [images.centre(image)]
    for point in chosen:
        images.check_point(image, point)
    tensors = [
        np.stack([images.cut(image, point, classifier.crop) for point in chosen])
        for classifier in model.classifiers
    ]
    return chosen, tensors
