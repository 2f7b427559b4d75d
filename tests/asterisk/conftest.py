"""One Asterisk for all tests of a worker process: it starts in half a second, but stops in two."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from flowengine.ari.node import AsteriskNode, SipUser
from tests.asterisk.node import running_node

AGENTS = tuple(SipUser(name, password=f"{name}-secret") for name in ("hanako", "taro", "yuki"))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def node() -> AsyncIterator[AsteriskNode]:
    """A running Asterisk whose agents hanako, taro and yuki may register with password NAME-secret."""
    async with running_node(*AGENTS) as running:
        yield running
