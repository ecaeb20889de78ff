"""The local copy of models that lie elsewhere: in memory, in a folder, in a real S3's likeness."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import fsspec  # type: ignore[import-untyped]  # ships no types
import pytest

from shared.folder import ModelsFolder
from shared.mirror import Follower, Mirror, sync_once
from shared.processes import stop_all
from shared.settings import SettingError, Settings
from tests.object_store import ObjectStore
from tests.service import ROOT

_numbers = itertools.count()


class Store:
    """A store in memory, with a model `digits` that has version 1."""

    def __init__(self) -> None:
        self.url = f"memory://store{next(_numbers)}/models"
        self.files = fsspec.filesystem("memory")
        self.write("digits/model.toml", "[classifiers]")
        self.write("digits/1/graph.pb", "one")
        self.write("digits/1/labels.txt", "0\n1\n")

    def write(self, path: str, text: str) -> None:
        self.files.pipe_file(f"{self.url}/{path}", text.encode())

    def remove(self, path: str) -> None:
        self.files.rm(f"{self.url}/{path}", recursive=True)


@pytest.fixture
def store() -> Store:
    return Store()


def held(folder: Path) -> dict[str, str]:
    """Return what the copy holds, beside its own records."""
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.relative_to(folder).parts[0].startswith(".")
    }


def test_everything_is_fetched_once(store: Store, tmp_path: Path) -> None:
    mirror = Mirror(store.url, tmp_path / "copy")
    assert mirror.sync() == 3
    assert held(tmp_path / "copy") == {
        "digits/1/graph.pb": "one",
        "digits/1/labels.txt": "0\n1\n",
        "digits/model.toml": "[classifiers]",
    }
    assert mirror.sync() == 0
    assert Mirror(store.url, tmp_path / "copy").sync() == 0, "nor after a restart"


def test_a_version_comes_when_it_no_longer_grows_and_only_what_changed_is_fetched(
    store: Store, tmp_path: Path
) -> None:
    mirror = Mirror(store.url, tmp_path)
    mirror.sync()
    store.write("digits/2/graph.pb", "two")
    assert mirror.sync() == 0
    store.write("digits/2/labels.txt", "0\n1\n")
    assert mirror.sync() == 0, "it has grown meanwhile"
    assert not (tmp_path / "digits/2").exists()
    assert mirror.sync() == 2
    store.write("digits/2/labels.txt", "0\n1\n2\n")
    assert [mirror.sync(), mirror.sync()] == [0, 1]
    assert held(tmp_path)["digits/2/labels.txt"] == "0\n1\n2\n"
    assert held(tmp_path)["digits/2/graph.pb"] == "two"


def test_a_version_that_goes_there_goes_here(store: Store, tmp_path: Path) -> None:
    store.write("digits/2/graph.pb", "two")
    store.write("other/1/graph.pb", "other")
    store.write("other/model.toml", "")
    mirror = Mirror(store.url, tmp_path)
    mirror.sync()
    store.remove("digits/2")
    store.remove("other")
    mirror.sync()
    assert mirror.is_behind
    mirror.sync()
    assert {path.split("/")[0] for path in held(tmp_path)} == {"digits"}
    assert not (tmp_path / "digits/2").exists()
    assert not (tmp_path / "other").exists()


def test_what_one_look_misses_stays(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write("digits/2/graph.pb", "two")
    Mirror(store.url, tmp_path).sync()
    find = store.files.find

    def find_less(*given: Any, **named: Any) -> dict[str, Any]:
        found = find(*given, **named)
        return {path: about for path, about in found.items() if "/2/" not in path}

    mirror = Mirror(store.url, tmp_path)  # nor is a restart a second look
    for _ in range(2):
        with monkeypatch.context() as patched:
            patched.setattr(store.files, "find", find_less)
            mirror.sync()
        mirror.sync()
        assert (tmp_path / "digits/2/graph.pb").exists()


def test_what_the_store_does_not_hand_out_holds_up_nothing_else(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write("digits/0/graph.pb", "none")
    mirror = Mirror(store.url, tmp_path)
    mirror.sync()
    store.write("digits/3/graph.pb", "three")
    store.write("digits/2/graph.pb", "two")
    store.write("digits/1/graph.pb", "changed")
    store.write("digits/model.toml", "pinned = 1")
    store.remove("digits/0")
    mirror.sync()
    get_file = store.files.get_file

    def refuse(path: str, *given: Any, **named: Any) -> None:
        if "/1/" in path or "/2/" in path:
            raise PermissionError("Forbidden")
        get_file(path, *given, **named)

    with monkeypatch.context() as patched:
        patched.setattr(store.files, "get_file", refuse)
        for _ in range(2):
            with pytest.raises(OSError, match="digits/1: Forbidden; digits/2: Forbidden"):
                mirror.sync()
    assert held(tmp_path) == {
        "digits/1/graph.pb": "one",
        "digits/1/labels.txt": "0\n1\n",
        "digits/3/graph.pb": "three",
        "digits/model.toml": "pinned = 1",
    }
    mirror.sync()
    assert held(tmp_path)["digits/1/graph.pb"] == "changed"
    assert held(tmp_path)["digits/2/graph.pb"] == "two"


def test_a_store_that_is_empty_or_away_takes_nothing_from_the_copy(
    store: Store, tmp_path: Path
) -> None:
    mirror = Mirror(store.url, tmp_path)
    mirror.sync()
    store.remove("digits")
    with pytest.raises(FileNotFoundError):
        mirror.sync()
    assert len(held(tmp_path)) == 3


def test_a_restart_does_not_take_a_version_that_is_half_there(store: Store, tmp_path: Path) -> None:
    Mirror(store.url, tmp_path).sync()
    store.write("digits/2/graph.pb", "two")
    restarted = Mirror(store.url, tmp_path)
    assert restarted.sync() == 0
    assert restarted.is_behind
    store.write("digits/2/labels.txt", "0\n1\n")
    assert [restarted.sync(), restarted.sync()] == [0, 2]
    assert not restarted.is_behind


def test_a_start_while_the_store_is_away_goes_on_with_the_copy(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(models_url=store.url, models_folder=tmp_path)
    sync_once(settings)
    store.remove("digits")
    sync_once(settings)
    assert "those of the copy are served" in caplog.text
    assert len(held(tmp_path)) == 3
    with pytest.raises(SettingError, match="no model"):
        sync_once(Settings(models_url=store.url, models_folder=tmp_path / "empty"))


def test_a_follower_that_dies_is_started_anew_but_not_in_haste() -> None:
    follower = Follower([sys.executable, "-c", "import time; time.sleep(60)"])
    (first,) = follower.children()
    now = time.monotonic()
    follower.run_once(now + 10)
    assert follower.children() == [first], "it lives"
    first.kill()
    first.wait()
    follower.run_once(now + 1)
    assert follower.children() == [first]
    follower.run_once(now + 10)
    (second,) = follower.children()
    assert second.poll() is None
    assert second.pid != first.pid
    stop_all([second], patience_s=5)


def test_a_follower_that_cannot_be_started_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    follower = Follower([sys.executable, "-c", ""])
    (first,) = follower.children()
    first.wait()
    now = time.monotonic()
    with monkeypatch.context() as patched:
        patched.setattr("shared.mirror.spawn", Mock(side_effect=OSError("no memory")))
        follower.run_once(now + 10)
    follower.run_once(now + 11)
    assert follower.children() == [first], "not in haste"
    follower.run_once(now + 20)
    (second,) = follower.children()
    assert second is not first
    stop_all([second], patience_s=5)


def test_a_folder_that_holds_anything_else_is_left_alone(store: Store, tmp_path: Path) -> None:
    (tmp_path / "tags").mkdir()
    with pytest.raises(SettingError, match="is no copy of MODELS_URL=memory:"):
        Mirror(store.url, tmp_path).sync()
    other = tmp_path / "copy"
    Mirror(store.url, other).sync()
    with pytest.raises(SettingError, match="is no copy of MODELS_URL=memory:"):
        Mirror(Store().url, other).sync()


def test_names_that_lead_out_of_the_folder_are_not_fetched(store: Store, tmp_path: Path) -> None:
    store.write("digits/1/../../../outside", "bad")
    store.write("digits/.hidden/graph.pb", "bad")
    Mirror(store.url, tmp_path / "copy").sync()
    assert len(held(tmp_path / "copy")) == 3
    assert not (tmp_path / "outside").exists()


def test_a_url_that_nothing_knows_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="MODELS_URL=nowhere://models"):
        Mirror("nowhere://models", tmp_path)


def test_a_url_without_a_folder_of_its_own_is_refused() -> None:
    with pytest.raises(SettingError, match="MODELS_URL needs MODELS_FOLDER"):
        Settings.from_environment({"MODELS_URL": "s3://bucket/models"})


@pytest.fixture(scope="module")
def s3() -> Iterator[ObjectStore]:
    """An S3 with the model `tags` that ships."""
    with ObjectStore() as store:
        store.upload(ROOT / "models" / "tags", "tags")
        yield store


def predict(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "worker.predict", "examples/photos/cat.jpg"],
        cwd=ROOT,
        env={**os.environ, "ENGINE": "litert", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_model_in_s3_is_served(s3: ObjectStore, tmp_path: Path) -> None:
    where = {"MODELS_URL": s3.url, "MODELS_FOLDER": str(tmp_path / "copy")}
    done = predict({**s3.environment, **where})
    assert done.returncode == 0, done.stderr
    assert '"label": "Cats"' in done.stdout
    (version,) = ModelsFolder(tmp_path / "copy").scan()["tags"].versions
    assert version.model is not None
    shutil.rmtree(tmp_path / "copy" / "tags")


def test_a_bucket_that_is_not_there_ends_it_with_a_reason(s3: ObjectStore, tmp_path: Path) -> None:
    where = {"MODELS_URL": "s3://elsewhere/models", "MODELS_FOLDER": str(tmp_path)}
    done = predict({**s3.environment, **where})
    assert done.returncode == 1
    assert "MODELS_URL=s3://elsewhere/models: " in done.stderr
