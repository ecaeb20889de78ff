"""Trains colour networks on photos, survey answers and made patches together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from shared.images import Pixels
from training.color_network import SIDE, Weights, initial_weights, logits, probabilities
from training.color_patches import MADE, make_patches
from training.color_photos import Photos, balance, balance_logits
from training.color_survey import Survey

Floats = npt.NDArray[np.float32]

UNITS = 64
STEPS = 2000
_RATE = 4e-3
_DECAY = 0.01
_DROPOUT = 0.1
_AVERAGE = 0.998  # of the weights over the last steps
_PHOTOS, _FLAT, _MADE = 224, 32, 16  # patches in a step
_FLAT_LOSS, _MADE_LOSS = 0.1, 0.05  # beside the photos' loss of 1
_PUT_BACK = 0.5  # of what `balance` gave to the odds of rare colours
_CENTRE = 0.5  # of the photos' patches; the others are cut near the centre
_MADE_POOL = 1500  # patches of each made label
_AT_ONCE = 4096  # patches that a network is asked for together


@dataclass(frozen=True)
class Made:
    """Patches made for labels that single pixels cannot show."""

    patches: Pixels  # [n, 9, 9, 3]
    meanings: Floats  # [n, labels]


def make_pool(labels: tuple[str, ...], seed: int, count: int = _MADE_POOL) -> Made:
    """Make `count` patches of every label out of `MADE`."""
    random = np.random.default_rng(seed)
    patches = np.concatenate([make_patches(label, count, random) for label in MADE])
    meanings = np.eye(len(labels), dtype=np.float32)[[labels.index(label) for label in MADE]]
    return Made(patches, np.repeat(meanings, count, axis=0))


def train(photos: Photos, targets: Floats, survey: Survey, made: Made, seed: int) -> Weights:
    """Return the averaged weights after `STEPS` steps of AdamW.

    `targets` [members, photos, patches, labels] is what each patch of `photos` is to be called, by
    each member of the network. Members draw their own patches; one step is made for all.
    """
    members = len(targets)
    tf.random.set_seed(seed)
    start = initial_weights(members, UNITS, photos.meanings.shape[1], seed)
    variables = {name: tf.Variable(value, name=name) for name, value in start.items()}
    averages = {name: tf.Variable(value) for name, value in start.items()}
    rate = tf.keras.optimizers.schedules.CosineDecay(
        _RATE / 20, STEPS, 0.01, warmup_target=_RATE, warmup_steps=STEPS // 20
    )
    bound = members**0.5  # of the norm of all members' gradients: 1 for each
    optimizer = tf.keras.optimizers.AdamW(rate, weight_decay=_DECAY, global_clipnorm=bound)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    optimizer.build(list(variables.values()))

    @tf.function(jit_compile=True)  # type: ignore[untyped-decorator]  # tensorflow ships no types
    def step(images: tf.Tensor, target: tf.Tensor, weight: tf.Tensor, keep: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            scores = logits(images, variables, _DROPOUT)
            losses = tf.nn.softmax_cross_entropy_with_logits(target, scores)
            loss = tf.reduce_sum(weight * losses)
        gradients = tape.gradient(loss, list(variables.values()))
        optimizer.apply_gradients(zip(gradients, variables.values(), strict=True))
        for name, average in averages.items():
            average.assign(keep * average + (1 - keep) * variables[name])
        return loss

    randoms = np.random.default_rng(seed).spawn(members)
    draws = [
        _Draw(photos, target, survey, made, random)
        for target, random in zip(targets, randoms, strict=True)
    ]
    for number in range(STEPS):
        keep = min(_AVERAGE, number / (number + 10))
        drawn = zip(*(draw() for draw in draws), strict=True)
        step(*map(np.stack, drawn), tf.constant(keep, tf.float32))
    return {name: average.numpy() for name, average in averages.items()}


def unbalanced(weights: Weights, photos: Photos) -> Weights:
    """Return a network that takes rare colours for less likely than it was taught.

    That they weighed more let it learn them; whoever asks meets them less often.
    """
    return {**weights, "out_bias": weights["out_bias"] + _PUT_BACK * balance_logits(photos)}


def judge(patches: Floats, weights: Weights) -> Floats:
    """Return what a network says of patches [n, 9, 9, 3], RGB 0-1: [n, labels], rows sum to 1."""
    parts = [
        probabilities(tf.constant(patches[start : start + _AT_ONCE]), weights)
        for start in range(0, len(patches), _AT_ONCE)
    ]
    return np.concatenate(parts).astype(np.float32)


class _Draw:
    """Draws the patches that one member sees in one step."""

    def __init__(
        self,
        photos: Photos,
        targets: Floats,
        survey: Survey,
        made: Made,
        random: np.random.Generator,
    ) -> None:
        self._photos, self._survey, self._made, self._random = photos, survey, made, random
        self._targets = targets
        self._weights = balance(photos)
        # Half by how many answered, half every bin alike: both kinds of colours are asked about.
        share = survey.answers / survey.answers.sum()
        self._bins = 0.5 * share + 0.5 / len(share)

    def __call__(self) -> tuple[Floats, Floats, Floats]:
        """Return patches [n, 9, 9, 3] in 0-1, meanings [n, labels] and weights [n]."""
        random = self._random
        photos = random.integers(len(self._photos.patches), size=_PHOTOS)
        near = random.integers(1, self._photos.patches.shape[1], size=_PHOTOS)
        near[random.random(_PHOTOS) < _CENTRE] = 0
        bins = random.choice(len(self._bins), size=_FLAT, p=self._bins)
        flat = self._survey.colours(bins, random)
        made = random.integers(len(self._made.patches), size=_MADE)
        image = np.concatenate(
            [
                self._jitter(self._photos.patches[photos, near]),
                np.broadcast_to(flat[:, None, None], (_FLAT, SIDE, SIDE, 3)),
                self._jitter(self._made.patches[made]),
            ]
        )
        target = np.concatenate(
            [
                self._targets[photos, near],
                self._survey.meanings[bins],
                self._made.meanings[made],
            ]
        )
        weight = np.concatenate(
            [
                self._weights[photos] / _PHOTOS,
                np.full(_FLAT, _FLAT_LOSS / _FLAT, np.float32),
                np.full(_MADE, _MADE_LOSS / _MADE, np.float32),
            ]
        )
        return image.astype(np.float32), target.astype(np.float32), weight.astype(np.float32)

    def _jitter(self, patches: Pixels) -> Floats:
        """Turn and mirror; change brightness by some 3 %, white balance by 1.5 %."""
        random = self._random
        turned = np.rot90(patches, int(random.integers(4)), axes=(1, 2))
        if random.random() < 0.5:
            turned = turned[:, :, ::-1]
        light = random.normal(1, 0.03, (len(patches), 1, 1, 1))
        tint = random.normal(1, 0.015, (len(patches), 1, 1, 3))
        return np.asarray(np.clip(turned / 255.0 * light * tint, 0, 1), np.float32)
