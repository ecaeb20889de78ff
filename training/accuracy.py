"""Writes `docs/accuracy.md` and its pictures: `python -m training.accuracy`."""

from __future__ import annotations

import argparse
from pathlib import Path

from training import (
    characters_accuracy,
    color_accuracy,
    engine_accuracy,
    imagenet_accuracy,
    theme_accuracy,
)

DOCS = Path("docs")
HEAD = """# How accurate the models are

Written by `python -m training.accuracy` from what `training/THEMES.md`, `training/COLORS.md` and
`training/CHARACTERS.md` describe. Every figure says what was held out.
"""


def main() -> None:
    """Measure all models and both engines; an hour and a half, or more, on two cores."""
    parser = argparse.ArgumentParser(prog="python -m training.accuracy", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    data: Path = parser.parse_args().data
    sections = [
        HEAD,
        theme_accuracy.report(data, DOCS),
        color_accuracy.report(data, DOCS),
        engine_accuracy.report(data),
        imagenet_accuracy.report(data),
        characters_accuracy.report(data),
    ]
    text = "\n".join(sections).rstrip() + "\n"
    (DOCS / "accuracy.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
