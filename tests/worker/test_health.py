"""`python -m worker.health`: a container's check, for one model or several."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.service import ROOT, Service


@pytest.mark.service
@pytest.mark.parametrize(
    ("models", "status"), [([], 0), (["tags", "digits"], 0), (["tags", "nothing"], 1)]
)
def test_every_model_named_must_have_a_worker(
    service: Service, models: list[str], status: int
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "worker.health", *models],
        cwd=ROOT,
        env={**os.environ, "REDIS_URL": service.redis_url},
        capture_output=True,
        text=True,
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert ("nothing" in done.stdout) is (status == 1)
