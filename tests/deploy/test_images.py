"""The images: what their Dockerfiles put in is there, and is no more than it should be."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.deploy.images import IMAGES, instructions, lay_out, locked, sources
from tests.service import ROOT
from tests.test_architecture import imports

FORBIDDEN = {
    "web": {"tensorflow", "keras", "worker"},
    "worker": {"flask", "gevent", "gunicorn", "web"},
}
PACKAGES = {"web": ("tensorflow", "keras"), "worker": ("flask", "gevent", "gunicorn")}


@pytest.mark.parametrize("image", IMAGES)
def test_what_is_copied_exists_and_reaches_the_build(image: str) -> None:
    let_through = (ROOT / ".dockerignore").read_text().splitlines()
    assert let_through[1] == "*"
    assert len(sources(image)) == 7
    assert {"LICENSE", "NOTICE"} < set(sources(image))
    for source in sources(image):
        assert (ROOT / source).exists()
        assert f"!{source}" in let_through


@pytest.mark.parametrize("image", IMAGES)
def test_packages_are_locked_and_only_those_that_the_image_needs(image: str) -> None:
    (install,) = [line for line in instructions(image, "RUN") if line.startswith("pip")]
    assert "--require-hashes" in install
    assert install.endswith(f" -r requirements/{image}.txt")
    assert "redis" in locked(image)
    assert not [name for name in locked(image) if name.startswith(PACKAGES[image])]


@pytest.mark.parametrize("image", IMAGES)
def test_it_runs_as_an_ordinary_user(image: str) -> None:
    assert instructions(image, "USER") == ["10001:10001"]


@pytest.mark.parametrize("image", IMAGES)
def test_no_file_of_it_imports_the_other_wing(image: str, tmp_path: Path) -> None:
    files = list(lay_out(image, tmp_path).rglob("*.py"))
    assert len(files) > 15
    engines = {path for path in files if path.parent.name == "engines"}
    wrong = {str(path): imports(path) & FORBIDDEN[image] for path in files if path not in engines}
    assert not {path: names for path, names in wrong.items() if names}
    assert bool(engines) == (image == "worker")
