"""TensorFlow without Keras, which it loads at its own import, though only `.keras` files need it.

Keras is 105 MB of memory, and two of the four seconds that the import takes.
"""

from __future__ import annotations

import importlib
import sys

if "tensorflow" not in sys.modules and "keras" not in sys.modules:
    sys.modules["keras"] = None  # type: ignore[assignment]  # as if it were not installed
    try:
        importlib.import_module("tensorflow")
    finally:
        del sys.modules["keras"]
import tensorflow as tf

__all__ = ["tf"]
