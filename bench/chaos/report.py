"""What was seen as a page: `docs/reliability.md`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.chaos.row import Row, Seen

METHOD = Path(__file__).with_name("method.md")


def write(path: Path, about: Mapping[str, str], played: Sequence[tuple[Row, Seen]]) -> None:
    """Write the page."""
    lines = [f"- {name}: {text}" for name, text in about.items()]
    parts = [METHOD.read_text(encoding="utf-8").rstrip(), "## This run", "\n".join(lines)]
    parts += ["## Promises", table(played)]
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def table(played: Sequence[tuple[Row, Seen]]) -> str:
    """Return the table of promises as Markdown."""
    lines = ["| | fault | promise | what was seen | kept |", "| --- | --- | --- | --- | --- |"]
    for row, seen in played:
        kept = "**no**: " + "; ".join(_lines(seen.misses)) if seen.misses else "yes"
        cells = (f"**{row.name}**", row.fault, row.promise, figures(seen), kept)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def figures(seen: Seen) -> str:
    """Return a row's figures as one line."""
    return "; ".join(f"{name} {value}" for name, value in seen.figures.items())


def _lines(misses: Sequence[str]) -> list[str]:
    """Return misses without what would end a cell of the table."""
    return [miss.splitlines()[0].replace("|", "/") for miss in misses]
