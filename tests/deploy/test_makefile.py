"""The Makefile: what it says of itself, and what it leaves behind when a step fails."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.service import ROOT

# As Debian's Python without `python3-venv`: the environment is half made when it fails.
NO_VENV = """#!/bin/sh
[ "$2" = venv ] || exit 0
mkdir -p "$3/bin"
ln -s /bin/true "$3/bin/python"
exit 1
"""


def test_help_names_every_target() -> None:
    text = (ROOT / "Makefile").read_text().replace("\\\n", "")
    (targets,) = re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    said = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert sorted(line.split()[0] for line in said.splitlines()) == sorted(targets.split())


def test_an_environment_that_was_only_half_made_is_made_again(tmp_path: Path) -> None:
    python = tmp_path / "python3"
    python.write_text(NO_VENV)
    python.chmod(0o755)
    for _ in range(2):
        made = subprocess.run(
            ["make", "-f", ROOT / "Makefile", f"PYTHON={python}", ".venv/bin/python"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert made.returncode == 2, made.stdout
        assert not (tmp_path / ".venv/bin/python").is_symlink()
