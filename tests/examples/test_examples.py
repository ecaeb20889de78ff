"""The examples, run as a user runs them against the running service."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.programs import need
from tests.service import ROOT, Service, free_port
from tests.web.test_recognize import NINE


@pytest.mark.service
def test_every_endpoint_answers_as_the_script_expects(service: Service) -> None:
    need("curl")
    done = subprocess.run(
        ["bash", "examples/every_endpoint.sh"],
        cwd=ROOT,
        env={**os.environ, "BASE_URL": service.url},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("ok     expected") > 50


def test_the_script_calls_every_path_of_the_description() -> None:
    script = (ROOT / "examples/every_endpoint.sh").read_text()
    for name, value in re.findall(r"^(v1|v2)=(.*)$", script, re.MULTILINE):
        script = script.replace(f"${name}", value)
    script = script.replace('"$result"', '"$base/results/id"')
    for path in json.loads((ROOT / "web/openapi.json").read_text())["paths"]:
        address = re.sub(r"\\{\w+\\}", "[^/:]+", re.escape(path))
        assert re.search(rf'"\$base{address}["?]', script), path


@pytest.mark.service
def test_the_script_notices_a_wrong_answer(service: Service) -> None:
    need("curl")
    done = subprocess.run(
        ["bash", "examples/every_endpoint.sh"],
        cwd=ROOT,
        # Every address becomes one that there is not.
        env={**os.environ, "BASE_URL": f"{service.url}/nothing"},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 1
    assert "WRONG  expected 200  got 404  live" in done.stdout


@pytest.mark.service
def test_predict_prints_what_it_was_told(service: Service) -> None:
    done = subprocess.run(
        [sys.executable, "examples/predict.py", "--url", service.url],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("themes: ") == 4
    assert "coffee.jpg, fetched later (300, 200)" in done.stdout


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (["bash", "examples/every_endpoint.sh"], 2),
        ([sys.executable, "examples/predict.py", "--url", "URL"], 1),
    ],
    ids=["every_endpoint", "predict"],
)
def test_without_a_service_there_is_one_clear_line(command: list[str], status: int) -> None:
    if command[0] == "bash":
        need("curl")
    url = f"http://127.0.0.1:{free_port()}"
    done = subprocess.run(
        [url if word == "URL" else word for word in command],
        cwd=ROOT,
        env={**os.environ, "BASE_URL": url},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == status
    assert done.stderr.count("\n") == 1
    assert f"no service at {url}" in done.stderr


@pytest.mark.service
def test_the_client_s_example_prints_what_it_was_told(service: Service) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "examples.with_client", "--url", service.url],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("themes: ") == 4
    assert "a suggestion: Label(label='Cats'" in done.stdout


def evaluate(folder: Path, service: Service, *options: str) -> str:
    """Return what the evaluation of a folder says; its pictures go there, too."""
    where = (str(folder), "--url", service.url, "--seconds", "0.3", "--out", str(folder))
    done = subprocess.run(
        [sys.executable, "examples/evaluate.py", *where, *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.service
def test_the_evaluation_counts_what_is_right_and_compares_the_ways(
    service: Service, tmp_path: Path
) -> None:
    service.wait_for_model("digits")
    nine = Image.open(io.BytesIO(base64.b64decode(NINE)))
    for label in ("9", "4"):
        (tmp_path / label).mkdir()
        nine.save(tmp_path / label / "picture.png")
    said = evaluate(tmp_path, service, "--model", "digits")
    assert "2 images: top-1 0.500" in said, "the same nine, once with a wrong label"
    for way in ("encoded image", "128: JSON tensor", "128: binary tensor"):
        assert way in said
    for name in ("evaluation.png", "throughput.png"):
        with Image.open(tmp_path / name) as picture:
            assert picture.width > 500


@pytest.mark.service
def test_the_evaluation_sends_no_more_than_a_body_holds(
    service: Service, photos: dict[str, bytes], tmp_path: Path
) -> None:
    (tmp_path / "Cats").mkdir()
    (tmp_path / "Cats" / "photo.jpg").write_bytes(photos["chelsea"])
    said = evaluate(tmp_path, service, "--model", "tags", "--key", "any")
    assert "15: JSON tensor" in said
    assert "15: binary tensor" in said
