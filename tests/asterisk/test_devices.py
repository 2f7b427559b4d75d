"""Accounts that the engine writes, on a real Asterisk: phones register with them, ring, talk, and vanish."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from flowengine.ari.client import AriSettings
from flowengine.ari.devices import (
    DeviceNameTaken,
    DeviceProvisioner,
    DeviceSpec,
    LineSettings,
    Report,
    digest_of,
    new_secret,
)
from flowengine.ari.node import AsteriskNode, SipUser, local_settings
from flowengine.ari.node_settings import NodeSettings, write_configuration
from flowengine.ari.switch import AriSwitch
from flowengine.call.commands import Answer, Dial, HangUp, Join, OpenBridge
from flowengine.call.events import LegAnswered, LegHungUp, LegRinging
from flowengine.clock import SystemClock
from simulator.sip import AgentPhone, Answers, Caller, Rings, seconds_of_tone
from tests.ari.hearing import Hearing
from tests.asterisk.bare_phone import BarePhone

pytestmark = pytest.mark.asyncio(loop_scope="module")

NUMBER = "+81312345678"
CALLER = "+15550100"
LINE = LineSettings(media_address="127.0.0.1", shortest_registration_s=1, check_every_s=0)
SECRET = new_secret()
_numbers = itertools.count(1)


def device(name: str = "aiko", secret: str = SECRET, **settings: object) -> DeviceSpec:
    return DeviceSpec(name=name, digest=digest_of(name, secret), **settings)  # type: ignore[arg-type]


class Exchange:
    """A node with one phone of pjsip.conf, and the engine's switch on it."""

    def __init__(self, node: AsteriskNode) -> None:
        self.node = node
        self.call = f"cal_{next(_numbers):026d}"
        self.hearing = Hearing()
        ari = node.settings
        settings = AriSettings(
            app=ari.app,
            username=ari.ari_user,
            password=ari.ari_password,
            url=ari.ari_url,
            reconnect_cap_s=0.3,
        )
        self.switch = AriSwitch(
            settings,
            self.hearing,
            lambda _call, _key: None,
            SystemClock(),
            orphan_grace_s=0.5,
            look_every_s=0.1,
        )
        self.devices = DeviceProvisioner(self.switch.client, LINE)

    def phone(self, name: str = "aiko", *, answers_options: bool = True) -> BarePhone:
        return BarePhone(name, self.node.settings.sip_port, answers_options=answers_options)

    def agent(self, behaviour: Answers | Rings, name: str = "aiko") -> AgentPhone:
        return AgentPhone(name, self.node.settings.sip_port, behaviour, password=SECRET)

    async def reach(self, name: str, is_reachable: bool, within: float = 5.0) -> None:
        """Wait until the listener was told so."""
        await self.hearing.until(
            lambda: self.hearing.devices.get(f"PJSIP/{name}", False) is is_reachable or None,
            within,
            f"{name} reachable={is_reachable}",
        )

    async def restart(self, *, without_database: bool = False) -> None:
        """Stop Asterisk and start it again; returns when the switch has caught up."""
        await self.node.stop()
        if without_database:
            (self.node.settings.directory / "lib" / "astdb.sqlite3").unlink()
        await self.node.start()
        async with asyncio.timeout(10):
            while self.switch.client.ready:  # noqa: ASYNC110 - it has not noticed yet
                await asyncio.sleep(0.02)
            await self.switch.client.wait_ready(10)

    def do(self, *commands: object) -> None:
        self.switch.perform(self.call, commands)  # type: ignore[arg-type]

    def ring(self, leg: str, name: str) -> None:
        """Dial a device for the call that is up."""
        self.do(Dial(leg, f"PJSIP/{name}", CALLER, 20.0, "Bob"))

    @asynccontextmanager
    async def called(self) -> AsyncIterator[Caller]:
        """A caller, answered; all legs of the call are ended afterwards."""
        async with Caller(NUMBER, self.node.settings.sip_port, from_number=CALLER) as caller:
            self.switch.adopt(await self.hearing.arrival(), self.call)
            self.do(Answer("caller"))
            await caller.answered()
            yield caller
            self.switch.release(self.call)
            await caller.ended()
            async with asyncio.timeout(3):
                while "0 active channels" not in await self.node.cli("core show channels"):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node() -> AsyncIterator[AsteriskNode]:
    """An own Asterisk, as it is restarted and loses its database."""
    folder = Path(tempfile.mkdtemp(prefix="node-"))

    def write(settings: NodeSettings) -> None:
        """As ever, but Asterisk looks each second, and not each half minute, for what ran out."""
        write_configuration(settings)
        config = settings.directory / "etc" / "pjsip.conf"
        every = "type = global\ncontact_expiration_check_interval = 1"
        config.write_text(config.read_text().replace("type = global", every, 1))

    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr("flowengine.ari.node.write_configuration", write)
    running = AsteriskNode(local_settings(folder, sip_users=(SipUser("desk", password="desk-secret-1"),)))
    try:
        await running.start()
        yield running
    finally:
        monkeypatch.undo()
        await running.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest_asyncio.fixture(loop_scope="module")
