"""Cross-validation of the colour network: every photo and every HSV bin judged unseen.

The committed graph is trained on all of them, so its own figures would flatter it.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits

from shared.images import Crop
from training.color_network import SIDE
from training.color_photos import Photos, read_photos
from training.color_survey import Survey, read_survey
from training.color_teacher import teach
from training.color_training import judge, make_pool, train, unbalanced

FOLDS = 5
_SEED = 7
# It takes an hour of two cores; made anew where this code or the tables of the data differ.
_CACHE = Path("var/color_folds.npz")

Floats = npt.NDArray[np.float32]
Places = npt.NDArray[np.int64]


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
    on_photos = np.zeros((len(photos.words), len(labels)), np.float32)
    on_flat = np.zeros((len(survey.answers), len(labels)), np.float32)
    with ProcessPoolExecutor(mp_context=get_context("spawn"), initializer=_use_one_core) as pool:
        for held, said, held_bins, said_flat in pool.map(
            partial(_fold, photos, survey, labels), range(FOLDS)
        ):
            on_photos[held], on_flat[held_bins] = said, said_flat
    _CACHE.parent.mkdir(exist_ok=True)
    np.savez(_CACHE, digest=digest, photos=on_photos, flat=on_flat)
    return Held(photos, on_photos, survey, on_flat)


def _use_one_core() -> None:
    """Keep to one core, for as many folds run at once as there are: trees, and TensorFlow."""
    threadpool_limits(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def _fold(
    photos: Photos, survey: Survey, labels: tuple[str, ...], fold: int
) -> tuple[Places, Floats, Places, Floats]:
    """Return the places of a fold's photos, what is said of them, and the same of its bins."""
    made = make_pool(labels, _SEED)
    truth = photos.meanings.argmax(axis=1)
    splits = StratifiedKFold(FOLDS, shuffle=True, random_state=_SEED).split(truth, truth)
    seen, held = list(splits)[fold]
    is_held = np.random.default_rng(_SEED).integers(FOLDS, size=len(survey.answers)) == fold
    others = photos.subset(np.isin(np.arange(len(truth)), seen))
    bins = survey.subset(~is_held)
    seed = _SEED + fold
    weights = train(others, teach(others, bins, made, seed), bins, made, seed)
    weights = unbalanced(weights, others)
    (held_bins,) = np.nonzero(is_held)
    flat = np.broadcast_to(survey.middles()[held_bins, None, None], (len(held_bins), SIDE, SIDE, 3))
    said = judge(photos.patches[held, 0] / np.float32(255), weights)
    return held, said, held_bins, judge(flat, weights)


def _digest(data: Path) -> str:
    """Tell apart whatever the folds' answers come from: this code and the data's tables."""
    sources = sorted(Path(__file__).parent.glob("color_*.py"))
    tables = [data / "fashion.csv", data / "xkcd_colour_survey_hsv_counts.csv.gz"]
    both = b"".join(
        path.read_bytes() for path in [*sources, *tables] if path.name != "color_accuracy.py"
    )
    return hashlib.sha256(both).hexdigest()
