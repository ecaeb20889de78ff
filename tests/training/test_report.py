"""The report on feedback, and the export to train with, of a file with known choices."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from shared.feedback import Feedback, Prediction
from shared.images import Point, cut, open_image
from shared.manifest import read_model
from tests.clock import Clock
from tests.service import ROOT
from training.choices import read_choices
from training.report import NOTHING, agreement, group, verdicts

ANSWERED = ["Cats", "Dogs", "Birds", "Fish", "Food", "Travel"]
DAY = 86_400.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Seven predictions on two days by two versions, and six choices."""
    clock = Clock()
    feedback = Feedback(tmp_path, 1 << 30, 90, clock)
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((40, 30)).convert("RGB").save(buffer, "PNG")
    chosen = ["Cats", "Cats", "Food", "Travel", "Weddings", None]
    for number in range(7):
        clock.now += DAY if number == 3 else 1
        likely = [{"label": label, "probability": 0.1} for label in ANSWERED]
        items = [{"point": [5, 9], "themes": likely}]
        version = "1" if number < 3 else "2"
        feedback.keep([Prediction(str(number), "tags", version, buffer.getvalue(), items)])
        if number < 6:
            feedback.choose(str(number), 0, {"themes": chosen[number]})
    feedback.close()
    return tmp_path


@pytest.fixture
def feedback(folder: Path) -> Feedback:
    return Feedback(folder, 1 << 30, 90)


def test_acceptance_and_agreement_are_counted(feedback: Feedback) -> None:
    found = verdicts(feedback.choices())
    feedback.close()
    whole = agreement(found)
    assert whole.count == 6
    assert whole.accepted == pytest.approx(4 / 6), "two chose what was not answered"
    assert whole.top_1 == pytest.approx(2 / 6)
    assert whole.top_5 == pytest.approx(3 / 6), "Travel was the sixth answered"
    by_version = group(found, lambda verdict: verdict.version)
    assert [agreement(own).top_1 for own in by_version.values()] == [pytest.approx(2 / 3), 0]
    assert list(group(found, lambda verdict: verdict.day)) == ["2023-11-14", "2023-11-15"]
    assert NOTHING in group(found, lambda verdict: verdict.label)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "training.report", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_report_prints_draws_and_exports(folder: Path, tmp_path: Path) -> None:
    export, plot = tmp_path / "export", tmp_path / "plot.png"
    done = run(str(folder), "--plot", str(plot), "--export", str(export))
    assert done.returncode == 0, done.stderr
    assert "tags, version 2: 4 points predicted and kept" in done.stdout
    assert "| all | 6 | 0.667 | 0.333 | 0.500 |" in done.stdout
    assert "| Cats | 2 | 1.000 | 1.000 | 1.000 |" in done.stdout
    with Image.open(plot) as picture:
        assert picture.width > 500
    examples = list(read_choices(export))
    assert [example.labels["themes"] for example in examples] == [
        "Cats",
        "Cats",
        "Food",
        "Travel",
        "Weddings",
    ]
    crop = read_model(ROOT / "models" / "tags").classifiers[1].crop
    assert examples[0].point == Point(5, 9)
    photo = open_image(examples[0].photo.read_bytes(), 10_000)
    assert cut(photo, examples[0].point, crop).shape == (9, 9, 3)


def test_without_a_file_it_says_so(tmp_path: Path) -> None:
    done = run(str(tmp_path))
    assert done.returncode == 1
    assert "no feedback.sqlite" in done.stderr
