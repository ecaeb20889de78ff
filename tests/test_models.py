"""Several models in one service: each has workers of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.object_store import ObjectStore
from tests.service import ROOT, Service

pytestmark = [pytest.mark.service, pytest.mark.timeout(200)]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with `tags`, and the same again as `other`."""
    folder = tmp_path_factory.mktemp("models")
    for name in ("tags", "other"):
        shutil.copytree(ROOT / "models" / "tags", folder / name)
    return folder


@pytest.fixture(scope="module")
def several(models: Path) -> Iterator[Service]:
    """A service with one worker for each of them."""
    with Service(
        WORKERS="1",
        WEB_PROCESSES="1",
        MODELS_FOLDER=str(models),
        MODELS="*",
        MAX_DEADLINE_MS="5000",
    ) as service:
        wait_for_answer(service, "other", 200)
        yield service


def ask(service: Service, model: str, photo: bytes, timeout_ms: int = 5000) -> requests.Response:
    url = f"{service.url}/predict/{model}"
    return requests.post(url, data=photo, params={"timeout_ms": timeout_ms}, timeout=30)


def wait_for_answer(service: Service, model: str, status: int) -> None:
    photo = (ROOT / "examples/photos/cat.jpg").read_bytes()
    until = time.monotonic() + 60
    while ask(service, model, photo).status_code != status:
        assert time.monotonic() < until, service.log.read_text()[-3000:]
        time.sleep(0.2)


def about(service: Service, model: str) -> dict[str, Any]:
    """Return what `/models` says of a model."""
    listed = requests.get(f"{service.url}/models", timeout=10).json()["models"]
    (found,) = [entry for entry in listed if entry["name"] == model]
    return dict(found)


def test_every_model_in_the_folder_has_a_worker_and_answers(
    several: Service, photos: dict[str, bytes]
) -> None:
    for model in ("tags", "other"):
        answer = ask(several, model, photos["chelsea"]).json()
        assert (answer["model"], answer["themes"][0]["label"]) == (model, "Cats")
        assert len(about(several, model)["workers"]) == 1


def test_a_model_whose_worker_stands_still_does_not_hold_up_another(
    several: Service, photos: dict[str, bytes]
) -> None:
    (worker,) = about(several, "other")["workers"]
    os.kill(worker["pid"], signal.SIGSTOP)
    try:
        assert ask(several, "other", photos["chelsea"], 300).status_code == 504
        for _ in range(5):
            assert ask(several, "tags", photos["chelsea"], 2000).status_code == 200
    finally:
        os.kill(worker["pid"], signal.SIGCONT)


def test_a_model_that_is_brought_or_taken_away_is_served_or_not(
    several: Service, models: Path
) -> None:
    shutil.copytree(models / "tags", models / ".third")
    (models / ".third").rename(models / "third")
    wait_for_answer(several, "third", 200)
    (worker,) = about(several, "third")["workers"]
    shutil.rmtree(models / "third")
    wait_for_answer(several, "third", 404)
    until = time.monotonic() + 30
    while Path(f"/proc/{worker['pid']}").exists():
        assert time.monotonic() < until, "its worker never left"
        time.sleep(0.2)


def test_workers_that_have_nothing_to_do_cost_next_to_nothing(several: Service) -> None:
    pids = [about(several, name)["workers"][0]["pid"] for name in ("tags", "other")]

    def spent_s(pid: int) -> float:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")

    before = [spent_s(pid) for pid in pids]
    time.sleep(5)
    shares = [(spent_s(pid) - spent) / 5 for pid, spent in zip(pids, before, strict=True)]
    print(f"\nof a core, idle: {shares}")
    assert max(shares) < 0.02


def test_models_in_s3_are_fetched_served_and_followed(tmp_path: Path) -> None:
    photo = (ROOT / "examples/photos/cat.jpg").read_bytes()
    with ObjectStore() as store:
        store.upload(ROOT / "models" / "digits", "digits")  # a small one
        where = {"MODELS_URL": store.url, "MODELS_FOLDER": str(tmp_path)}
        given = {"WORKERS": "1", "WEB_PROCESSES": "1", "MODEL": "digits", "MODELS": "digits"}
        with Service(**given, **where, **store.environment) as service:
            assert ask(service, "digits", photo).json()["version"] == "1"
            store.upload(ROOT / "models" / "digits" / "1", "digits/2")
            until = time.monotonic() + 90
            while (answer := ask(service, "digits", photo).json()).get("version") != "2":
                assert answer["success"], answer
                assert time.monotonic() < until, service.log.read_text()[-3000:]
                time.sleep(0.2)


def test_a_place_that_holds_no_models_ends_it_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    settings = {"MODELS_URL": (tmp_path / "there").as_uri(), "MODELS_FOLDER": str(tmp_path / "a")}
    for script in ("run_web.py", "run_worker.py"):
        done = subprocess.run(
            [sys.executable, script, "--processes", "1"],
            cwd=ROOT,
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 2
        assert f"{script}: MODELS_URL=file://" in done.stderr
        assert "no model" in done.stderr
