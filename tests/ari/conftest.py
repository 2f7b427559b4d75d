"""A fake Asterisk, and a client on a clock that stands still."""

import random
from collections.abc import AsyncIterator

import pytest

from flowengine.ari.client import AriClient, AriSettings
from flowengine.ari.messages import AnyEvent
from tests.ari.clock import HandClock
from tests.ari.fake_asterisk import APP, PASSWORD, USERNAME, FakeAsterisk


@pytest.fixture
async def asterisk() -> AsyncIterator[FakeAsterisk]:
    async with FakeAsterisk() as fake:
        yield fake


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def settings(asterisk: FakeAsterisk) -> AriSettings:
    return AriSettings(url=asterisk.url, app=APP, username=USERNAME, password=PASSWORD)


@pytest.fixture
def events() -> list[AnyEvent]:
    return []


@pytest.fixture
async def ari(settings: AriSettings, clock: HandClock, events: list[AnyEvent]) -> AsyncIterator[AriClient]:
    """A client that is ready."""
    async with AriClient(settings, events.append, clock=clock, chance=random.Random(1)) as client:
        await client.wait_ready(5)
        yield client
