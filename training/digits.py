"""Makes `models/digits/1/digits.pb` again: `python -m training.digits`.

It learns from MNIST's training images, and from photos made of them, of the photos of digits in
`--data` and of fonts. What it reaches is in `docs/accuracy.md`. Seed 2024.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from training.characters_data import read_font_glyphs, read_photo_glyphs, read_scans
from training.characters_examples import made, stepped
from training.characters_network import write_graph
from training.characters_training import Examples, train

GRAPH = Path("models/digits/1/digits.pb")
SEED = 2024
BATCHES = 1300
DIGITS = 10

_SCANS = 3000  # of each source and digit, and so all of EMNIST's
_MADE = 4  # photos of each glyph that is no scan
_MADE_OF_SCANS = 0.2  # of the scans: a made photo beside the scan itself
_SCANS_SHARE = 0.7  # of what is drawn


def main() -> None:
    """Train on everything below `--data` and replace the graph."""
    parser = argparse.ArgumentParser(prog="python -m training.digits", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    examples = read_examples(parser.parse_args().data)
    write_graph(train(examples, DIGITS, SEED, BATCHES), GRAPH)
    print(f"{GRAPH}: {GRAPH.stat().st_size} bytes, {len(examples.labels)} examples")


def read_examples(data: Path) -> Examples:
    """Return what to learn from, every image through the steps that are served."""
    random = np.random.default_rng(SEED)
    rows = []
    for glyph in read_scans(data, SEED, _SCANS):
        assert glyph.picture is not None
        if glyph.label < DIGITS:
            rows.append((stepped(glyph.picture), glyph.label, True))
            if random.random() < _MADE_OF_SCANS:
                rows.append((made(glyph, random), glyph.label, False))
    for glyph in read_photo_glyphs(data) + read_font_glyphs():
        if glyph.label < DIGITS:
            rows += [(made(glyph, random), glyph.label, False) for _ in range(_MADE)]
            if glyph.picture is not None:
                rows.append((stepped(glyph.picture), glyph.label, False))
    images, labels, scanned = (np.array(column) for column in zip(*rows, strict=True))
    weights = np.where(scanned, _SCANS_SHARE / scanned.sum(), (1 - _SCANS_SHARE) / (~scanned).sum())
    order = random.permutation(len(labels))
    return Examples(images[order], labels[order].astype(np.int64), weights[order])


if __name__ == "__main__":
    main()
