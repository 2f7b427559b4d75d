"""The Asterisk that demo, tests and one-machine installations run on: it starts, is set up right, and ends."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from flowengine.ari.node import AsteriskNode, NodeError, SipUser, local_settings
from simulator.sip import AgentPhone, Caller
from tests.asterisk.node import BareApp, running_node

NUMBER = "+81312345678"


async def test_ari_answers_and_tells_its_version(node: AsteriskNode) -> None:
    async with BareApp(node.settings) as app:
        info = await app.call("GET", "asterisk/info")
    assert int(info["system"]["version"].split(".")[0]) >= 20


async def test_ari_wants_the_password(node: AsteriskNode) -> None:
    wrong = {"Authorization": aiohttp.encode_basic_auth("flowengine", "wrong")}
    async with (
        aiohttp.ClientSession(headers=wrong) as http,
        http.get(f"{node.settings.ari_url}/ari/asterisk/info") as answer,
    ):
        assert answer.status == 401


async def test_without_an_engine_the_carrier_is_sent_elsewhere(node: AsteriskNode) -> None:
    outcome = await Caller(NUMBER, node.settings.sip_port).run()
    assert (outcome.status, outcome.cause) == (503, 42)


async def test_a_phone_added_through_ari_registers_and_survives_a_restart() -> None:
    sections = {
        "auth": {"auth_type": "userpass", "username": "mei", "password": "mei-secret"},
        "aor": {"max_contacts": "5", "remove_existing": "yes"},
        "endpoint": {"aors": "mei", "auth": "mei", "allow": "!all,ulaw", "context": "from-phone"},
    }
    async with running_node() as node:
        async with BareApp(node.settings) as app:
            for kind, values in sections.items():
                fields = [{"attribute": name, "value": value} for name, value in values.items()]
                await app.call("PUT", f"asterisk/config/dynamic/res_pjsip/{kind}/mei", {"fields": fields})
        async with AgentPhone("mei", node.settings.sip_port, password="mei-secret"):
            assert "mei" in await node.cli("pjsip show contacts")
        await node.stop()
        await node.start()
        async with AgentPhone("mei", node.settings.sip_port, password="mei-secret"):
            assert "mei" in await node.cli("pjsip show contacts")


async def test_a_browser_phone_is_set_up_for_webrtc() -> None:
    async with running_node(SipUser("browser-1", password="x", browser=True)) as node:
        shown = await node.cli("pjsip show endpoint browser-1")
    for setting in ("webrtc *: yes", "media_encryption *: dtls", "ice_support *: true"):
        assert re.search(setting, shown), f"no {setting} in {shown}"


async def test_two_nodes_run_side_by_side_and_stop_without_a_trace() -> None:
    user = SipUser("solo", contact="sip:solo@127.0.0.1:5999")
    async with running_node(user, app="one") as one, running_node(app="two") as two:
        assert "solo" in await one.cli("pjsip show endpoints")
        assert "solo" not in await two.cli("pjsip show endpoints")
        async with (
            BareApp(one.settings) as app_one,
            BareApp(two.settings) as app_two,
            Caller("100", one.settings.sip_port) as caller,
        ):
            await app_one.event("StasisStart")
            assert app_two.events == []
            await caller.cancel()
            await caller.ended()
        pids = [one.pid, two.pid]
        folders = [one.settings.directory, two.settings.directory]
    for pid, folder in zip(pids, folders, strict=True):
        assert pid is not None
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        assert not folder.exists()


async def test_a_setting_that_breaks_out_of_its_line_is_refused(tmp_path: Path) -> None:
    settings = local_settings(tmp_path)
    for bad, message in (
        (replace(settings, app="x\nload = app_system.so"), "app: use 1 to 64"),
        (replace(settings, ari_password="a;b"), "ari_password: use 1 to 128"),
        (replace(settings, sip_users=(SipUser("a]b"),)), "sip user 'a]b': use 1 to 64"),
        (replace(settings, directory=tmp_path / ("x" * 100)), "path is too long"),
    ):
        node = AsteriskNode(bad)
        with pytest.raises(NodeError, match=message):
            await node.start()
        assert node.pid is None


async def test_a_command_it_does_not_take_is_named(tmp_path: Path) -> None:
    node = AsteriskNode(local_settings(tmp_path))
    with pytest.raises(NodeError, match="core show channels"):
        await node.cli("core show channels")
