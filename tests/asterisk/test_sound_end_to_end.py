"""The whole engine on a real Asterisk: what an account uploads, says and links is heard; what callers say is kept."""

from __future__ import annotations

import asyncio
import hashlib
import json
import wave
from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import pi, sin
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import select

from flowengine.ari.node import AsteriskNode
from flowengine.ari.settings import AriSettings
from flowengine.config import Settings
from flowengine.publishing import apply_account
from flowengine.serve import Installation, opened
from flowengine.store import rooms, tables
from simulator.sip import Caller, read_wav
from simulator.sip.sound import RATE, Sound, seconds_of_tone
from tests.asterisk.hearing_sound import likeness
from tests.recordings.web import Authority, gives

NUMBERS = {"prompts": "+815055550101", "mailbox": "+815055550102", "long-mailbox": "+815055550103"}
JAPANESE = "お電話ありがとうございます。営業時間は午前九時から午後五時までです。"
VOICE_HZ = 440.0
MELODY = (523, 659, 784, 1_319, 880, 587)
OTHER_MELODY = (1_175, 988, 784, 587, 698, 880)


def melody(path: Path, notes: tuple[int, ...], rate: int = 44_100) -> Path:
    """A tune in stereo, as an admin would upload it, each note 0.4 s."""
    samples = array("h")
    for hz in notes:
        for at in range(int(0.4 * rate)):
            value = int(9_000 * sin(2 * pi * hz * at / rate) * min(1.0, 20 * (1 - at / (0.4 * rate))))
            samples += array("h", (value, value // 2))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return path


def tune(notes: tuple[int, ...]) -> Sound:
    """The same tune as it should be heard."""
    samples = array("h")
    length = int(0.4 * RATE)
    for hz in notes:
        samples += array(
            "h",
            (
                int(9_000 * sin(2 * pi * hz * at / RATE) * min(1.0, 20 * (1 - at / length)))
                for at in range(length)
            ),
        )
    return Sound(samples)


def say(prompt: dict[str, str], after: str | None) -> dict[str, Any]:
    return {"type": "announcement", "prompt": prompt, "exits": {"next": after}}


def mailbox(limit_s: int) -> dict[str, Any]:
    return {
        "format": "flowengine/1",
        "name": "Mailbox",
        "start": "mail",
        "states": {
            "mail": {
                "type": "voicemail",
                "prompt": {"audio": "sounds/tune.wav"},
                "max_duration_s": limit_s,
                "silence_s": 3,
            }
        },
    }


def account(folder: Path, url: str) -> Path:
    """An account whose three prompts come from an upload, from an address and from a voice."""
    prompts = {
        "format": "flowengine/1",
        "name": "Prompts",
        "language": "ja",
        "start": "uploaded",
        "goodbye": {"audio": "sounds/tune.wav"},
        "states": {
            "uploaded": say({"audio": "sounds/tune.wav"}, "linked"),
            "linked": say({"url": url}, "spoken"),
            "spoken": say({"say": JAPANESE}, None),
        },
    }
    (folder / "sounds").mkdir(parents=True)
    melody(folder / "sounds" / "tune.wav", MELODY)
    documents = {"prompts": prompts, "mailbox": mailbox(6), "long-mailbox": mailbox(120)}
    for name, document in documents.items():
        (folder / f"{name}.json").write_text(json.dumps(document))
    file = folder / "account.yaml"
    file.write_text(
        yaml.safe_dump(
            {
                "format": "flowengine-account/1",
                "account": {
                    "key": "sound",
                    "name": "Sound",
                    "country": "JP",
                    "language": "ja",
                    "time_zone": "Asia/Tokyo",
                    "currency": "JPY",
                },
                "numbers": list(NUMBERS.values()),
                "flows": {
                    key: {"file": f"{key}.json", "numbers": [number], "publish": True}
                    for key, number in NUMBERS.items()
                },
            }
        )
    )
    return file


@asynccontextmanager
async def installation(node: AsteriskNode, folder: Path) -> AsyncIterator[Installation]:
    """The account applied, and an engine that serves it on this Asterisk."""
    tune_elsewhere = melody(folder / "elsewhere.wav", OTHER_MELODY).read_bytes()
    authority = Authority(folder)
    async with authority.server(gives(tune_elsewhere), "127.0.0.1") as server:
        settings = Settings.model_validate(
            {
                "data_dir": folder / "var",
                "http_port": 0,
                "drain_s": 5.0,
                "prompt_networks": "127.0.0.0/8",
                "prompt_ca_file": authority.file,
            }
        )
        await apply_account(settings, account(folder / "account", server.url("/elsewhere.wav", "127.0.0.1")))
    access = AriSettings(
        url=node.settings.ari_url,
        app=node.settings.app,
        username=node.settings.ari_user,
        password=node.settings.ari_password,
    )
    async with opened(settings, access) as here:
        yield here


async def test_callers_hear_an_upload_an_address_and_a_japanese_voice(
    node: AsteriskNode, tmp_path: Path
) -> None:
    async with installation(node, tmp_path) as here:
        outcome = await Caller(NUMBERS["prompts"], node.settings.sip_port).run(within=60)
        [account] = {each.account for each in here.engine.catalog.numbers.values() if each is not None}
        spoken = here.prompts.lookup(f"say:ja::{JAPANESE}", account)
        assert spoken is not None
        sentence = read_wav(spoken.path)
    heard = outcome.heard
    found = [likeness(heard, each) for each in (tune(MELODY), tune(OTHER_MELODY), sentence)]
    assert min(found) > 0.9, found
    assert sentence.seconds > 4.0
    assert likeness(heard, tune(MELODY[::-1])) < 0.8, "the measure tells tunes apart"


@pytest.mark.timeout(300)
async def test_messages_end_by_key_hang_up_silence_and_limit(node: AsteriskNode, tmp_path: Path) -> None:
    """Five callers at once; the last speaks for longer than two minutes."""
    port = node.settings.sip_port

    async def caller(name: str, number: str, speaks_s: float, end: str) -> None:
        async with Caller(NUMBERS[number], port, from_number=f"+8190111100{len(name):02}") as telephone:
            await telephone.answered(within=10)
            await asyncio.sleep(0.4 * len(MELODY) + 1.4)  # the tune and the tone are over
            await telephone.speak(VOICE_HZ, speaks_s)
            if end == "key":
                await telephone.press("#")
            elif end == "hang_up":
                await telephone.hang_up()
            await telephone.ended(within=40)

    async with installation(node, tmp_path) as here:
        async with asyncio.timeout(250), asyncio.TaskGroup() as calls:
            calls.create_task(caller("k", "mailbox", 3.0, "key"))
            calls.create_task(caller("hh", "mailbox", 2.0, "hang_up"))
            calls.create_task(caller("sss", "mailbox", 2.5, "silence"))
            calls.create_task(caller("llll", "mailbox", 9.0, "limit"))
            calls.create_task(caller("ttttt", "long-mailbox", 126.0, "limit"))
        async with asyncio.timeout(20):
            while len(rows := await kept(here)) < 5:  # noqa: ASYNC110 - there is no event of it
                await asyncio.sleep(0.2)
        by_caller = {row.caller[-2:]: row for row in rows}
        lengths = {name: by_caller[name].duration_ms for name in by_caller}
        assert 2_000 <= lengths["01"] <= 5_000, lengths
        assert 1_200 <= lengths["02"] <= 4_000, lengths
        assert 1_800 <= lengths["03"] <= 6_500, lengths
        assert lengths["04"] == 6_000
        assert lengths["05"] == 120_000
        for row in rows:
            found = await here.recorded.library.verify(f"{row.call}-{row.short_id}")
            file = here.settings.recordings_dir / row.path
            assert hashlib.sha256(file.read_bytes()).hexdigest() == row.sha256 == found.sha256
            sound = read_wav(file)
            assert round(sound.seconds * 1_000) == row.duration_ms
            assert seconds_of_tone(sound, VOICE_HZ) > 0.3 * sound.seconds, row.caller
        async with here.database.reading() as session:
            usage = await rooms.usage(session, rows[0].account)
        assert (usage.stored_ms, usage.held_ms) == (sum(lengths.values()), 0)
        stored = await here.switch.client.request("GET", "recordings/stored")
        ours = {f"{row.call}-{row.short_id}" for row in rows}
        assert not ours & {each["name"] for each in stored.read(list[dict[str, Any]])}


class Row:
    """A kept message with its caller."""

    def __init__(self, recording: tables.Recording, caller: str) -> None:
        self.account = recording.account_id
        self.call = recording.call_id
        self.short_id = recording.short_id
        self.duration_ms = recording.duration_ms
        self.path = recording.path
        self.sha256 = recording.sha256
        self.caller = caller


async def kept(here: Installation) -> list[Row]:
    async with here.database.reading() as session:
        found = await session.execute(
            select(tables.Recording, tables.Call.caller)
            .join(tables.Call, tables.Call.id == tables.Recording.call_id)
            .where(tables.Recording.status == "kept")
        )
        return [Row(recording, caller) for recording, caller in found]
