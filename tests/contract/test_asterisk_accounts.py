"""From an account file to a telephone that rings: the engine alone sets Asterisk up, nobody edits pjsip.conf."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from flowengine import demo
from flowengine.ari.node import AsteriskNode
from flowengine.ari.settings import AriSettings
from flowengine.config import Settings
from flowengine.publishing import apply_account, renew_device
from flowengine.serve import Installation, opened
from simulator.sip import AgentPhone, Answers, Caller
from tests.asterisk.node import running_node
from tests.contract.ari_rig import left_on, until

pytestmark = pytest.mark.timeout(120)


@contextlib.asynccontextmanager
async def installation() -> AsyncIterator[tuple[Installation, AsteriskNode, Settings]]:
    with tempfile.TemporaryDirectory(prefix="accounts-") as folder:
        async with running_node() as node:
            at = node.settings
            settings = Settings.model_validate(
                {
                    "data_dir": Path(folder),
                    "switch": "asterisk",
                    "http_port": 0,
                    "country": "JP",
                    "sip_media_address": "127.0.0.1",
                    "sip_check_every_s": 0,
                }
            )
            await apply_account(settings, demo.account_file())
            ari = AriSettings(url=at.ari_url, app=at.app, username=at.ari_user, password=at.ari_password)
            async with opened(settings, ari) as here:
                yield here, node, settings
            assert await left_on(at.ari_url, at.ari_user, at.ari_password) == []


async def test_a_device_gets_its_account_registers_with_its_secret_and_is_rung() -> None:
    async with installation() as (here, node, settings):
        port = node.settings.sip_port
        made = await renew_device(settings, "demo", "hanako", "", kind="sip", remove=False)
        assert made.secret is not None
        assert made.secret not in repr(made)
        await until_registered(port, made.secret)
        async with AgentPhone(
            "hanako", port, Answers(0.3, hangs_up_after_s=1.0), password=made.secret
        ) as phone:
            await until(lambda: here.desk.is_reachable("PJSIP/hanako"), 5)
            async with Caller("+815055550100", port) as caller:
                await caller.answered()
                await asyncio.sleep(0.5)
                await caller.press("1")
                await caller.ended(within=20)
            assert len(phone.calls) == 1
            assert phone.calls[0].answered_at is not None
        await until(lambda: not here.desk.is_reachable("PJSIP/hanako"), 5)
        await renew_device(settings, "demo", "hanako", "", kind="sip", remove=True)
        async with asyncio.timeout(10):
            while "hanako" in await node.cli("pjsip show endpoints"):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.1)


async def until_registered(port: int, secret: str) -> None:
    """The running engine takes the change over within a second or so; then the secret is good."""
    async with asyncio.timeout(15):
        while True:
            try:
                async with AgentPhone("hanako", port, password=secret):
                    return
            except (AssertionError, TimeoutError):
                await asyncio.sleep(0.3)
