"""A new version of a model under load: real processes, and not one request that fails."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests

from tests.service import ROOT, Service

pytestmark = [pytest.mark.service, pytest.mark.timeout(300)]

CLIENTS = 4
PATIENCE_S = 90


@dataclass(frozen=True)
class Seen:
    """One answer: when it was asked for and there, in monotonic seconds, and what it said."""

    asked: float
    there: float
    status: int
    version: str
    label: str


@dataclass
class Crowd:
    """Clients that ask without a pause, and what they were told."""

    url: str
    photo: bytes
    seen: list[Seen] = field(default_factory=list)

    def ask_until(self, stop: threading.Event) -> None:
        with requests.Session() as session:
            while not stop.is_set():
                asked = time.monotonic()
                response = session.post(f"{self.url}/predict", data=self.photo, timeout=30)
                there = time.monotonic()
                answer = response.json()
                version, label = answer.get("version", ""), ""
                if response.ok:
                    label = answer["themes"][0]["label"]
                self.seen.append(Seen(asked, there, response.status_code, version, label))

    def check(self, old: str, new: str) -> None:
        """Fail unless all were answered, and went over from `old` to `new` once and for all."""
        assert {one.status for one in self.seen} == {200}
        assert {one.version for one in self.seen} == {old, new}
        assert {one.label for one in self.seen if one.version == "1"} == {"Cats"}
        assert {one.label for one in self.seen if one.version == "2"} == {"Cats, anew"}
        first_new = min(one.there for one in self.seen if one.version == new)
        late = [one for one in self.seen if one.version == old and one.asked > first_new]
        assert late == [], "who asks after an answer of the new version gets one of the new one"


@contextmanager
def crowd(service: Service, photo: bytes) -> Iterator[Crowd]:
    """Let clients ask meanwhile."""
    stop, asking = threading.Event(), Crowd(service.url, photo)
    threads = [threading.Thread(target=asking.ask_until, args=[stop]) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield asking
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with version 1 of `tags`."""
    folder = tmp_path_factory.mktemp("models")
    shutil.copytree(ROOT / "models" / "tags", folder / "tags")
    return folder


@pytest.fixture(scope="module")
def reloading(models: Path) -> Iterator[Service]:
    """A service on that folder, with two web processes."""
    with Service(
        WORKERS="2",
        WEB_PROCESSES="2",
        ENGINE="litert",
        MODELS_FOLDER=str(models),
        MAX_DEADLINE_MS="5000",  # the old workers stay for as long
    ) as service:
        yield service


def make_version(models: Path, number: str, spoil: str = "") -> None:
    """Bring a version whose label `Cats` reads otherwise, at a stroke as it should be done."""
    made = models / "tags" / f".{number}"
    shutil.copytree(models / "tags" / "1", made)
    labels = (made / "themes.txt").read_text().replace("Cats\n", "Cats, anew\n")
    (made / "themes.txt").write_text(labels)
    if spoil:
        (made / spoil).write_bytes((made / spoil).read_bytes()[:5000])
    made.rename(models / "tags" / number)


def wait_for(is_so: Callable[[], bool], what: str) -> float:
    """Return how long it took, in seconds."""
    started = time.monotonic()
    while not is_so():
        assert time.monotonic() < started + PATIENCE_S, what
        time.sleep(0.05)
    return time.monotonic() - started


def settle(service: Service, asking: Crowd, version: str, left: str) -> float:
    """Wait until `version` answers and the workers of the other one have gone."""
    took = wait_for(lambda: asking.seen[-1].version == version, f"version {version} never answered")
    left_line = f'"version left", "model": "tags", "version": "{left}"'
    wait_for(lambda: left_line in service.log.read_text(), f"the workers of {left} never left")
    time.sleep(1)
    return took


def report(what: str, asking: Crowd, took_s: float) -> None:
    """Print the figures for docs/models.md."""
    waits = sorted(one.there - one.asked for one in asking.seen)
    print(
        f"\n{what}: {len(waits)} answers, 0 errors; {took_s:.1f} s until the first new answer; "
        f"p50 {waits[len(waits) // 2] * 1000:.0f} ms, p99 {waits[-len(waits) // 100] * 1000:.0f} "
        f"ms, slowest {waits[-1] * 1000:.0f} ms"
    )


def test_a_new_version_takes_over_at_a_stroke(
    reloading: Service, models: Path, photos: dict[str, bytes]
) -> None:
    with crowd(reloading, photos["chelsea"]) as asking:
        time.sleep(1)
        make_version(models, "2")
        took = settle(reloading, asking, "2", left="1")
    asking.check("1", "2")
    report("1 to 2", asking, took)


def test_a_broken_version_is_refused_and_the_old_one_stays(
    reloading: Service, models: Path, photos: dict[str, bytes]
) -> None:
    with crowd(reloading, photos["chelsea"]) as asking:
        make_version(models, "3", spoil="tags.tflite")
        refused = '"version refused", "model": "tags", "version": "3"'
        wait_for(lambda: refused in reloading.log.read_text(), "it was not refused")
        time.sleep(3)
    assert {(one.status, one.version) for one in asking.seen} == {(200, "2")}
    (line,) = [line for line in reloading.log.read_text().splitlines() if refused in line]
    assert "cannot load model 'tags'" in line, "it says why, and is tried once"
    assert '"stays": "2"' in line
    shutil.rmtree(models / "tags" / "3")


def test_a_pinned_version_is_served_and_a_removed_one_is_not(
    reloading: Service, models: Path, photos: dict[str, bytes]
) -> None:
    manifest = models / "tags" / "model.toml"
    text = manifest.read_text()
    with crowd(reloading, photos["chelsea"]) as asking:
        time.sleep(1)
        manifest.with_suffix(".new").write_text("pinned = 1\n" + text)
        manifest.with_suffix(".new").rename(manifest)
        took = settle(reloading, asking, "1", left="2")
    asking.check("2", "1")
    report("pinned, 2 to 1", asking, took)
    log = reloading.log.read_text()
    with crowd(reloading, photos["chelsea"]) as asking:
        shutil.rmtree(models / "tags" / "2")
        manifest.with_suffix(".new").write_text(text)
        manifest.with_suffix(".new").rename(manifest)
        time.sleep(4)
    assert {(one.status, one.version) for one in asking.seen} == {(200, "1")}
    assert "takes over" not in reloading.log.read_text()[len(log) :]
