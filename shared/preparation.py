"""A photo and its points → the tensors of one request, as a model's classifiers take them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL.Image import Image

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
    return cut_all(model, images.read_header(data, max_pixels), points)


def cut_all(
    model: Model, image: Image, points: Sequence[Point]
) -> tuple[list[Point], list[Pixels]]:
    """Do as `prepare`, with an image of which the header was read.

    Raises `images.UndecodableImageError` and `images.PointOutsideError`.
    """
    crops = [classifier.crop for classifier in model.classifiers]
    photo = images.decode(image, crops)
    chosen = list(points) or [images.centre(photo)]
    for point in chosen:
        images.check_point(photo, point)
    tensors = [np.stack([images.cut(photo, point, crop) for point in chosen]) for crop in crops]
    return chosen, tensors
