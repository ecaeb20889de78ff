"""A new version of a model under load: real processes, and not one request that fails."""

from __future__ import annotations

import base64
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
REST_S = 0.05  # of a client between two requests: a worker that starts needs a core, too
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
    """Clients that ask again and again, and what they were told."""

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
                stop.wait(REST_S)

    def said(self, version: str) -> bool:
        """Return whether the last answer is of `version`."""
        return bool(self.seen) and self.seen[-1].version == version

    def check(self, old: str, new: str) -> None:
        """Fail unless all were answered, and went over from `old` to `new` once and for all."""
        assert {one.status for one in self.seen} == {200}
        assert {one.version for one in self.seen} == {old, new}
        assert {one.label for one in self.seen if one.version == "1"} == {"Cats"}
        assert {one.label for one in self.seen if one.version != "1"} == {"Cats, anew"}
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
        MODELS_FOLDER=str(models),
        DEADLINE_MS="3000",
        MAX_DEADLINE_MS="3000",  # the old workers stay for as long
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


def head_manifest(models: Path, head: str) -> None:
    """Put `head` above what every version is, at a stroke."""
    manifest = models / "tags" / "model.toml"
    text = (ROOT / "models/tags/model.toml").read_text()
    manifest.with_suffix(".new").write_text(head + text)
    manifest.with_suffix(".new").rename(manifest)


def answered_by(asking: Crowd, version: str) -> float:
    """Wait until `version` answers; return how long it took, in seconds."""
    return wait_for(lambda: asking.said(version), f"version {version} never answered")


def settle(service: Service, asking: Crowd, version: str, left: str) -> float:
    """Wait until `version` answers and the workers of the other one have gone."""
    took = answered_by(asking, version)
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


def test_the_newest_version_is_removed_and_the_one_before_answers(
    reloading: Service, models: Path, photos: dict[str, bytes]
) -> None:
    with crowd(reloading, photos["chelsea"]) as asking:
        time.sleep(1)
        shutil.rmtree(models / "tags" / "2")
        took = answered_by(asking, "1")
        time.sleep(1)
    asking.check("2", "1")
    report("removed, 2 to 1", asking, took)


def test_a_pinned_version_is_served_and_a_removed_one_is_not(
    reloading: Service, models: Path, photos: dict[str, bytes]
) -> None:
    with crowd(reloading, photos["chelsea"]) as asking:
        make_version(models, "4")
        answered_by(asking, "4")
    asking.check("1", "4")
    with crowd(reloading, photos["chelsea"]) as asking:
        time.sleep(1)
        head_manifest(models, "pinned = 1\n")
        took = settle(reloading, asking, "1", left="4")
    asking.check("4", "1")
    report("pinned, 4 to 1", asking, took)


def found(send: Callable[[], requests.Response]) -> requests.Response:
    """Send until a web process answers that knows of it: each learns of it by itself."""
    answers: list[requests.Response] = []

    def is_found() -> bool:
        answers.append(send())
        return answers[-1].status_code != 404

    wait_for(is_found, "the label never found its version")
    return answers[-1]


def test_a_label_brings_a_version_that_only_those_who_name_it_ask(
    reloading: Service, models: Path, photos: dict[str, bytes]
) -> None:
    url = f"{reloading.url}/v1/models/tags/labels/canary"
    picture = {"image": {"b64": base64.b64encode(photos["chelsea"]).decode()}}
    assert requests.get(url, timeout=10).status_code == 404
    with crowd(reloading, photos["chelsea"]) as asking:
        head_manifest(models, "pinned = 1\nlabels = { canary = 4 }\n")
        status = found(lambda: requests.get(url, timeout=10))
        instances, examples = {"instances": [picture]}, {"examples": [picture]}
        predicted = found(lambda: requests.post(f"{url}:predict", json=instances, timeout=30))
        classified = found(lambda: requests.post(f"{url}:classify", json=examples, timeout=30))
    (version,) = status.json()["model_version_status"]
    assert (version["version"], version["state"]) == ("4", "AVAILABLE")
    assert predicted.status_code == 200, predicted.text
    assert classified.json()["results"][0][0][0] == "Cats, anew"
    assert {(one.status, one.version) for one in asking.seen} == {(200, "1")}


def test_a_version_that_is_not_served_is_removed(
    reloading: Service, models: Path, photos: dict[str, bytes]
) -> None:
    log = reloading.log.read_text()
    with crowd(reloading, photos["chelsea"]) as asking:
        shutil.rmtree(models / "tags" / "4")
        head_manifest(models, "")
        time.sleep(4)
    assert {(one.status, one.version) for one in asking.seen} == {(200, "1")}
    assert "takes over" not in reloading.log.read_text()[len(log) :]
