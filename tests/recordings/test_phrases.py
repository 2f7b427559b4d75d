"""What is said in a waiting line: every number has words of its own, and each is heard."""

import unicodedata
from pathlib import Path

import pytest

from flowengine.flow.document import FARTHEST_SAID, WAITS_SAID_MIN, WaitingLine
from flowengine.flow.prompts import Manner
from recordings import audio, keys, phrases
from recordings.errors import SoundUnavailable
from recordings.keys import Builtin
from recordings.prompts import PromptLibrary
from recordings.speech import EspeakSpeech
from tests.recordings.sounds import ToneSpeech

PLACES = range(1, FARTHEST_SAID + 1)


def said(key: str) -> str:
    sound = keys.parse(key)
    assert isinstance(sound, Builtin)
    return phrases.words(sound).text


def test_all_that_a_flow_can_announce_is_a_sound() -> None:
    line = WaitingLine(max_waiting=5, announce_position=True, announce_wait=True)
    for language in ("en-US", "ja-JP", "de"):
        wanted = line.sounds(Manner(language))
        assert len(wanted) == len(PLACES) + len(WAITS_SAID_MIN)
        assert len({said(key) for key in wanted}) == len(wanted), "each number has words of its own"
    of_the_flow = {"place": frozenset(PLACES), "wait": frozenset(WAITS_SAID_MIN)}
    assert of_the_flow == keys.COUNTS


def test_a_phrase_is_spoken_by_the_voice_of_its_flow() -> None:
    for language, voice in (("ja-JP", "mei"), ("en-GB", "f3"), ("sv", "")):
        key = Manner(language, "mei" if language == "ja-JP" else "f3").phrase("place", 3)
        sound = keys.parse(key)
        assert isinstance(sound, Builtin)
        assert (sound.phrase, sound.language, sound.number) == ("place", language, 3)
        assert phrases.words(sound).voice == voice, "another language has other voices"


@pytest.mark.parametrize("name", keys.FIXED)
@pytest.mark.parametrize("manner", [Manner("en-US"), Manner("ja-JP", "mei"), Manner()])
def test_every_phrase_has_words(name: keys.Fixed, manner: Manner) -> None:
    sound = keys.parse(manner.phrase(name))
    assert isinstance(sound, Builtin)
    assert sound.phrase == name
    spoken = phrases.words(sound)
    assert spoken.text == phrases.WORDS["ja" if manner.language == "ja-JP" else "en"][name]
    assert spoken.voice == manner.voice


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("builtin:place:en-US:3", "You are number 3 in line."),
        ("builtin:wait:en-GB:5", "The expected wait is about 5 minutes."),
        ("builtin:wait:en:1", "The expected wait is about 1 minute."),
        ("builtin:place:ja-JP:3", "ただいま、さんばんめで、おまちいただいております。"),
        ("builtin:place:ja:10", "ただいま、じゅうばんめで、おまちいただいております。"),
        ("builtin:place:ja:14", "ただいま、じゅうよんばんめで、おまちいただいております。"),
        ("builtin:place:JA:20", "ただいま、にじゅうばんめで、おまちいただいております。"),
        ("builtin:wait:ja:1", "おまちじかん、やく、いっぷんです。"),
        ("builtin:wait:ja:2", "おまちじかん、やく、にふんです。"),
        ("builtin:wait:ja:3", "おまちじかん、やく、さんぷんです。"),
        ("builtin:wait:ja:5", "おまちじかん、やく、ごふんです。"),
        ("builtin:wait:ja:10", "おまちじかん、やく、じゅっぷんです。"),
        ("builtin:wait:ja:15", "おまちじかん、やく、じゅうごふんです。"),
        ("builtin:wait:ja:20", "おまちじかん、やく、にじゅっぷんです。"),
        ("builtin:wait:ja:30", "おまちじかん、やく、さんじゅっぷんです。"),
    ],
)
def test_words(key: str, words: str) -> None:
    assert said(key) == words


def test_japanese_is_written_in_kana() -> None:
    counted = [f"{phrase}:ja:{number}" for phrase, numbers in keys.COUNTS.items() for number in numbers]
    for phrase in [*counted, *(f"{fixed}:ja" for fixed in keys.FIXED)]:
        letters = [c for c in said(f"builtin:{phrase}") if c.isalnum()]
        assert all(unicodedata.name(c).startswith("HIRAGANA") for c in letters), letters


def test_other_languages_hear_english_from_an_english_voice() -> None:
    for key in ("builtin:place:sv-SE:2", "builtin:wait::2"):
        sound = keys.parse(key)
        assert isinstance(sound, Builtin)
        spoken = phrases.words(sound)
        assert (spoken.language, spoken.text.isascii()) == ("en", True)


@pytest.mark.parametrize(
    "key",
    [
        "builtin:place:en:0", "builtin:place:en:21", "builtin:place:en:-1", "builtin:place:en:03",
        "builtin:place:en: 3", "builtin:place:en:３", "builtin:place:en:three", "builtin:place:en:",
        "builtin:place:en", "builtin:place:3", "builtin:place", "builtin:wait:en:4", "builtin:wait:en:60",
        "builtin:wait:en:1:2", "builtin:wait", "builtin:hour:en:1", "builtin:place:en:3@", "builtin:place:en:3@a b",
        "builtin:place@mei:en:3",
    ],
)  # fmt: skip
async def test_other_numbers_are_no_keys(key: str, tmp_path: Path) -> None:
    with pytest.raises(SoundUnavailable, match="not a sound key") as caught:
        keys.parse(key)
    assert "builtin:place:<language>:<1 to 20>" in caught.value.mend
    assert PromptLibrary(tmp_path, ToneSpeech()).lookup(key) is None


async def test_they_are_looked_up_once_rendered(tmp_path: Path) -> None:
    library = PromptLibrary(tmp_path, ToneSpeech())
    rendered = await library.render("builtin:place:en-US:3")
    assert library.lookup("builtin:place:en-US:3") == rendered
    assert library.lookup("builtin:place:en-US:4") is None


@pytest.mark.parametrize("language", ["en-US", "ja-JP"])
async def test_the_real_voice_says_each_number_and_says_it_differently(tmp_path: Path, language: str) -> None:
    library = PromptLibrary(tmp_path, EspeakSpeech())
    wanted = [f"builtin:{phrase}:{language}:{n}" for phrase, ns in keys.COUNTS.items() for n in sorted(ns)]
    wanted += [f"builtin:{phrase}:{language}" for phrase in keys.FIXED]
    rendered = await library.render_all(wanted)
    assert len({sound.path.read_bytes() for sound in rendered.values()}) == len(wanted)
    for key, sound in rendered.items():
        assert 900 < sound.duration_ms < 8_000, key
        assert audio.level_dbfs(sound.path) > -30, key
