"""What the Dockerfiles and the compose file say, and an image's files laid out without Docker."""

from __future__ import annotations

import re
import shutil
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.service import ROOT

IMAGES = ("web", "worker")

# Python runs this when it starts, before any code of ours.
REFUSE = """
import sys
class Refuse:
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in FOREIGN:
            raise ModuleNotFoundError(f"{name} is not in the image", name=name)
sys.meta_path.insert(0, Refuse)
"""


def instructions(image: str, name: str) -> list[str]:
    """Return what follows each `name` in the image's Dockerfile."""
    text = (ROOT / "deploy" / f"{image}.Dockerfile").read_text()
    return re.findall(rf"^{name} (.*)$", text, re.MULTILINE)


def sources(image: str) -> list[str]:
    copies = [line.split() for line in instructions(image, "COPY")]
    return [word for copy in copies for word in copy[:-1] if not word.startswith("--")]


def service(name: str) -> dict[str, Any]:
    loaded = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"][name]
    return dict(loaded)


def locked(image: str) -> set[str]:
    """Return the packages that an image gets on a machine like this one."""
    text = (ROOT / "requirements" / f"{image}.txt").read_text()
    lines = re.findall(r"^(\w.*?)\s*\\?$", text, re.MULTILINE)
    found = [Requirement(line) for line in lines]
    return {
        canonicalize_name(item.name)
        for item in found
        if item.marker is None or item.marker.evaluate()
    }


def refuse_foreign(image: str, folder: Path) -> Path:
    """Put into `folder` what keeps Python from importing packages that the image lacks."""
    ours = locked(image)
    foreign = {
        module
        for module, owners in packages_distributions().items()
        if not {canonicalize_name(owner) for owner in owners} & ours
    }
    assert "pytest" in foreign
    (folder / "sitecustomize.py").write_text(f"FOREIGN = {foreign!r}{REFUSE}")
    return folder


def lay_out(image: str, folder: Path) -> Path:
    """Copy the files of an image, and nothing else, below `folder`."""
    for source in sources(image):
        if (ROOT / source).is_dir():
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / source, folder / source, ignore=ignore)
        else:
            (folder / source).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / source, folder / source)
    return folder