async def exchange(node: AsteriskNode) -> AsyncIterator[Exchange]:
    exchange = Exchange(node)
    async with exchange.switch:
        await exchange.switch.client.wait_ready(20)
        yield exchange
        await exchange.devices.reconcile([])


async def test_an_engine_may_leave_while_devices_change(node: AsteriskNode) -> None:
    """With a subscription to all devices, one leaving in ten locks Asterisk up: docs/asterisk-notes.md."""
    ari = node.settings
    login = aiohttp.encode_basic_auth(ari.ari_user, ari.ari_password)
    device_url = f"{ari.ari_url}/ari/deviceStates/Stasis:{ari.app}"

    async def change(http: aiohttp.ClientSession) -> None:
        for state in itertools.cycle(("INUSE", "NOT_INUSE")):
            async with http.put(device_url, params={"deviceState": state}) as answer:
                assert answer.status == 204

    async with aiohttp.ClientSession(headers={"Authorization": login}) as http:
        changing = [asyncio.create_task(change(http)) for _ in range(4)]
        try:
            for _ in range(30):
                engine = Exchange(node).switch
                async with engine:
                    await engine.client.wait_ready(20)
            assert not any(task.done() for task in changing)
        finally:
            for task in changing:
                task.cancel()
            await asyncio.gather(*changing, return_exceptions=True)


async def test_an_account_is_made_once_changed_and_removed(exchange: Exchange) -> None:
    devices = exchange.devices
    assert await devices.reconcile([device()]) == Report(created=("aiko",))
    assert await devices.reconcile([device()]) == Report(unchanged=("aiko",))
    named = device(caller_name="相子, Sales", caller_number="+81300000001", codecs=("alaw", "ulaw"))
    await devices.provision(named)
    assert await devices.reconcile([named]) == Report(unchanged=("aiko",))
    browser = device("ben", kind="browser")
    assert await devices.reconcile([named, browser]) == Report(created=("ben",), unchanged=("aiko",))
    assert await devices.list_provisioned() == ("aiko", "ben")
    assert await devices.reconcile([browser, device()]) == Report(updated=("aiko",), unchanged=("ben",))
    assert await devices.reconcile([device("ben")]) == Report(updated=("ben",), removed=("aiko",))
    assert await devices.reconcile([device("ben")]) == Report(unchanged=("ben",))
    await devices.remove("ben")
    await devices.remove("ben")
    assert await devices.list_provisioned() == ()


async def test_what_the_engine_did_not_make_is_left_alone(exchange: Exchange) -> None:
    config = exchange.node.settings.directory / "etc" / "pjsip.conf"
    before = config.read_bytes()
    for name in ("desk", "trunk"):
        with pytest.raises(DeviceNameTaken, match=name):
            await exchange.devices.provision(device(name))
        with pytest.raises(DeviceNameTaken, match=name):
            await exchange.devices.remove(name)
    report = await exchange.devices.reconcile([device("desk"), device("aiko")])
    assert report.created == ("aiko",)
    assert [error.device for error in report.refused] == ["desk"]
    assert (await exchange.devices.reconcile([])).removed == ("aiko",)
    async with exchange.phone("desk") as phone:
        assert await phone.register("desk-secret-1") == 200
        await exchange.reach("desk", True)
        assert await phone.register("desk-secret-1", expires_s=0) == 200
    assert config.read_bytes() == before


