"""Makes `models/characters/1/characters.pb` again: `python -m training.characters`.

What it learns from, and how well it does: `training/CHARACTERS.md`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from training.characters_examples import Pool
from training.characters_fonts import LABELS
from training.characters_network import write_graph
from training.characters_training import train

GRAPH = Path("models/characters/1/characters.pb")
SEED = 2024
BATCHES = 2400


def main() -> None:
    """Train on everything below `--data` and replace the graph."""
    parser = argparse.ArgumentParser(prog="python -m training.characters", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    pool = Pool(parser.parse_args().data, SEED)
    examples = pool.examples(without=np.zeros(len(pool.labels), np.bool_))
    write_graph(train(examples, len(LABELS), SEED, BATCHES), GRAPH)
    print(f"{GRAPH}: {GRAPH.stat().st_size} bytes, {len(examples.labels)} examples")


if __name__ == "__main__":
    main()
