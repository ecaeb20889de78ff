"""Cross-validation of the themes' head: every photo judged by a head that never saw it.

Nested: the penalty and the sharpness of each fold's head are chosen inside its own training
photos. ImageNet has one photo a class here, so leaving a photo out leaves its class out, too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar  # type: ignore[import-untyped]  # ships no types

from training.lite0 import CLASSES
from training.theme_head import Floats, Head, to_themes, train
from training.theme_photos import POINTS, VIEWS, Photos

FOLDS = 5
PENALTIES = (1e-6, 3e-6, 1e-5)
SEED = 42
NEAR_DUPLICATE = 0.97  # cosine of two photos' features; such a pair shares its fold
CENTRE_VIEWS = [0, POINTS]  # the centre and its mirror image: enough to choose a penalty
ALL_VIEWS = list(range(VIEWS))

Folds = npt.NDArray[np.int64]  # [photos], 0 to FOLDS - 1


@dataclass(frozen=True)
class Settings:
    """What is chosen by cross-validation."""

    penalty: float
    sharpness: float  # what the logits are multiplied with, so that probabilities are honest


def photo_folds(photos: Photos) -> Folds:
    """Spread each Caltech class's photos over the folds, near-duplicates together."""
    random = np.random.default_rng(SEED)
    folds = np.empty(len(photos.classes), np.int64)
    imagenet = np.flatnonzero(~photos.is_caltech)
    folds[imagenet] = random.permutation(len(imagenet)) % FOLDS
    directions = photos.features[:, 0]
    directions = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    for index in range(CLASSES, photos.classes.max() + 1):
        members = np.flatnonzero(photos.classes == index)
        folds[members] = (random.permutation(len(members)) + random.integers(FOLDS)) % FOLDS
        for place, member in enumerate(members):
            near = directions[members[:place]] @ directions[member] > NEAR_DUPLICATE
            if near.any():
                folds[member] = folds[members[:place][near][0]]
    return folds


def class_folds(photos: Photos) -> Folds:
    """Keep each class in one fold: how well does a class go that no head ever saw?"""
    random = np.random.default_rng(SEED)
    return np.asarray(random.permutation(photos.classes.max() + 1)[photos.classes] % FOLDS)


def choose(photos: Photos, folds: Folds, chosen: npt.NDArray[np.bool_], base: Head) -> Settings:
    """Return the settings with the least log loss over the folds of the `chosen` photos."""
    best, least = Settings(0.0, 1.0), np.inf
    for penalty in PENALTIES:
        logits, shares = _held_logits(photos, folds, chosen, base, penalty)
        found = minimize_scalar(
            lambda factor, logits=logits, shares=shares: balanced_log_loss(
                to_themes(logits * np.float32(factor), shares), photos, chosen
            ),
            bounds=(0.5, 4.0),
            method="bounded",
            options={"xatol": 1e-3},
        )
        if found.fun < least:
            best, least = Settings(penalty, float(found.x)), found.fun
    return best


def cross_validate(
    photos: Photos, folds: Folds, base: Head, asked: Floats
) -> tuple[Floats, list[Settings]]:
    """Return what heads say of photos they never saw, and each fold's settings.

    They are asked for `asked`, any features [photos, n, 1280] of the photos that they are trained
    on: the probabilities are [photos, n, themes].
    """
    held = np.empty((*asked.shape[:2], base.shares.shape[1]), np.float32)
    settings = []
    for fold in range(FOLDS):
        rest = folds != fold
        settings.append(choose(photos, folds, rest, base))
        head = train(photos, rest, ALL_VIEWS, base, settings[-1].penalty)
        head = head.sharpened(settings[-1].sharpness)
        held[~rest] = head.probabilities(asked[~rest])
    return held, settings


def balanced_log_loss(
    probabilities: Floats, photos: Photos, chosen: npt.NDArray[np.bool_]
) -> float:
    """Return the mean of both kinds' log loss; any right theme counts as right."""
    right = (probabilities * (photos.shares[chosen] > 0)).sum(axis=1)
    loss = -np.log(np.maximum(right, 1e-9))
    is_caltech = photos.is_caltech[chosen]
    return float(loss[is_caltech].mean() + loss[~is_caltech].mean()) / 2


def _held_logits(
    photos: Photos, folds: Folds, chosen: npt.NDArray[np.bool_], base: Head, penalty: float
) -> tuple[Floats, Floats]:
    """Return logits [chosen photos, classes] at the centre, from heads without the photo's fold,
    and the classes' shares."""
    held = np.empty((len(folds), base.kernel.shape[1] + len(photos.caltech.shares)), np.float32)
    for fold in np.unique(folds[chosen]):
        out = chosen & (folds == fold)
        head = train(photos, chosen & ~out, CENTRE_VIEWS, base, penalty)
        held[out] = head.logits(photos.features[out, 0])
    return held[chosen], head.shares
