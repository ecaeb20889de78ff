"""The teacher: what each photo patch is worth as evidence, before the network learns it.

A seller's one word is a noisy label for 9x9 pixels: the point may lie on a print, a shadow, a
button. Trees and a network, that learned from other photos, say how likely each label is for such
a patch. Of the network that is served some members learn from it, the others from the seller's
word alone: they err in different ways, so their mean is better than that of four taught alike.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from skimage.color import rgb2lab
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
from sklearn.model_selection import KFold

from shared.images import Pixels
from training.color_photos import Photos, balance
from training.color_survey import Survey
from training.color_training import Made, judge, train

Floats = npt.NDArray[np.float32]

# For each of `MEMBERS`, how much of a photo's target is the teacher's, not the seller's word.
_TAUGHT = (0.8, 0.8, 0.0, 0.0)
_PARTS = 4
_VIEWS = 8  # patches of a photo that the trees are grown on: the centre and some around it
_VIEW_WEIGHT = 0.3  # of one that is not the centre
_QUANTILES = (0, 10, 25, 50, 75, 90, 100)


def teach(photos: Photos, survey: Survey, made: Made, seed: int) -> Floats:
    """Return what each member is to call each patch, [members, photos, patches, labels].

    The teacher's part is by trees and a network that saw nothing of the patch's photo.
    """
    said = np.zeros((*photos.patches.shape[:2], photos.meanings.shape[1]), np.float32)
    words = np.broadcast_to(photos.meanings[:, None], said.shape)
    parts = KFold(_PARTS, shuffle=True, random_state=seed)
    for part, (seen, held) in enumerate(parts.split(said)):
        others = photos.subset(np.isin(np.arange(len(said)), seen))
        asked = photos.patches[held].reshape(-1, *photos.patches.shape[2:])
        weights = train(others, words[None, seen], survey, made, seed * _PARTS + part)
        judges = [judge(asked / np.float32(255), weights), *_trees(others, asked, seed)]
        said[held] = np.mean(judges, axis=0).reshape(len(held), *said.shape[1:])
    return np.stack([share * said + (1 - share) * words for share in _TAUGHT])


def _trees(photos: Photos, asked: Pixels, seed: int) -> list[Floats]:
    """Return what two ensembles of trees, grown on `photos`, say of patches: [n, labels] each."""
    views = photos.patches[:, :_VIEWS]
    rows = _features(views.reshape(-1, *views.shape[2:]))
    names = photos.meanings.argmax(axis=1).repeat(_VIEWS)
    weights = np.outer(balance(photos), [1] + [_VIEW_WEIGHT] * (_VIEWS - 1)).ravel()
    features = _features(asked)
    answers = []
    for trees in (
        ExtraTreesClassifier(300, min_samples_leaf=4, random_state=seed),
        HistGradientBoostingClassifier(
            max_iter=60,
            learning_rate=0.1,
            max_leaf_nodes=10,
            l2_regularization=5,
            max_features=0.3,
            random_state=seed,
        ),
    ):
        trees.fit(rows, names, weights)
        answer = np.zeros((len(asked), photos.meanings.shape[1]), np.float32)
        answer[:, trees.classes_] = trees.predict_proba(features)
        answers.append(answer)
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
