"""A teacher of trees: what each photo patch is worth as evidence, before the network learns it.

A seller's one word is a noisy label for 9x9 pixels: the point may lie on a print, a shadow, a
button. Trees, grown on other photos, say how likely each label is for such a patch; the network
learns from both, the trees and the seller's word.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from skimage.color import rgb2lab
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
from sklearn.model_selection import KFold

from shared.images import Pixels
from training.color_photos import Photos, balance

Floats = npt.NDArray[np.float32]

_PARTS = 4
_VIEWS = 4  # patches of a photo that the trees are grown on: the centre and some around it
_VIEW_WEIGHT = 0.3  # of one that is not the centre
_QUANTILES = (0, 10, 25, 50, 75, 90, 100)


def teach(photos: Photos, seed: int) -> Floats:
    """Return [photos, patches, labels]: for every patch, by trees that saw nothing of its photo."""
    answers = np.zeros((*photos.patches.shape[:2], photos.meanings.shape[1]), np.float32)
    features = np.stack([_features(view) for view in photos.patches.swapaxes(0, 1)], axis=1)
    truth = photos.meanings.argmax(axis=1)
    parts = KFold(_PARTS, shuffle=True, random_state=seed)
    for seen, held in parts.split(truth):
        rows = features[seen, :_VIEWS].reshape(-1, features.shape[-1])
        names = np.repeat(truth[seen], _VIEWS)
        weights = np.tile([1] + [_VIEW_WEIGHT] * (_VIEWS - 1), len(seen))
        weights *= balance(photos)[seen].repeat(_VIEWS)
        asked = features[held].reshape(-1, features.shape[-1])
        for trees in (
            ExtraTreesClassifier(100, min_samples_leaf=4, random_state=seed),
            HistGradientBoostingClassifier(
                max_iter=50,
                learning_rate=0.1,
                max_leaf_nodes=10,
                l2_regularization=5,
                max_features=0.3,
                random_state=seed,
            ),
        ):
            trees.fit(rows, names, weights)
            said = trees.predict_proba(asked).reshape(len(held), -1, len(trees.classes_))
            answers[np.ix_(held, range(answers.shape[1]), trees.classes_)] += said / 2
    return answers


def _features(patches: Pixels) -> Floats:
    """Return what a patch [n, 9, 9, 3] has of each Lab channel and of the chroma."""
    lab = rgb2lab(patches / 255.0)
    pixels = np.concatenate([lab, np.hypot(lab[..., 1:2], lab[..., 2:])], axis=-1)
    flat = pixels.reshape(len(patches), -1, 4)
    quantiles = np.percentile(flat, _QUANTILES, axis=1)
    edges = [np.abs(np.diff(pixels, axis=axis)).mean(axis=(1, 2)) for axis in (1, 2)]
    hue = np.arctan2(flat[..., 2].mean(axis=1), flat[..., 1].mean(axis=1))[:, None]
    return np.concatenate(
        [*quantiles, flat.mean(axis=1), flat.std(axis=1), *edges, hue], axis=1
    ).astype(np.float32)