async def test_registering_makes_a_device_reachable_and_unregistering_ends_it(exchange: Exchange) -> None:
    await exchange.devices.provision(device())
    async with exchange.phone() as phone:
        assert await phone.register("not-the-secret") == 401
        assert not exchange.hearing.devices.get("PJSIP/aiko")
        assert await phone.register(SECRET) == 200
        await exchange.reach("aiko", True)
        assert await phone.register(SECRET, expires_s=0) == 200
        await exchange.reach("aiko", False)
        assert await phone.register(SECRET) == 200
        await exchange.reach("aiko", True)
        await exchange.devices.remove("aiko")
        await exchange.reach("aiko", False)
        assert await phone.register(SECRET) == 401


async def test_a_device_calls_as_who_it_is_and_not_as_who_it_says(exchange: Exchange) -> None:
    await exchange.devices.reconcile(
        [device("aiko", caller_number="+81300000001", caller_name="相子, Sales"), device("ben")]
    )
    for name, number, shown in (("aiko", "+81300000001", "相子, Sales"), ("ben", "anonymous", "ben")):
        async with exchange.phone(name) as phone:
            assert await phone.call(NUMBER, "not-the-secret", '"Boss" ') == 401
            calling = asyncio.create_task(phone.call(NUMBER, SECRET, '"Boss" '))
            arrival = await exchange.hearing.arrival()
            exchange.hearing.arrivals.clear()
            assert (arrival.number, arrival.caller, arrival.caller_name) == (NUMBER, number, shown)
            exchange.switch.reject(arrival, 21)
            assert await calling == 403


async def test_a_stranger_cannot_tell_which_accounts_exist(exchange: Exchange) -> None:
    await exchange.devices.provision(device())
    seen = []
    for name in ("aiko", "nobody"):
        async with exchange.phone(name) as phone:
            assert await phone.register("wrong") == 401
            seen.append({key: phone.challenge[key] for key in ("realm", "algorithm", "qop")})
    assert seen[0] == seen[1]


async def test_a_registration_that_runs_out_ends_the_reach(exchange: Exchange) -> None:
    await exchange.devices.provision(device())
    async with exchange.phone() as phone:
        assert await phone.register(SECRET, expires_s=1) == 200
        await exchange.reach("aiko", True)
        await exchange.reach("aiko", False, within=6)


async def test_a_phone_that_lost_its_network_is_out_of_reach_before_it_expires(exchange: Exchange) -> None:
    asking = DeviceProvisioner(exchange.switch.client, replace(LINE, check_every_s=1))
    await asking.reconcile([device("aiko"), device("ben")])
    async with exchange.phone("aiko") as phone, exchange.phone("ben", answers_options=False) as mute:
        assert await mute.register(SECRET) == 200
        assert await phone.register(SECRET) == 200
        await exchange.reach("aiko", True)
    await exchange.reach("aiko", False, within=6)
    assert not exchange.hearing.devices.get("PJSIP/ben")


async def test_a_new_secret_ends_what_the_old_one_registered(exchange: Exchange) -> None:
    await exchange.devices.provision(device())
    async with exchange.phone() as thief, exchange.phone() as owner:
        assert await thief.register(SECRET) == 200
        await exchange.reach("aiko", True)
        fresh = new_secret()
        await exchange.devices.provision(device(secret=fresh))
        await exchange.reach("aiko", False)
        assert await thief.register(SECRET) == 401
        assert await owner.register(fresh) == 200
        await exchange.reach("aiko", True)


async def test_other_changes_keep_the_registration(exchange: Exchange) -> None:
    await exchange.devices.provision(device())
    async with exchange.phone() as phone, exchange.called():
        assert await phone.register(SECRET) == 200
        await exchange.reach("aiko", True)
        await exchange.devices.provision(device(caller_name="Aiko", codecs=("alaw",), max_contacts=2))
        exchange.ring("leg-1", "aiko")
        await phone.rings()
        assert exchange.hearing.devices["PJSIP/aiko"] is True


async def test_a_phone_with_a_new_address_takes_the_place_of_the_old_one(exchange: Exchange) -> None:
    await exchange.devices.provision(device())
    async with exchange.phone() as before, exchange.phone() as after, exchange.called():
        assert await before.register(SECRET) == 200
        assert await after.register(SECRET) == 200
        await exchange.reach("aiko", True)
        exchange.ring("leg-1", "aiko")
        await after.rings()
        assert not before.invites


