"""The last layer: ImageNet's 1,000 classes beside Caltech's 87, each with its shares of themes.

p(theme) = sum over classes of softmax(features @ kernel + bias)[class] * share[class, theme]

ImageNet's part of the kernel stays as it is, so a photo of a theme that has no Caltech class is
still decided by what ImageNet's 1.3 million photos taught. Only the 87 new columns are trained.
They compete inside the softmax: where an ImageNet class is sure they change little, where none is,
they decide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize  # type: ignore[import-untyped]  # ships no types

from training.lite0 import CLASSES, FEATURES
from training.theme_photos import Photos

Floats = npt.NDArray[np.float32]

ITERATIONS = 150
# A new class's logit for the mean photo, relative to the log-sum-exp of ImageNet's. It is not
# trained: with a handful of photos a class it would sink until only those photos count.
BIAS = np.float32(-4)
LEAST = 1e-6  # a mass that keeps the logarithm finite


@dataclass(frozen=True)
class Head:
    """float32 [n, 1280] features → probabilities of the themes."""

    kernel: Floats  # [1280, classes]
    bias: Floats  # [classes]
    shares: Floats  # [classes, themes], rows sum to 1

    def logits(self, features: Floats) -> Floats:
        """[..., 1280] → [..., classes]."""
        return np.asarray(features @ self.kernel + self.bias)

    def probabilities(self, features: Floats) -> Floats:
        """[..., 1280] → [..., themes]."""
        return to_themes(self.logits(features), self.shares)

    def sharpened(self, factor: float) -> Head:
        """Return the head whose logits are `factor` times as large."""
        scale = np.float32(factor)
        return Head(self.kernel * scale, self.bias * scale, self.shares)


def to_themes(logits: Floats, shares: Floats) -> Floats:
    """[..., classes] → [..., themes]."""
    exponent = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(exponent / exponent.sum(axis=-1, keepdims=True) @ shares)


def imagenet_head(classifier: tuple[Floats, Floats], photos: Photos) -> Head:
    """Return the head that only maps ImageNet's classes to themes."""
    return Head(*classifier, photos.imagenet.shares)


def train(
    photos: Photos, chosen: npt.NDArray[np.bool_], views: list[int], base: Head, penalty: float
) -> Head:
    """Return `base` with Caltech's classes added, trained on `views` of the `chosen` photos.

    Both kinds of photos weigh the same. The loss of a Caltech photo is -log of the probability of
    its own class or of any ImageNet class with the right theme; that of an ImageNet photo is the
    cross-entropy to its class's shares. `penalty` is on the squared kernel for features of mean 0
    and variance 1.
    """
    rows = photos.features[chosen][:, views].reshape(-1, FEATURES)
    repeat = len(views)
    shares = np.repeat(photos.shares[chosen], repeat, axis=0)
    own = np.repeat(photos.classes[chosen] - CLASSES, repeat)
    is_caltech = own >= 0
    weight = np.where(is_caltech, 0.5 / is_caltech.sum(), 0.5 / (~is_caltech).sum())
    weight = weight.astype(np.float32)[:, None]

    logits = base.logits(rows).astype(np.float64)
    level = np.median(np.log(np.exp(logits).sum(axis=1))[is_caltech])
    known = (np.exp(logits - level) @ base.shares + LEAST).astype(np.float32)
    known_right = (known * (shares > 0)).sum(axis=1, keepdims=True)

    mean, spread = rows.mean(axis=0), rows.std(axis=0) + 1e-3
    spread *= np.sqrt(FEATURES)
    rows = (rows - mean) / spread
    new_shares = photos.caltech.shares
    count = len(new_shares)
    is_own = np.zeros((len(rows), count), np.float32)
    is_own[is_caltech, own[is_caltech]] = 1

    def loss(flat: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        kernel = flat.astype(np.float32).reshape(FEATURES, count)
        mass = np.exp(np.clip(rows @ kernel + BIAS, -30, 30))  # of the new classes
        themes = known + mass @ new_shares
        total = themes.sum(axis=1, keepdims=True)
        right = known_right + (mass * is_own).sum(axis=1, keepdims=True)
        of_caltech = np.log(total / right)
        of_imagenet = -(shares * np.log(themes / total)).sum(axis=1, keepdims=True)
        value = (weight * np.where(is_caltech[:, None], of_caltech, of_imagenet)).sum()
        wanted = np.where(is_caltech[:, None], is_own / right, (shares / themes) @ new_shares.T)
        slope = weight * mass * (1 / total - wanted)
        gradient = rows.T @ slope + 2 * penalty * kernel
        value += penalty * (kernel * kernel).sum()
        return float(value), gradient.ravel().astype(np.float64)

    found = minimize(
        loss,
        np.zeros(FEATURES * count),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": ITERATIONS, "gtol": 1e-8, "ftol": 1e-7},
    )
    kernel = found.x.astype(np.float32).reshape(FEATURES, count) / spread[:, None]
    # Training weighs the few new classes as much as all of ImageNet's. To a user's photo a new
    # class is no likelier than an old one, so the new ones' odds go back to their number.
    rarity = np.float32(np.log(CLASSES / count))
    bias = BIAS + np.float32(level) - rarity - mean @ kernel
    return Head(
        np.concatenate([base.kernel, kernel], axis=1),
        np.concatenate([base.bias, bias]),
        np.concatenate([base.shares, new_shares]),
    )
