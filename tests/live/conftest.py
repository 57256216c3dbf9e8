"""A gateway in this process, and a class that is connected to it."""

import pytest

from tests.live.platform import Gateway, install


@pytest.fixture
def gateway(storage: object, monkeypatch: pytest.MonkeyPatch) -> Gateway:
    """The service sends through this gateway."""
    return install(monkeypatch)
