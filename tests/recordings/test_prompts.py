"""Prompts: rendered once, found at once, never from outside their directory."""

import asyncio
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings import audio, keys, wav
from recordings.errors import BadAudio, SoundsUnavailable, SoundUnavailable, SpeechRefused
from recordings.prompts import PromptLibrary
from recordings.sources import located
from recordings.speech import EspeakSpeech
from tests.recordings.sounds import ToneSpeech, sine, wav_file

HELLO = keys.say("Hello there", "en-US")


def rendered_files(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


@pytest.fixture
def speech() -> ToneSpeech:
    return ToneSpeech()


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    (tmp_path / "uploads" / "music").mkdir(parents=True)
    wav_file(tmp_path / "uploads" / "aud_1.wav", sine(16_000, 0.5, (800, 0.3)), 16_000)
    wav_file(tmp_path / "uploads" / "music" / "waltz.wav", sine(8_000, 0.7, (500, 0.3)))
    wav_file(tmp_path / "secret.wav", sine(8_000, 0.2, (500, 0.3)))
    return tmp_path / "uploads"


@pytest.fixture
def library(tmp_path: Path, speech: ToneSpeech, uploads: Path) -> PromptLibrary:
    return PromptLibrary(tmp_path / "prompts", speech, uploads)


async def test_rendered_then_looked_up(library: PromptLibrary, speech: ToneSpeech, tmp_path: Path) -> None:
    assert library.lookup(HELLO) is None
    rendered = await library.render(HELLO)
    assert library.lookup(HELLO) == rendered
    assert abs(rendered.duration_ms - 1_100) < 30
    assert wav.duration_ms(rendered.path) == rendered.duration_ms
    assert rendered.media + ".wav" == str(rendered.path)
    assert rendered.path.is_absolute()
    assert speech.spoken == [("Hello there", "en-US", "")]
    both = [rendered.path.name, rendered.wide.name]
    assert rendered_files(tmp_path / "prompts") == both, "nothing else is left"


async def test_many_callers_share_one_rendering(library: PromptLibrary, speech: ToneSpeech) -> None:
    sounds = await asyncio.gather(*(library.render(HELLO) for _ in range(20)))
    assert len(set(sounds)) == 1
    await library.render(HELLO)
    assert len(speech.spoken) == 1


async def test_a_caller_who_gives_up_does_not_spoil_it_for_the_others(library: PromptLibrary) -> None:
    first = asyncio.create_task(library.render(HELLO))
    second = asyncio.create_task(library.render(HELLO))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).duration_ms > 1_000
    assert first.cancelled()


async def test_a_restart_finds_everything_without_rendering(
    library: PromptLibrary, tmp_path: Path, uploads: Path
) -> None:
    wanted = [HELLO, "audio:aud_1", "tone:beep", "builtin:goodbye:ja"]
    before = await library.render_all(wanted)
    speech = ToneSpeech()
    again = PromptLibrary(tmp_path / "prompts", speech, uploads)
    assert {key: again.lookup(key) for key in wanted} == before
    assert await again.render_all(wanted) == before
    assert speech.spoken == []


async def test_another_speech_engine_speaks_anew(library: PromptLibrary, tmp_path: Path) -> None:
    old = await library.render(HELLO)
    beep = await library.render("tone:beep")
    other = PromptLibrary(tmp_path / "prompts", ToneSpeech("tones/2"))
    assert other.lookup(HELLO) is None
    assert other.lookup("tone:beep") == beep
    assert (await other.render(HELLO)).path != old.path
    assert old.path.exists(), "a call may be playing it"


async def test_a_replaced_upload_is_rendered_anew(
    library: PromptLibrary, uploads: Path, tmp_path: Path
) -> None:
    old = await library.render("audio:aud_1")
    os.utime(old.path, (1, 1))
    wav_file(uploads / "aud_1.wav", sine(8_000, 1.0, (800, 0.3)))
    new = await library.render("audio:aud_1")
    assert old.duration_ms == pytest.approx(500, abs=20)
    assert new.duration_ms == pytest.approx(1_000, abs=20)
    assert library.lookup("audio:aud_1") == new
    assert old.path.exists()
    assert PromptLibrary(tmp_path / "prompts", ToneSpeech(), uploads).lookup("audio:aud_1") == new


async def test_what_a_crash_left_is_rendered_again(
    library: PromptLibrary, tmp_path: Path, uploads: Path
) -> None:
    good = await library.render(HELLO)
    whole = good.path.read_bytes()
    good.path.write_bytes(whole[:2_000])
    room = tmp_path / "prompts" / ".render-left"
    room.mkdir()
    part = tmp_path / "prompts" / ".say-1.wav.1.part"
    part.touch()
    busy = tmp_path / "prompts" / ".render-busy"
    busy.mkdir()
    for left in (room, part):
        os.utime(left, (1, 1))
    again = PromptLibrary(tmp_path / "prompts", ToneSpeech(), uploads)
    assert again.lookup(HELLO) is None
    assert (await again.render(HELLO)).path.read_bytes() == whole
    assert [left.exists() for left in (room, part, busy)] == [False, False, True]


async def test_a_deleted_file_is_made_again(library: PromptLibrary) -> None:
    first = await library.render(HELLO)
    first.path.unlink()
    assert (await library.render(HELLO)).path.exists()


