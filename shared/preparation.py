"""A photo and its points → the tensors of one request, as a model's classifiers take them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL.Image import Image

from shared import images, steps
from shared.images import Crop, Photo, Pixels, Point
from shared.manifest import Classifier, Model


def prepare(
    model: Model, data: bytes | memoryview, points: Sequence[Point], max_pixels: int
) -> tuple[list[Point], list[Pixels]]:
    """Decode `data` once and cut every classifier's crop around every point.

    No points stands for the image's centre. Returns the points and, per classifier, uint8
    [points, height, width, channels]. Raises `images.ImageError` and `images.PointOutsideError`.
    """
    return cut_all(model, images.read_header(data, max_pixels), points)


def cut_all(
    model: Model, image: Image, points: Sequence[Point]
) -> tuple[list[Point], list[Pixels]]:
    """Do as `prepare`, with an image of which the header was read.

    Raises `images.UndecodableImageError` and `images.PointOutsideError`.
    """
    photo = images.decode(image, [_crop(item, image.size) for item in model.classifiers])
    chosen = list(points) or [images.centre(photo)]
    for point in chosen:
        images.check_point(photo, point)
    tensors = [
        np.stack([_item(photo, point, classifier) for point in chosen])
        for classifier in model.classifiers
    ]
    return chosen, tensors


def _crop(classifier: Classifier, size: tuple[int, int]) -> Crop:
    """Return the crop to cut out of an image of `size`: a picture where steps follow."""
    return steps.picture(classifier.crop, size) if classifier.steps else classifier.crop


def _item(photo: Photo, point: Point, classifier: Classifier) -> Pixels:
    """Return what `classifier` sees at `point`, uint8 [height, width, channels]."""
    pixels = images.cut(photo, point, _crop(classifier, photo.size))
    if not classifier.steps:
        return pixels
    return steps.apply(classifier.steps, pixels, classifier.shape[:2])
