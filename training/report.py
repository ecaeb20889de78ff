"""How users took the answers: `python -m training.report`, of the service's FEEDBACK_FOLDER.

Prints, for each classifier, how often a choice was among the labels answered (acceptance), was the
first of them (top-1) or one of the first five (top-5): per version, per day and per chosen label.
Draws top-1 and top-5 over the days; `--export` writes a folder to train with (`training.choices`).
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from shared.feedback import FILE, Choice, Feedback
from shared.settings import MIB, Settings
from training.choices import write_choices

matplotlib.use("Agg")

NOTHING = "(none fits)"


@dataclass(frozen=True)
class Verdict:
    """A choice for one classifier, held against what that had answered."""

    classifier: str  # model/name
    version: str
    day: str  # of the choice, in UTC
    label: str  # that was chosen
    place: int | None  # of that label among those answered, from 0; None: it was none of them


@dataclass(frozen=True)
class Agreement:
    """Shares of so many verdicts."""

    count: int
    accepted: float
    top_1: float
    top_5: float


def verdicts(choices: Iterable[Choice]) -> list[Verdict]:
    """Return a verdict per choice and classifier."""
    found = []
    for choice in choices:
        day = datetime.fromtimestamp(choice.at, UTC).date().isoformat()
        for name, label in choice.chosen.items():
            answered = [entry["label"] for entry in choice.item[name]]
            place = answered.index(label) if label in answered else None
            classifier = f"{choice.prediction.model}/{name}"
            found.append(
                Verdict(classifier, choice.prediction.version, day, label or NOTHING, place)
            )
    return found


def agreement(verdicts: Sequence[Verdict]) -> Agreement:
    """Return how far users agreed, over at least one verdict."""
    places = [verdict.place for verdict in verdicts]
    accepted = [place for place in places if place is not None]
    count = len(places)
    return Agreement(
        count,
        len(accepted) / count,
        sum(place == 0 for place in accepted) / count,
        sum(place < 5 for place in accepted) / count,
    )


def group(verdicts: Iterable[Verdict], key: Callable[[Verdict], str]) -> dict[str, list[Verdict]]:
    """Return the verdicts by a key, in the key's order."""
    groups = defaultdict(list)
    for verdict in verdicts:
        groups[key(verdict)].append(verdict)
    return dict(sorted(groups.items()))


def tables(verdicts: Sequence[Verdict]) -> str:
    """Return the report as Markdown."""
    lines = []
    for classifier, own in group(verdicts, lambda verdict: verdict.classifier).items():
        lines += [f"## {classifier}", ""]
        lines += _table("", {"all": own})
        lines += _table("version", group(own, lambda verdict: verdict.version))
        lines += _table("day", group(own, lambda verdict: verdict.day))
        labels = group(own, lambda verdict: verdict.label)
        ordered = sorted(labels.items(), key=lambda entry: -len(entry[1]))
        lines += _table("chosen", dict(ordered))
    return "\n".join(lines)


def _table(title: str, groups: dict[str, list[Verdict]]) -> list[str]:
    lines = [f"| {title} | choices | acceptance | top-1 | top-5 |", "|---|---:|---:|---:|---:|"]
    for name, own in groups.items():
        shares = agreement(own)
        lines.append(
            f"| {name} | {shares.count} | {shares.accepted:.3f} "
            f"| {shares.top_1:.3f} | {shares.top_5:.3f} |"
        )
    return [*lines, ""]


def draw(verdicts: Sequence[Verdict], path: Path) -> None:
    """Draw top-1 and top-5 of each classifier over the days."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    for number, (classifier, own) in enumerate(
        group(verdicts, lambda verdict: verdict.classifier).items()
    ):
        days = group(own, lambda verdict: verdict.day)
        shares = [agreement(each) for each in days.values()]
        dates = np.array(list(days), "datetime64[D]")
        color = f"C{number}"
        axes.plot(dates, [each.top_1 for each in shares], "o-", color=color, label=classifier)
        axes.plot(dates, [each.top_5 for each in shares], "o--", color=color, alpha=0.6)
    axes.set(ylim=(0, 1.02), ylabel="share of choices", title="Top-1 (line) and top-5 (dashes)")
    axes.legend()
    figure.autofmt_xdate()
    figure.savefig(path, dpi=120)


def main() -> int:
    """Print the report; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    settings = Settings.from_environment()
    parser.add_argument(
        "folder",
        type=Path,
        nargs="?",
        default=Path(settings.feedback_folder),
        help="left out: FEEDBACK_FOLDER",
    )
    parser.add_argument("--plot", type=Path, default=Path("feedback.png"))
    parser.add_argument("--export", type=Path, metavar="FOLDER", help="write the choices there")
    arguments = parser.parse_args()
    if not (arguments.folder / FILE).exists():
        print(f"training.report: no {FILE} in {arguments.folder}", file=sys.stderr)
        return 1
    feedback = Feedback(arguments.folder, settings.feedback_max_mib * MIB, settings.feedback_days)
    try:
        found = verdicts(feedback.choices())
        for model, version, count in feedback.counts():
            print(f"{model}, version {version}: {count} points predicted and kept")
        if not found:
            print("Nobody has chosen yet.")
            return 0
        print(f"\n{tables(found)}")
        draw(found, arguments.plot)
        print(f"Over the days: {arguments.plot}")
        if arguments.export:
            count = write_choices(feedback.choices(images=True), arguments.export)
            print(f"{count} choices in {arguments.export}")
    finally:
        feedback.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