async def test_audio_by_id_and_by_path(library: PromptLibrary) -> None:
    by_id = await library.render("audio:aud_1")
    assert abs(by_id.duration_ms - 500) < 20
    assert audio.tone_level(by_id.path, 800) > -24
    by_path = await library.render("audio:music/waltz.wav")
    assert abs(by_path.duration_ms - 700) < 20


OUTSIDE = [
    "../secret", "../secret.wav", "music/../../secret", "/etc/passwd", "//etc/passwd", "music//waltz.wav", ".",
    "./aud_1", "music/", "..\\secret", "aud_1\0.wav", "a\nb", "link.wav", "folder/passwd", "music", "x" * 500,
    "%2e%2e/secret", "file:secret.wav", "loop",
]  # fmt: skip


@pytest.mark.parametrize("id", OUTSIDE)
async def test_an_audio_id_never_leaves_its_directory(library: PromptLibrary, uploads: Path, id: str) -> None:
    (uploads / "link.wav").symlink_to(uploads.parent / "secret.wav")
    (uploads / "folder").symlink_to("/etc")
    (uploads / "loop").symlink_to(uploads / "loop")
    with pytest.raises(SoundUnavailable) as caught:
        await library.render(f"audio:{id}")
    assert caught.value.mend
    assert library.lookup(f"audio:{id}") is None


@given(st.lists(st.sampled_from(["..", ".", "", "/", "a", "\0", "\\", "~", "secret.wav", "%2e"]), max_size=6))
def test_no_combination_of_parts_leads_outside(
    tmp_path_factory: pytest.TempPathFactory, parts: list[str]
) -> None:
    top = tmp_path_factory.mktemp("top")
    (top / "root").mkdir()
    (top / "secret.wav").touch()
    (top / "root" / "a").touch()
    try:
        found = located(top / "root", "/".join(parts))
    except SoundUnavailable:
        return
    assert found == top / "root" / "a"


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("url:https://example.com/a.wav", "never fetched"),
        ("tone:boop", "not a sound key"),
        ("builtin:laugh:en", "not a sound key"),
        ("say:en", "not a sound key"),
        ("audio:", "not a sound key"),
        ("", "not a sound key"),
        ("\0\n", "not a sound key"),
        ("audio:aud_none", "no such audio"),
    ],
)
async def test_a_key_that_cannot_be_had_says_why(library: PromptLibrary, key: str, reason: str) -> None:
    with pytest.raises(SoundUnavailable, match=reason) as caught:
        await library.render(key)
    assert caught.value.mend
    assert library.lookup(key) is None


async def test_a_bad_upload_is_named_by_its_id(library: PromptLibrary, uploads: Path, tmp_path: Path) -> None:
    (uploads / "aud_2.wav").write_bytes(b"this is a letter")
    with pytest.raises(BadAudio, match=r"^audio 'aud_2': it is not audio"):
        await library.render("audio:aud_2")
    assert rendered_files(tmp_path / "prompts") == []


async def test_all_failures_are_told_at_once_and_the_rest_is_rendered(library: PromptLibrary) -> None:
    steps: list[tuple[int, int]] = []
    wanted = ["url:https://example.com/a", HELLO, "audio:../secret", HELLO, "tone:beep"]
    with pytest.raises(SoundsUnavailable, match=r"and 1 more") as caught:
        await library.render_all(wanted, lambda done, of: steps.append((done, of)))
    assert list(caught.value.failures) == ["url:https://example.com/a", "audio:../secret"]
    assert library.lookup(HELLO)
    assert library.lookup("tone:beep")
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]


async def test_phrases_fall_back_to_english(library: PromptLibrary, speech: ToneSpeech) -> None:
    for language in ("en-GB", "ja-JP", "sv-SE", ""):
        await library.render(f"builtin:goodbye:{language}")
    await library.render("builtin:apology")
    spoken = {(language, text.isascii()) for text, language, _ in speech.spoken}
    assert spoken == {("en-GB", True), ("ja-JP", False), ("en", True)}


async def test_the_event_loop_goes_on_while_a_prompt_is_rendered(library: PromptLibrary) -> None:
    turns = 0
    task = asyncio.create_task(library.render("builtin:hold-music"))
    while not task.done():
        await asyncio.sleep(0.005)
        turns += 1
    assert turns > 5


async def test_with_the_real_engine(tmp_path: Path) -> None:
    library = PromptLibrary(tmp_path / "prompts", EspeakSpeech())
    wanted = ["builtin:goodbye:en-US", "builtin:apology:ja", "say:en-US::Press 1: sales"]
    for rendered in (await library.render_all(wanted)).values():
        assert rendered.duration_ms > 700
        assert audio.level_dbfs(rendered.path) > -30
    with pytest.raises(SpeechRefused, match="no voice"):
        await library.render("say:tlh::nuqneH")


def test_a_directory_asterisk_could_not_be_told_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SoundUnavailable, match="cannot be told"):
        PromptLibrary(tmp_path / "a,b", ToneSpeech())
    (tmp_path / "file").touch()
    with pytest.raises(SoundUnavailable, match="prompt directory"):
        PromptLibrary(tmp_path / "file", ToneSpeech())
