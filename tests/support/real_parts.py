"""Real servers for tests: started once, stopped at the end, and a test that can't have one says so."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NoReturn, TypeVar

import pytest

from llmvitals.errors import StartFailed, Unavailable
from llmvitals.local.service import Service


def unavailable(error: Unavailable) -> NoReturn:
    """Skip with the reason; with CI=true fail instead, so that nobody thinks it was tested.

    What is here and does not come up is a failure everywhere.
    """
    if isinstance(error, StartFailed):
        pytest.fail(str(error), pytrace=False)
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(f"CI=true allows no skip: {error}", pytrace=False)
    pytest.skip(str(error))


S = TypeVar("S", bound=Service)


def started(service: S) -> Iterator[S | Unavailable]:
    """The service while the session lasts, or why it can't be had: so it is tried once only."""
    try:
        service.start()
    except Unavailable as error:
        yield error
        return
    yield service
    service.stop()


def have(service: S | Unavailable) -> S:
    """The service, or the test ends here."""
    if isinstance(service, Unavailable):
        unavailable(service)
    return service
