"""What is played and recorded on the fake ARI: lengths, lists, and files a person can listen to."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from simulator.fake_ari import FakeAri, LoggedCaller
from simulator.fake_ari.recording import Stored
from simulator.fake_ari.script import steps_of
from simulator.fake_ari.sounds import ENDLESS_US, Lengths
from simulator.phones import Behaviour, seconds
from simulator.sip.sound import Sound, is_silent, read_wav, seconds_of_tone, tone, write_wav
from simulator.things import Leg
from tests.simulator.ari_app import App

SPEECH_HZ = 400


@pytest.fixture
async def ari() -> AsyncIterator[FakeAri]:
    async with FakeAri() as running:
        yield running


@pytest.fixture
async def app(ari: FakeAri) -> AsyncIterator[App]:
    async with App(ari.url, "flowengine", "flowengine") as application:
        yield application


async def up(app: App, ari: FakeAri, *script: dict[str, object]) -> Leg:
    """An answered call whose script begins at the answer."""
    leg = ari.place_call("+815055550100", "+15550100", steps_of([{"answered": True}, *script]))
    await app.event("StasisStart", id=leg.id)
    await app.ask("POST", f"channels/{leg.id}/answer")
    return leg


async def fetched(app: App, ari: FakeAri, name: str, folder: Path) -> Sound:
    """A stored recording, by ear."""
    async with app.session.get(f"{ari.url}/ari/recordings/stored/{name}/file") as answer:
        assert answer.status == 200
        assert answer.content_type == "audio/wav"
        content = await answer.read()
        assert int(answer.headers["Content-Length"]) == len(content)
    (folder / f"{name}.wav").write_bytes(content)
    return read_wav(folder / f"{name}.wav")


@pytest.mark.parametrize(
    ("uri", "length_s"),
    [
        ("number:-12", 1.4),
        ("digits:12", 1.2),
        ("characters:abc", 1.8),
        ("silence:/3", 3.0),
        ("silence:3", 3.0),
        ("recording:known", 7.0),
        ("tone:ring;tonezone=fr", ENDLESS_US / 1_000_000),
        ("tone:425/100,0/100", ENDLESS_US / 1_000_000),
        *(
            (uri, None)
            for uri in ("recording:never", "sound:beep", "sound:/never", "never:x", "x", "", "sound:")
        ),
        *((uri, None) for uri in ("silence:x", "silence:99999", "tone:never")),
    ],
)
def test_lengths(uri: str, length_s: float | None) -> None:
    lengths = Lengths(lambda name: 7_000_000 if name == "known" else None)
    assert lengths(uri) == (None if length_s is None else round(length_s * 1_000_000))


def test_a_sound_lasts_as_long_as_its_file(tmp_path: Path) -> None:
    lengths = Lengths(lambda _: None)
    write_wav(tmp_path / "good.wav", tone(500, 0.75))
    (tmp_path / "torn.wav").write_bytes((tmp_path / "good.wav").read_bytes()[:30])
    (tmp_path / "empty.wav").touch()
    assert lengths(f"sound:{tmp_path}/good") == 750_000
    assert lengths(f"sound:{tmp_path}/torn") is None
    assert lengths(f"sound:{tmp_path}/empty") is None
    assert lengths(f"sound:{tmp_path}") is None


async def test_a_recording_has_a_tone_where_the_caller_spoke(ari: FakeAri, app: App, tmp_path: Path) -> None:
    leg = await up(app, ari, {"wait": 0.5}, {"speak": 0.6}, {"wait": 0.4}, {"press": "#"})
    await app.ask("POST", f"channels/{leg.id}/record", name="r", format="wav", terminateOn="#")
    await app.event("RecordingFinished")
    heard = await fetched(app, ari, "r", tmp_path)
    assert heard.seconds == pytest.approx(1.6, abs=0.15)
    assert seconds_of_tone(heard, SPEECH_HZ) == pytest.approx(0.6, abs=0.11)
    assert is_silent(heard.part(0, 0.3))
    assert is_silent(heard.part(1.3))
    assert not is_silent(heard.part(0.7, 0.9))


async def test_what_is_muted_is_silent_and_what_is_paused_is_left_out(
    ari: FakeAri, app: App, tmp_path: Path
) -> None:
    leg = await up(app, ari, {"speak": 5})
    await app.ask("POST", f"channels/{leg.id}/record", name="r", format="wav")
    await app.event("RecordingStarted")
    for change in ("mute", "pause"):
        await asyncio.sleep(0.4)
        await app.ask("POST", f"recordings/live/r/{change}")
        await asyncio.sleep(0.4)
        await app.ask("DELETE", f"recordings/live/r/{change}")
    await asyncio.sleep(0.4)
    await app.ask("POST", "recordings/live/r/stop")
    finished = await app.event("RecordingFinished")
    heard = await fetched(app, ari, "r", tmp_path)
    assert heard.seconds == pytest.approx(1.6, abs=0.2)
    assert seconds_of_tone(heard, SPEECH_HZ) == pytest.approx(1.2, abs=0.25)
    assert finished["recording"]["duration"] == int(heard.seconds)


def more_than(app: App, ended: int) -> bool:
    return len(app.of("RecordingFinished")) > ended


async def test_a_recording_may_be_appended_to_and_replaced(ari: FakeAri, app: App, tmp_path: Path) -> None:
    leg = await up(app, ari)
    lengths = []
    for if_exists in ("fail", "append", "overwrite"):
        before = len(app.of("RecordingFinished"))
        query = {"name": "r", "format": "wav", "ifExists": if_exists, "maxDurationSeconds": 1}
        assert (await app.ask("POST", f"channels/{leg.id}/record", **query)).status == 201
        await app.until(partial(more_than, app, before), "the end")
        lengths.append((await fetched(app, ari, "r", tmp_path)).seconds)
    assert lengths == [1.0, 2.0, 1.0]


async def test_a_bridge_is_recorded_with_all_who_speak_in_it(ari: FakeAri, app: App, tmp_path: Path) -> None:
    ari.add_phone("PJSIP/hanako", [Behaviour(answers_after_us=seconds(0.1), talks_us=seconds(1.2))])
    leg = await up(app, ari)
    await app.ask("POST", "channels/o1", endpoint="PJSIP/hanako", app=app.name)
    await app.event("StasisStart", id="o1")
    await app.ask("POST", "bridges/b1")
    await app.ask("POST", "bridges/b1/addChannel", channel=leg.id)
    await app.ask("POST", "bridges/b1/record", name="talk", format="wav")
    await asyncio.sleep(0.4)
    await app.ask("POST", "bridges/b1/addChannel", channel="o1")  # an agent talks from the answer on
    await app.event("StasisEnd", id="o1")
    await asyncio.sleep(0.4)
    await app.ask("DELETE", f"channels/{leg.id}")
    await app.event("RecordingFinished")
    heard = await fetched(app, ari, "talk", tmp_path)
    assert is_silent(heard.part(0, 0.3))
    assert is_silent(heard.part(heard.seconds - 0.3))
    assert seconds_of_tone(heard, SPEECH_HZ) == pytest.approx(0.8, abs=0.25)


async def test_a_recording_can_be_played(ari: FakeAri, app: App) -> None:
    leg = await up(app, ari)
    await app.ask("POST", f"channels/{leg.id}/record", name="r", format="wav", maxDurationSeconds=1)
    await app.event("RecordingFinished")
    await app.ask("POST", f"channels/{leg.id}/play/p1", media="recording:r")
    began = ari.world.now
    await app.event("PlaybackFinished", id="p1")
    assert (ari.world.now - began) / 1_000_000 == pytest.approx(1.0, abs=0.15)


async def test_a_bridge_hears_what_is_played_to_it(ari: FakeAri, app: App, tmp_path: Path) -> None:
    write_wav(tmp_path / "notice.wav", tone(500, 0.3))
    leg = await up(app, ari)
    await app.ask("POST", "bridges/b1")
    await app.ask("POST", "bridges/b1/addChannel", channel=leg.id)
    await app.ask("POST", "bridges/b1/play/p1", media=f"sound:{tmp_path}/notice")
    await app.event("PlaybackFinished", id="p1")
    assert isinstance(leg.phone, LoggedCaller)
    assert [line.what for line in leg.phone.log] == ["answered", "hears", "heard"]
    assert leg.phone.sounds == [f"sound:{tmp_path}/notice"]


async def test_seeking(ari: FakeAri, app: App, tmp_path: Path) -> None:
    write_wav(tmp_path / "long.wav", tone(500, 3))
    leg = await up(app, ari)
    began = ari.world.now
    query = {"media": f"sound:{tmp_path}/long", "offsetms": 500, "skipms": 1000}
    await app.ask("POST", f"channels/{leg.id}/play/p1", **query)
    await app.ask("POST", "playbacks/p1/control", operation="reverse")  # to 0
    await app.ask("POST", "playbacks/p1/control", operation="forward")  # to 1
    await app.ask("POST", "playbacks/p1/control", operation="restart")  # to 0
    await app.ask("POST", "playbacks/p1/control", operation="forward")
    await app.ask("POST", "playbacks/p1/control", operation="forward")  # to 2
    await app.event("PlaybackFinished", id="p1")
    assert (ari.world.now - began) / 1_000_000 == pytest.approx(1.0, abs=0.3)


async def test_a_list_whose_second_sound_is_missing_fails(ari: FakeAri, app: App, tmp_path: Path) -> None:
    write_wav(tmp_path / "first.wav", tone(500, 0.2))
    leg = await up(app, ari)
    await app.ask(
        "POST", f"channels/{leg.id}/play/p1", media=f"sound:{tmp_path}/first,sound:{tmp_path}/never"
    )
    assert (await app.event("PlaybackFinished"))["playback"]["state"] == "failed"
    assert len(app.of("PlaybackContinuing")) == 1


def test_a_file_joins_its_pieces_without_a_click(tmp_path: Path) -> None:
    stored = Stored("r", "wav", ((300_000, False), (2_500_000, True), (0, True), (125_000, False)))
    content = b"".join(stored.file())
    assert len(content) == stored.size
    (tmp_path / "r.wav").write_bytes(content)
    samples = read_wav(tmp_path / "r.wav").samples[2_400:22_400]
    assert max(abs(b - a) for a, b in itertools.pairwise(samples)) < 2_700
