"""Cross-validation of the colour network: every photo and every HSV bin judged unseen.

The committed graph is trained on all of them, so its own figures would flatter it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from sklearn.model_selection import StratifiedKFold

from shared.images import Crop
from training.color_network import SIDE, Weights, probabilities
from training.color_photos import Photos, read_photos
from training.color_survey import Survey, read_survey
from training.color_training import make_pool, train

FOLDS = 5
_SEED = 7
_CACHE = Path(
    "var/color_folds.npz"
)  # five trainings take minutes; made anew when they would differ

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Held:
    """What networks that had not seen them say of all photos and all bins."""

    photos: Photos
    photo_probabilities: Floats  # [photos, labels]
    survey: Survey
    flat_probabilities: Floats  # [bins, labels], for a flat patch of each bin's middle


def cross_validate(data: Path, crop: Crop, labels: tuple[str, ...]) -> Held:
    """Train `FOLDS` networks, each without a fifth of the photos and a fifth of the bins."""
    photos, survey = read_photos(data, crop, labels), read_survey(data, labels)
    digest = _digest(data)
    if _CACHE.is_file():
        with np.load(_CACHE) as cache:
            if str(cache["digest"]) == digest:
                return Held(photos, cache["photos"], survey, cache["flat"])
    made = make_pool(labels, _SEED)
    on_photos = np.zeros((len(photos.words), len(labels)), np.float32)
    on_flat = np.zeros((len(survey.answers), len(labels)), np.float32)
    flat = np.tile(survey.middles()[:, None, None], (1, SIDE, SIDE, 1))
    bin_folds = np.random.default_rng(_SEED).integers(FOLDS, size=len(survey.answers))
    splits = StratifiedKFold(FOLDS, shuffle=True, random_state=_SEED)
    truth = photos.meanings.argmax(axis=1)
    for fold, (_, held) in enumerate(splits.split(truth, truth)):
        seen = np.ones(len(truth), np.bool_)
        seen[held] = False
        held_bins = bin_folds == fold
        weights = train(photos.subset(seen), survey.subset(~held_bins), made, _SEED + fold)
        on_photos[held] = _probabilities(photos.patches[held, 0] / np.float32(255), weights)
        on_flat[held_bins] = _probabilities(flat[held_bins], weights)
    _CACHE.parent.mkdir(exist_ok=True)
    np.savez(_CACHE, digest=digest, photos=on_photos, flat=on_flat)
    return Held(photos, on_photos, survey, on_flat)


def _probabilities(patches: Floats, weights: Weights) -> Floats:
    return np.asarray(probabilities(tf.constant(patches), weights), np.float32)


def _digest(data: Path) -> str:
    """Tell apart whatever the folds' answers come from: this code and the data's tables."""
    sources = sorted(Path(__file__).parent.glob("color_*.py"))
    tables = [data / "fashion.csv", data / "xkcd_colour_survey_hsv_counts.csv.gz"]
    both = b"".join(
        path.read_bytes() for path in [*sources, *tables] if path.name != "color_accuracy.py"
    )
    return hashlib.sha256(both).hexdigest()
