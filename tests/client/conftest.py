"""A photo for the tests of the client."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def cat(photos: dict[str, bytes]) -> bytes:
    """A photo of 451 x 300 pixels, JPEG."""
    return photos["chelsea"]