async def test_two_phones_on_one_account_keep_it_in_reach_until_both_have_left(exchange: Exchange) -> None:
    await exchange.devices.provision(device(max_contacts=2))
    async with exchange.phone() as one, exchange.phone() as other, exchange.called():
        assert await one.register(SECRET) == 200
        assert await other.register(SECRET) == 200
        await exchange.reach("aiko", True)
        exchange.ring("leg-1", "aiko")
        await exchange.hearing.event(LegRinging, leg="leg-1")
        assert len(one.invites + other.invites) == 1  # Asterisk rings one: see docs/devices.md
        assert await one.register(SECRET, expires_s=0) == 200
        await exchange.devices.provision(device(max_contacts=2))
        assert exchange.hearing.devices["PJSIP/aiko"] is True
        assert await other.register(SECRET, expires_s=0) == 200
        exchange.do(HangUp("leg-1", 16))
        await exchange.reach("aiko", False)


async def test_two_devices_of_a_user_ring_together(exchange: Exchange) -> None:
    await exchange.devices.reconcile([device("aiko"), device("aiko-2")])
    async with exchange.phone("aiko") as one, exchange.phone("aiko-2") as other, exchange.called():
        assert await one.register(SECRET) == 200
        assert await other.register(SECRET) == 200
        await exchange.reach("aiko", True)
        await exchange.reach("aiko-2", True)
        exchange.ring("leg-1", "aiko")
        exchange.ring("leg-2", "aiko-2")
        assert f'"Bob" <sip:{CALLER}@' in await one.rings()
        assert f'"Bob" <sip:{CALLER}@' in await other.rings()


async def test_a_provisioned_phone_answers_and_talks(exchange: Exchange) -> None:
    await exchange.devices.provision(device(caller_name="Aiko", caller_number="+81300000001"))
    async with exchange.agent(Answers(0.1, speaks_hz=500)) as agent, exchange.called() as caller:
        await exchange.reach("aiko", True)
        exchange.ring("leg-1", "aiko")
        assert CALLER in (await agent.rings()).caller
        await exchange.hearing.event(LegAnswered, leg="leg-1")
        exchange.do(OpenBridge("b-1"), Join("b-1", "caller"), Join("b-1", "leg-1"))
        await caller.hears(500)
    assert agent.calls[0].ended_by == "switch"


async def test_removing_a_device_while_it_rings_lets_it_ring(exchange: Exchange) -> None:
    await exchange.devices.provision(device())
    async with exchange.agent(Rings()) as agent, exchange.called():
        await exchange.reach("aiko", True)
        exchange.ring("leg-1", "aiko")
        await exchange.hearing.event(LegRinging, leg="leg-1")
        await exchange.devices.remove("aiko")
        agent.answer()
        await exchange.hearing.event(LegAnswered, leg="leg-1")
        assert not exchange.hearing.of(LegHungUp)
        agent.hang_up()
        await exchange.hearing.event(LegHungUp, leg="leg-1", cause=16)
        await exchange.reach("aiko", False)
        exchange.ring("leg-2", "aiko")
        await exchange.hearing.event(LegHungUp, leg="leg-2", cause=20)
    assert await exchange.devices.list_provisioned() == ()


async def test_removing_a_device_while_it_talks_lets_it_talk(exchange: Exchange) -> None:
    await exchange.devices.provision(device())
    async with exchange.agent(Answers(0.0, speaks_hz=500)) as agent, exchange.called() as caller:
        await exchange.reach("aiko", True)
        exchange.ring("leg-1", "aiko")
        await exchange.hearing.event(LegAnswered, leg="leg-1")
        exchange.do(OpenBridge("b-1"), Join("b-1", "caller"), Join("b-1", "leg-1"))
        await caller.hears(500)
        await exchange.devices.remove("aiko")
        heard = seconds_of_tone(caller.heard, 500)
        await caller.hears(500, seconds=heard + 0.5)
        assert not exchange.hearing.of(LegHungUp)
        exchange.do(HangUp("leg-1", 16))
        await exchange.hearing.event(LegHungUp, leg="leg-1")
        await exchange.reach("aiko", False)
    assert agent.calls[0].ended_by == "switch"


