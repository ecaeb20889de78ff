"""What the characters' network says of photos that it was not trained on.

The committed graph is trained on all of them, so its own figures would flatter it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from shared.manifest import read_model
from shared.preparation import prepare
from training.characters import BATCHES, SEED
from training.characters_data import photo_paths
from training.characters_examples import Pool
from training.characters_fonts import LABELS
from training.characters_network import Floats, probabilities
from training.characters_training import train

PARTS = 5  # of the photos; one is held out
_CACHE = Path("var/characters_held.npz")  # made anew when it would differ
_MAX_PIXELS = 50_000_000


@dataclass(frozen=True)
class Held:
    """The photos that were held out."""

    labels: npt.NDArray[np.int64]  # [n], the right ones
    probabilities: Floats  # [n, 62]


def hold_out(data: Path) -> Held:
    """Train a network without a fifth of the photos, and ask it for those.

    A photo is read as a client's is: its file's bytes go through the service's own code.
    """
    digest = _digest()
    if _CACHE.is_file():
        with np.load(_CACHE) as cache:
            if str(cache["digest"]) == digest:
                return Held(cache["labels"], cache["probabilities"])
    pool = Pool(data, SEED)
    held = (pool.groups >= 0) & (pool.groups % PARTS == 0)
    weights = train(pool.examples(without=held), len(LABELS), SEED, BATCHES)
    judged = [(path, label) for path, label, group in photo_paths(data) if group % PARTS == 0]
    model = read_model(Path("models/characters"))
    tensors = [prepare(model, path.read_bytes(), [], _MAX_PIXELS)[1][0] for path, _ in judged]
    labels = np.array([label for _, label in judged], np.int64)
    result = Held(labels, probabilities(weights, np.concatenate(tensors)))
    _CACHE.parent.mkdir(exist_ok=True)
    np.savez(_CACHE, digest=digest, labels=result.labels, probabilities=result.probabilities)
    return result


def _digest() -> str:
    """Tell apart whatever the answers come from: the code."""
    sources = sorted(Path(__file__).parent.glob("characters*.py"))
    sources += [Path("shared", name) for name in ("steps.py", "ink.py", "components.py")]
    both = b"".join(path.read_bytes() for path in sources if "accuracy" not in path.name)
    return hashlib.sha256(both).hexdigest()
