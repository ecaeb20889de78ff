"""Which version of a model a web process asks, and from when on."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from shared.folder import ModelsFolder
from shared.manifest import ManifestError, Model
from shared.queue import Queue
from shared.settings import Settings
from tests.service import ROOT
from web import catalog
from web.catalog import Catalog, NoSuchModelError, Served
from web.dispatch import Dispatcher
from web.gate import Gate

NOTICE_S = 0.4


@pytest.fixture(autouse=True)
def _short_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "_NOTICE_S", NOTICE_S)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "models" / "tags", tmp_path / "tags")
    return tmp_path


@pytest.fixture
def make(folder: Path, client: redis.Redis) -> Callable[[], Catalog]:
    """Make the catalog of one more web process."""

    def serve(model: Model) -> Served:
        queue = Queue(client, model.queue, Settings())
        return Served(model, queue, Dispatcher(queue, queue, 1.0, 2.0), Gate())

    return lambda: Catalog(ModelsFolder(folder), "tags", serve, 60.0)


@pytest.fixture
def beat(client: redis.Redis) -> Callable[[str], None]:
    """Let a worker of a version say that it is warm."""
    return lambda version: Queue(client, f"tags:{version}", Settings()).beat("w" + version, {})


def copy(folder: Path, version: str) -> None:
    shutil.copytree(folder / "tags" / "1", folder / "tags" / version)


def test_a_new_version_is_asked_when_it_has_workers_and_not_at_once(
    folder: Path, make: Callable[[], Catalog], beat: Callable[[str], None]
) -> None:
    catalog = make()
    beat("1")
    catalog.look()
    copy(folder, "2")
    catalog.look()
    assert catalog.find().model.version == "1", "nobody serves the new one"
    with pytest.raises(NoSuchModelError, match="no version '2' of model 'tags'"):
        catalog.find("tags", "2")
    beat("2")
    catalog.look()
    assert catalog.find("tags", "2").model.version == "2", "who names it gets it"
    assert [served.model.version for served in catalog.available()] == ["1", "2"]
    assert catalog.find().model.version == "1"
    time.sleep(NOTICE_S)
    assert catalog.find().model.version == "2"
    assert catalog.find("tags", "1").model.version == "1", "while it has workers"
    assert [served.model.version for served in catalog] == ["2"]


def test_all_web_processes_turn_at_the_same_moment_whenever_they_looked(
    folder: Path, make: Callable[[], Catalog], beat: Callable[[str], None]
) -> None:
    one, other = make(), make()
    beat("1")
    copy(folder, "2")
    beat("2")
    one.look()
    time.sleep(NOTICE_S * 0.6)
    other.look()
    turned: dict[str, float] = {}
    until = time.monotonic() + 2
    while len(turned) < 2 and time.monotonic() < until:
        for name, process in (("one", one), ("other", other)):
            if process.find().model.version == "2":
                turned.setdefault(name, time.monotonic())
    assert abs(turned["one"] - turned["other"]) < 0.02


def test_a_version_without_workers_is_not_turned_to_and_the_highest_that_has_some_is(
    folder: Path, make: Callable[[], Catalog], beat: Callable[[str], None]
) -> None:
    copy(folder, "2")
    copy(folder, "3")
    catalog = make()
    assert catalog.find().model.version == "3"
    beat("1")
    beat("2")
    time.sleep(NOTICE_S)
    catalog.look()
    assert catalog.find().model.version == "2"


def test_a_version_that_is_removed_is_asked_until_another_has_workers(
    folder: Path, make: Callable[[], Catalog], beat: Callable[[str], None], client: redis.Redis
) -> None:
    copy(folder, "2")
    catalog = make()
    beat("2")
    catalog.look()
    shutil.rmtree(folder / "tags" / "2")
    catalog.look()
    assert catalog.find().model.version == "2"
    beat("1")
    catalog.look()
    time.sleep(NOTICE_S)
    assert catalog.find().model.version == "1"
    client.delete("batchpoint:{tags:2}:since")
    catalog.look()
    with pytest.raises(NoSuchModelError):
        catalog.find("tags", "2")
    kept = {served.model.version for served in catalog.everything()}
    assert kept == {"1", "2"}, "its results can be fetched still"


def change_size(folder: Path, version: str) -> None:
    """Give the crops of a version another size."""
    path = folder / "tags" / version / "model.toml"
    if not path.exists():
        shutil.copy(folder / "tags" / "model.toml", path)
    text = path.read_text()
    assert "pixels = 9 }" in text
    assert "size = [9, 9]" in text
    path.write_text(text.replace("pixels = 9 }", "pixels = 7 }").replace("[9, 9]", "[7, 7]"))


def width(served: Served) -> int:
    """Return the width of the crop for the colours."""
    (colors,) = [each for each in served.model.classifiers if each.name == "colors"]
    return colors.crop.width


def test_a_version_that_changed_before_it_had_workers_is_asked_as_it_is_now(
    folder: Path, make: Callable[[], Catalog], beat: Callable[[str], None]
) -> None:
    catalog = make()
    beat("1")
    copy(folder, "2")
    catalog.look()
    change_size(folder, "2")
    catalog.look()
    beat("2")
    catalog.look()
    time.sleep(NOTICE_S)
    assert catalog.find().model.version == "2"
    assert width(catalog.find()) == 7


def test_the_version_that_is_asked_is_taken_anew_once_its_workers_are_gone(
    folder: Path, make: Callable[[], Catalog], beat: Callable[[str], None], client: redis.Redis
) -> None:
    catalog = make()
    beat("1")
    catalog.look()
    change_size(folder, "1")
    catalog.look()
    assert width(catalog.find()) == 9, "its workers serve what it was"
    before = catalog.find()
    Queue(client, "tags:1", Settings()).reap(dead="w1")
    catalog.look()
    assert width(catalog.find()) == 7
    assert before in catalog.everything(), "its results can be fetched still"
    assert catalog.find().dispatcher is not before.dispatcher


@pytest.mark.parametrize("ahead_s", [3600.0, 0.0])
def test_a_folder_dated_in_the_future_is_turned_to_all_the_same(
    ahead_s: float, folder: Path, make: Callable[[], Catalog], beat: Callable[[str], None]
) -> None:
    catalog = make()
    beat("1")
    catalog.look()
    copy(folder, "2")
    os.utime(folder / "tags", (time.time() + ahead_s, time.time() + ahead_s))
    beat("2")
    until = time.monotonic() + NOTICE_S * 1.5
    while time.monotonic() < until:  # looks within the notice must not put it off
        catalog.look()
        time.sleep(NOTICE_S / 10)
    assert catalog.find().model.version == "2"


def test_a_folder_touched_again_and_again_does_not_put_off_the_turn(
    folder: Path, make: Callable[[], Catalog], beat: Callable[[str], None]
) -> None:
    catalog = make()
    beat("1")
    catalog.look()
    copy(folder, "2")
    beat("2")
    until = time.monotonic() + NOTICE_S * 1.5
    while time.monotonic() < until:
        os.utime(folder / "tags")
        catalog.look()
        time.sleep(NOTICE_S / 10)
    assert catalog.find().model.version == "2"


def test_a_redis_that_forgot_everything_changes_nothing(
    folder: Path, make: Callable[[], Catalog], beat: Callable[[str], None], client: redis.Redis
) -> None:
    copy(folder, "2")
    catalog = make()
    beat("2")
    catalog.look()
    client.flushall()
    catalog.look()
    assert catalog.find().model.version == "2"
    beat("1")  # a worker that was about to go is the first to be back
    catalog.look()
    beat("2")
    catalog.look()
    time.sleep(NOTICE_S)
    assert catalog.find().model.version == "2"


def test_models_come_and_go_but_never_the_default_one(
    folder: Path, make: Callable[[], Catalog]
) -> None:
    catalog = make()
    shutil.copytree(folder / "tags", folder / "other")
    catalog.look()
    assert catalog.find("other").model.name == "other"
    shutil.rmtree(folder / "tags")
    catalog.look()
    assert catalog.find().model.name == "tags"
    shutil.copytree(folder / "other", folder / "tags")
    shutil.rmtree(folder / "other")
    catalog.look()
    with pytest.raises(NoSuchModelError, match="no model 'other'"):
        catalog.find("other")
    assert catalog.refusal("other", 5) is None


def test_a_default_model_that_cannot_be_read_is_refused(
    folder: Path, make: Callable[[], Catalog]
) -> None:
    (folder / "tags" / "1" / "themes.txt").unlink()
    with pytest.raises(ManifestError, match="'tags' cannot be read"):
        make()


def test_a_label_stands_for_a_version_that_workers_serve(
    folder: Path, make: Callable[[], Catalog], beat: Callable[[str], None]
) -> None:
    copy(folder, "2")
    table = folder / "tags" / "model.toml"
    table.write_text("labels = { stable = 1, next = 2, gone = 7 }\n" + table.read_text("utf-8"))
    beat("1")
    found = make()
    found.look()
    time.sleep(NOTICE_S + 0.1)  # until it has turned to the version that has a worker
    assert found.find("tags", "stable").model.version == "1"
    for name in ("next", "gone", "none"):
        with pytest.raises(NoSuchModelError):
            found.find("tags", name)
    beat("2")
    table.write_text(table.read_text("utf-8").replace("stable = 1", "stable = 2"))
    found.look()
    assert found.find("tags", "next").model.version == "2"
    assert found.find("tags", "stable").model.version == "2"


def test_a_version_served_for_its_label_stands_in_for_another_unless_that_is_pinned(
    folder: Path, make: Callable[[], Catalog], beat: Callable[[str], None], client: redis.Redis
) -> None:
    copy(folder, "2")
    table = folder / "tags" / "model.toml"
    plain = table.read_text("utf-8")
    table.write_text("pinned = 1\nlabels = { next = 2 }\n" + plain)
    beat("1")
    beat("2")
    found = make()
    found.look()
    client.delete("batchpoint:{tags:1}:since")
    for text, expected in (("pinned = 1\n", "1"), ("", "2")):
        table.write_text(text + "labels = { next = 2 }\n" + plain)
        found.look()
        time.sleep(NOTICE_S + 0.1)
        assert found.find().model.version == expected
        assert found.find("tags", "next").model.version == "2"


def test_a_version_that_has_workers_already_is_turned_to_at_one_moment_too(
    folder: Path, make: Callable[[], Catalog], beat: Callable[[str], None]
) -> None:
    copy(folder, "2")
    beat("1")
    beat("2")
    time.sleep(NOTICE_S)
    one, other = make(), make()
    for process in (one, other):
        process.look()
        assert process.find().model.version == "2"
    manifest = folder / "tags" / "model.toml"
    manifest.write_text("pinned = 1\n" + manifest.read_text())
    changed = time.monotonic()
    one.look()
    time.sleep(NOTICE_S / 2)
    other.look()
    turned: dict[str, float] = {}
    while len(turned) < 2 and time.monotonic() < changed + 2:
        for name, process in (("one", one), ("other", other)):
            if process.find().model.version == "1":
                turned.setdefault(name, time.monotonic() - changed)
    assert turned == {
        "one": pytest.approx(NOTICE_S, abs=0.05),
        "other": pytest.approx(NOTICE_S, abs=0.05),
    }