async def test_a_browser_registers_over_its_websocket_and_rings(exchange: Exchange) -> None:
    await exchange.devices.provision(device("ben", kind="browser"))
    url = f"{exchange.node.settings.ari_url}/ws"
    async with BarePhone("ben", websocket=url) as browser:
        assert await browser.register("not-the-secret") == 401
        assert await browser.register(SECRET) == 200
        await exchange.reach("ben", True)
        async with exchange.called():
            exchange.ring("leg-1", "ben")
            offer = await browser.rings()
            exchange.do(HangUp("leg-1", 16))
            await exchange.hearing.event(LegHungUp, leg="leg-1")
        assert "UDP/TLS/RTP/SAVPF" in offer
        assert "a=fingerprint:SHA-256" in offer
        assert "opus/48000/2" in offer
    await exchange.reach("ben", False)


async def test_a_phone_is_no_browser_any_more(exchange: Exchange) -> None:
    await exchange.devices.provision(device(kind="browser"))
    await exchange.devices.provision(device())
    async with exchange.phone() as phone, exchange.called():
        assert await phone.register(SECRET) == 200
        await exchange.reach("aiko", True)
        exchange.ring("leg-1", "aiko")
        offer = await phone.rings()
    assert "RTP/AVP 0 8 " in offer
    assert "fingerprint" not in offer


async def test_accounts_and_registrations_outlive_a_restart_of_asterisk(exchange: Exchange) -> None:
    wanted = [device(), device("ben", kind="browser", caller_name="日本 ベン", max_contacts=3)]
    await exchange.devices.reconcile(wanted)
    async with exchange.phone() as phone:
        assert await phone.register(SECRET) == 200
        await exchange.reach("aiko", True)
        await exchange.restart()
        assert await exchange.devices.reconcile(wanted) == Report(unchanged=("aiko", "ben"))
        assert exchange.hearing.devices["PJSIP/aiko"] is True
        async with exchange.called():
            exchange.ring("leg-1", "aiko")
            await phone.rings()


async def test_an_asterisk_that_lost_its_database_gets_all_accounts_back(exchange: Exchange) -> None:
    wanted = [device(), device("ben", kind="browser")]
    await exchange.devices.reconcile(wanted)
    await exchange.restart(without_database=True)
    assert await exchange.devices.list_provisioned() == ()
    assert await exchange.devices.reconcile(wanted) == Report(created=("aiko", "ben"))
    async with exchange.phone() as phone:
        assert await phone.register(SECRET) == 200
        await exchange.reach("aiko", True)


async def test_a_part_that_went_missing_is_made_again(exchange: Exchange) -> None:
    await exchange.devices.provision(device())
    for kind in ("aor", "auth", "endpoint"):
        await exchange.switch.client.request("DELETE", f"asterisk/config/dynamic/res_pjsip/{kind}/aiko")
        report = await exchange.devices.reconcile([device()])
        assert report.created + report.updated == ("aiko",)
    async with exchange.phone() as phone:
        assert await phone.register(SECRET) == 200


async def test_an_account_that_asterisk_cannot_read_is_made_again(exchange: Exchange) -> None:
    wanted = [device("aiko"), device("ben")]
    await exchange.devices.reconcile(wanted)
    await exchange.node.cli("database put ps_endpoints/endpoint aiko broken")  # it hides those behind it, too
    await exchange.node.cli("module reload res_pjsip.so")
    assert "aiko" in (await exchange.devices.reconcile(wanted)).created
    assert await exchange.devices.reconcile(wanted) == Report(unchanged=("aiko", "ben"))
    async with exchange.phone("aiko") as one, exchange.phone("ben") as other:
        assert await one.register(SECRET) == 200
        assert await other.register(SECRET) == 200


async def test_what_asterisk_keeps_and_logs_has_no_secret(exchange: Exchange) -> None:
    secret = new_secret()
    await exchange.devices.provision(device(secret=secret))
    async with exchange.phone() as phone:
        assert await phone.register("wrong") == 401
        assert await phone.register(secret) == 200
    assert digest_of("aiko", secret) in await exchange.node.cli("database show ps_auths")
    assert digest_of("aiko", secret) not in exchange.node.log(10_000)
    for file in exchange.node.settings.directory.rglob("*"):
        assert not file.is_file() or secret.encode() not in file.read_bytes(), file
