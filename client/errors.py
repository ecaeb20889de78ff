"""What the client raises."""

from __future__ import annotations


class ServiceError(Exception):
    """There is no answer."""

    def __init__(self, message: str, status: int = 0, request_id: str = "") -> None:
        """`status` is 0 where the service said nothing at all."""
        super().__init__(message)
        self.status = status
        self.request_id = request_id


class UnavailableError(ServiceError):
    """The service fails, is too busy or cannot be reached, and did so until the time was up."""


class RefusedError(ServiceError):
    """The service will not do this, however often it is asked: what was asked is wrong."""
