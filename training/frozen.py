"""Writes a frozen graph, so that a half-written one is never served."""

from __future__ import annotations

import os
from pathlib import Path

import tensorflow as tf


def write_frozen(definition: tf.compat.v1.GraphDef, path: Path) -> None:
    """Replace `path` by `definition`, at a stroke; the same graph gives the same bytes."""
    half_written = path.with_suffix(".pb.new")
    half_written.write_bytes(definition.SerializeToString(deterministic=True))
    os.replace(half_written, path)
