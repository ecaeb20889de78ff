"""The colour survey → flat colours and what people call them.

Source: the XKCD colour survey, 1.5 million answers counted in HSV bins
(`xkcd_colour_survey_hsv_counts.csv.gz`; h 0-360 by 4, s and v 0-100 by 10).
"""

from __future__ import annotations

import colorsys
import csv
import gzip
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.color_names import survey_meaning
from training.color_photos import as_row

_SIZES = (4, 10, 10)  # of a bin, in degrees and percent


@dataclass(frozen=True)
class Survey:
    """n bins of HSV, each with what its answers mean."""

    corners: npt.NDArray[np.int64]  # [n, 3], least h (degrees), s and v (percent) of the bin
    meanings: npt.NDArray[np.float32]  # [n, labels], rows sum to 1
    answers: npt.NDArray[np.int64]  # [n], how many people
    majority: npt.NDArray[np.int64]  # [n], the label that most said in so many words, or -1

    def subset(self, chosen: npt.NDArray[np.bool_]) -> Survey:
        """Return the bins where `chosen`, bool [n], is true."""
        return Survey(
            self.corners[chosen],
            self.meanings[chosen],
            self.answers[chosen],
            self.majority[chosen],
        )

    def colours(self, bins: npt.NDArray[np.int64], random: np.random.Generator) -> FloatColours:
        """Return a colour from within each of the given bins: RGB 0-1, float32 [len(bins), 3]."""
        inside = random.random((len(bins), 3)) * _SIZES
        hsv = (self.corners[bins] + inside) / (360, 100, 100)
        return np.array([colorsys.hsv_to_rgb(*colour) for colour in hsv], np.float32)

    def middles(self) -> FloatColours:
        """Return the middle of every bin: RGB 0-1, float32 [n, 3]."""
        hsv = (self.corners + np.array(_SIZES) / 2) / (360, 100, 100)
        return np.array([colorsys.hsv_to_rgb(*colour) for colour in hsv], np.float32)


FloatColours = npt.NDArray[np.float32]


def read_survey(data: Path, labels: tuple[str, ...]) -> Survey:
    """Read the survey's file below `data`; bins in which nobody named a colour are left out."""
    counts: dict[tuple[int, int, int], dict[str, int]] = defaultdict(dict)
    path = data / "xkcd_colour_survey_hsv_counts.csv.gz"
    with gzip.open(path, "rt", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            corner = int(row["h_from"]), int(row["s_from"]), int(row["v_from"])
            counts[corner][row["name"]] = int(row["count"])
    meanings = {
        name: as_row(meaning, labels)
        for name in {name for names in counts.values() for name in names}
        if (meaning := survey_meaning(name)) is not None
    }
    corners, rows, answers, majority = [], [], [], []
    for corner, names in counts.items():
        said = sum(count * meanings[name] for name, count in names.items() if name in meanings)
        if not np.any(said):
            continue
        everyone = sum(names.values())
        first = max(names, key=lambda name: names[name])
        most = first in labels and names[first] * 2 > everyone
        corners.append(corner)
        rows.append(said / np.sum(said))
        answers.append(everyone)
        majority.append(labels.index(first) if most else -1)
    return Survey(np.array(corners), np.array(rows), np.array(answers), np.array(majority))
