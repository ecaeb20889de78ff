"""Model folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.manifest import ManifestError, model_folders, read_model

TOML = """
description = "a model"
[classifiers.digits]
crop = { fraction = 1.0 }
size = [28, 20]
range = [0.0, 1.0]
graph = "graph.pb"
input = "image:0"
output = "probabilities:0"
labels = "labels.txt"
"""


def make_model(folder: Path, toml: str = TOML, versions: tuple[str, ...] = ("1",)) -> Path:
    model = folder / "digits"
    for version in versions:
        (model / version).mkdir(parents=True)
        (model / version / "graph.pb").write_bytes(b"graph")
        (model / version / "labels.txt").write_text("0\n1\n2\n")
    model.mkdir(exist_ok=True)
    (model / "model.toml").write_text(toml)
    return model


def test_a_model_is_its_folder(tmp_path: Path) -> None:
    model = read_model(make_model(tmp_path))
    assert (model.name, model.version, model.description) == ("digits", "1", "a model")
    (classifier,) = model.classifiers
    assert classifier.name == "digits"
    assert classifier.labels == ("0", "1", "2")
    assert (classifier.crop.width, classifier.crop.height) == (28, 20)
    assert classifier.graph == tmp_path / "digits" / "1" / "graph.pb"


def test_the_highest_version_is_served(tmp_path: Path) -> None:
    assert read_model(make_model(tmp_path, versions=("2", "10", "9"))).version == "10"


def test_every_model_below_the_folder_is_found(tmp_path: Path) -> None:
    make_model(tmp_path)
    (tmp_path / "no model here").mkdir()
    (tmp_path / ".being made").mkdir()
    (tmp_path / ".being made" / "model.toml").write_text(TOML)
    assert [path.name for path in model_folders(tmp_path)] == ["digits"]


def test_the_model_that_ships_is_whole() -> None:
    model = read_model(Path(__file__).parent.parent.parent / "models" / "tags")
    themes, colors = model.classifiers
    assert (themes.name, len(themes.labels), themes.crop.fraction) == ("themes", 42, 0.8)
    assert (colors.name, len(colors.labels), colors.crop.pixels) == ("colors", 18, 9)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('graph = "graph.pb"', "", "'graph' is missing"),
        ("graph.pb", "other.pb", "other.pb does not exist"),
        ("labels.txt", "other.txt", "other.txt"),
        ("{ fraction = 1.0 }", "{ part = 1.0 }", "crop"),
        ("{ fraction = 1.0 }", "{ pixels = 9 }", "9 pixels"),
        ("{ fraction = 1.0 }", '{ fraction = "0.8" }', "fraction of a crop"),
        ("{ fraction = 1.0 }", "{ fraction = nan }", "fraction of a crop"),
        ("{ fraction = 1.0 }", "{ fraction = 8 }", "fraction of a crop"),
        ("{ fraction = 1.0 }", "{ fraction = 0 }", "fraction of a crop"),
        ("{ fraction = 1.0 }", "{ fraction = -1 }", "fraction of a crop"),
        ("{ fraction = 1.0 }\nsize = [28, 20]", "{ pixels = 9.0 }\nsize = [9, 9]", "whole number"),
        ("{ fraction = 1.0 }\nsize = [28, 20]", "{ pixels = 0 }\nsize = [0, 0]", "1 x 1"),
        ("[28, 20]", "[28, 0]", "1 x 1"),
        ("[28, 20]", "[28]", "unpack"),
        ("[28, 20]", "[inf, 20]", "infinity"),
        pytest.param('"a model"', "[" * 5000 + "]" * 5000, "recursion", id="nested"),
        ("classifiers.digits", "classifiers.points", "can have this name"),
        ("classifiers.digits", "classifiers.serving_default", "can have this name"),
        ("[classifiers.digits]", "[classifiers]\n[other]", "no classifiers"),
        ('description = "a model"', "not toml", "model.toml"),
    ],
)
def test_a_broken_manifest_is_refused_with_its_reason(
    tmp_path: Path, old: str, new: str, reason: str
) -> None:
    folder = make_model(tmp_path, TOML.replace(old, new))
    with pytest.raises(ManifestError, match=reason):
        read_model(folder)


def test_a_model_without_a_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="no version"):
        read_model(make_model(tmp_path, versions=()))


def test_a_folder_without_models_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="no model"):
        model_folders(tmp_path)
