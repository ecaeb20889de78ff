"""The models folder, looked at again and again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from shared.folder import ModelsFolder, Shelf
from shared.manifest import ManifestError, read_model
from tests.shared.test_manifest import TOML, make_model


def numbers(shelf: Shelf) -> list[str]:
    return [version.number for version in shelf.versions]


def test_versions_that_come_and_go_are_seen_the_highest_first(tmp_path: Path) -> None:
    model = make_model(tmp_path, versions=("1", "9"))
    folder = ModelsFolder(tmp_path)
    assert numbers(folder.scan()["digits"]) == ["9", "1"]
    shutil.copytree(model / "1", model / "10")
    assert numbers(folder.scan()["digits"]) == ["10", "9", "1"]
    shutil.rmtree(model / "9")
    assert numbers(folder.scan()["digits"]) == ["10", "1"]


def test_a_pinned_version_comes_first(tmp_path: Path) -> None:
    make_model(tmp_path, "pinned = 2\n" + TOML, versions=("1", "2", "3"))
    shelf = ModelsFolder(tmp_path).scan()["digits"]
    assert (numbers(shelf), shelf.pinned) == (["2", "3", "1"], True)
    assert read_model(tmp_path / "digits").version == "2"


def test_a_version_may_describe_itself(tmp_path: Path) -> None:
    model = make_model(tmp_path, versions=("1", "2"))
    (model / "2" / "model.toml").write_text(TOML.replace("[28, 20]", "[5, 4]"))
    shapes = {}
    for version in ModelsFolder(tmp_path).scan()["digits"].versions:
        assert version.model is not None
        shapes[version.number] = version.model.classifiers[0].shape
    assert shapes == {"2": (4, 5, 3), "1": (20, 28, 3)}
    (model / "model.toml").unlink()
    newest, oldest = ModelsFolder(tmp_path).scan()["digits"].versions
    assert newest.model is not None
    assert (oldest.model, "model.toml" in oldest.error) == (None, True)


def test_what_did_not_change_is_not_read_again(tmp_path: Path) -> None:
    model = make_model(tmp_path, versions=("1", "2"))
    folder = ModelsFolder(tmp_path)
    two, one = folder.scan()["digits"].versions
    (model / "2" / "labels.txt").write_text("a\nb\n")
    new, same = folder.scan()["digits"].versions
    assert same is one
    assert new.files != two.files
    assert new.model is not None
    assert new.model.classifiers[0].labels == ("a", "b")


def test_a_broken_version_says_what_is_wrong_and_leaves_the_others(tmp_path: Path) -> None:
    model = make_model(tmp_path, versions=("1", "2"))
    (model / "2" / "labels.txt").unlink()
    two, one = ModelsFolder(tmp_path).scan()["digits"].versions
    assert two.model is None
    assert "labels.txt" in two.error
    assert one.model is not None


@pytest.mark.parametrize(
    "text",
    ["not toml", "pinned = 7\n" + TOML, "labels = 7\n" + TOML, "labels = { 7 = 1 }\n" + TOML],
)
def test_a_model_that_cannot_be_read_any_more_is_as_it_was_and_that_is_said_once(
    text: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = make_model(tmp_path)
    folder = ModelsFolder(tmp_path)
    before = folder.scan()["digits"]
    (model / "model.toml").write_text(text)
    assert [folder.scan()["digits"], folder.scan()["digits"]] == [before, before]
    assert [record.message for record in caplog.records] == ["model cannot be read"]


def test_a_folder_that_is_empty_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="no model"):
        ModelsFolder(tmp_path).scan()


@pytest.mark.parametrize("name", [".2", "2.tmp", "next"])
def test_a_folder_that_is_being_made_is_no_version(name: str, tmp_path: Path) -> None:
    model = make_model(tmp_path)
    shutil.copytree(model / "1", model / name)
    assert numbers(ModelsFolder(tmp_path).scan()["digits"]) == ["1"]
