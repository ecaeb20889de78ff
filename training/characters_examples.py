"""The examples that `characters` learns from, each through the steps that are served."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from shared import steps
from shared.images import Pixels
from training.characters_data import (
    SIDE,
    STEPS,
    Glyph,
    read_font_glyphs,
    read_photo_glyphs,
    read_scans,
)
from training.characters_photos import photographed, rewritten
from training.characters_training import Examples

# Of what is drawn for a label, how much comes from where (only digits have scans), and how many
# photos are made of each glyph, beside the photo or scan itself.
_SHARES = {"photos": 0.65, "fonts": 0.20, "scans": 0.15}
_MADE = {"photos": 5, "fonts": 5, "scans": 1}
_SCANS = 120  # of each source and label


def stepped(picture: Pixels) -> Pixels:
    """Return RGB [h, w, 3] as the network sees it, uint8 [28, 28, 1]."""
    return steps.apply(STEPS, picture, (SIDE, SIDE))


def made(glyph: Glyph, random: np.random.Generator) -> Pixels:
    """Return a made photo, of `glyph` as another hand would write it, as the network sees it."""
    return stepped(photographed(rewritten(glyph.ink, random), random))


class Pool:
    """All examples, made once; which of them are drawn, and how often, says `examples`."""

    def __init__(self, data: Path, seed: int) -> None:
        random = np.random.default_rng(seed)
        glyphs = {
            "photos": read_photo_glyphs(data),
            "fonts": read_font_glyphs(),
            "scans": read_scans(data, seed, _SCANS),
        }
        rows = []
        for number, (kind, of_kind) in enumerate(glyphs.items()):
            for glyph in of_kind:
                own = [made(glyph, random) for _ in range(_MADE[kind])]
                if glyph.picture is not None:
                    own.append(stepped(glyph.picture))
                rows += [(image, glyph.label, number, glyph.group) for image in own]
        images, labels, kinds, groups = zip(*rows, strict=True)
        self.images = np.stack(images)  # uint8 [n, 28, 28, 1]
        self.labels = np.array(labels, np.int64)
        self.groups = np.array(groups, np.int64)  # of a photo; -1 for all others
        self._kinds = np.array(kinds)

    def examples(self, without: npt.NDArray[np.bool_]) -> Examples:
        """Return all but some examples, weighed so that every label is drawn alike."""
        weights = np.zeros(len(self.labels))
        for label in np.unique(self.labels):
            of_label = (self.labels == label) & ~without
            for number, share in enumerate(_SHARES.values()):
                chosen = of_label & (self._kinds == number)
                weights[chosen] = share / max(1, chosen.sum())
            weights[of_label] /= weights[of_label].sum()
        order = np.random.default_rng(0).permutation(np.flatnonzero(weights))
        return Examples(self.images[order], self.labels[order], weights[order])
