"""Which engine speaks a prompt, and that its edition follows that engine and no other."""

import shlex
import sys
from importlib import metadata
from pathlib import Path

import pytest

from flowengine.flow.document import load
from recordings import audio, keys
from recordings.errors import SpeechRefused, ToolMissing
from recordings.prompts import PromptLibrary
from recordings.speech import CommandSpeech, EspeakSpeech, OpenJTalkSpeech, Speeches, configured

PLAIN = configured()
NAMED = configured("program {voice} {out}")
UNNAMED = configured("program {out}", "en, de")


@pytest.fixture
def without_jtalk(monkeypatch: pytest.MonkeyPatch) -> Speeches:
    """The engines of a machine without the extra tts-ja."""

    def version(package: str) -> str:
        raise metadata.PackageNotFoundError(package)

    monkeypatch.setattr(metadata, "version", version)
    return configured()


def chosen(speech: Speeches, language: str, voice: str = "") -> tuple[str, str]:
    engine, own = speech.chosen(language, voice)
    return engine.name, own


def test_japanese_is_open_jtalk_and_the_rest_espeak() -> None:
    assert chosen(PLAIN, "ja") == ("open-jtalk", "")
    assert chosen(PLAIN, "ja-JP", "mei-low") == ("open-jtalk", "mei-low")
    assert chosen(PLAIN, "JA", "Mei") == ("open-jtalk", "Mei")
    assert chosen(PLAIN, "en-US") == ("espeak-ng", "")
    assert chosen(PLAIN, "en-US", "mei") == ("espeak-ng", "mei")
    assert chosen(PLAIN, "ja", "f3") == ("espeak-ng", "f3")


def test_a_voice_may_name_its_engine() -> None:
    assert chosen(PLAIN, "ja", "espeak-ng") == ("espeak-ng", "")
    assert chosen(PLAIN, "ja", "espeak-ng.f3") == ("espeak-ng", "f3")
    assert chosen(PLAIN, "ja", "open-jtalk") == ("open-jtalk", "")
    assert chosen(NAMED, "ja", "open-jtalk.mei-low") == ("open-jtalk", "mei-low")
    assert chosen(NAMED, "ja", "command.en_GB-alba.medium") == ("command", "en_GB-alba.medium")
    assert chosen(UNNAMED, "ja", "command") == ("command", "")


def test_a_program_with_voices_takes_named_prompts_and_one_without_the_others() -> None:
    assert chosen(NAMED, "en", "hana") == ("command", "hana")
    assert chosen(NAMED, "en") == ("espeak-ng", "")
    assert chosen(NAMED, "en", "F3") == ("espeak-ng", "F3")
    assert chosen(NAMED, "ja", "mei") == ("open-jtalk", "mei")
    assert chosen(UNNAMED, "en-GB") == ("command", "")
    assert chosen(UNNAMED, "en-GB", "f3") == ("espeak-ng", "f3")
    assert chosen(UNNAMED, "fr") == ("espeak-ng", "")
    assert chosen(UNNAMED, "ja") == ("open-jtalk", "")


def test_an_engine_that_is_not_set_up_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        SpeechRefused, match=r"voice command\.hana: there is no engine command here.*set a speech"
    ):
        PLAIN.speak("Hello", "en", "command.hana", tmp_path / "out.wav")
    assert PLAIN.edition_for("en", "command.hana") == "nobody"


def test_without_the_extra_japanese_is_kana_only_and_says_so(without_jtalk: Speeches, tmp_path: Path) -> None:
    out = tmp_path / "out.wav"
    without_jtalk.speak("おでんわ、ありがとうございます。", "ja", "", out)
    assert audio.canonical(out, tmp_path / "heard.wav").duration_ms > 800
    with pytest.raises(
        SpeechRefused, match=r"espeak-ng cannot read kanji; write it in kana, or .*\[tts-ja\]"
    ):
        without_jtalk.speak("お電話ありがとうございます。", "ja", "", out)
    with pytest.raises(ToolMissing, match=r"Open JTalk: it is not installed; .*\[tts-ja\]"):
        without_jtalk.speak("お電話ありがとうございます。", "ja", "mei", out)


# Editions


def test_the_edition_of_a_prompt_is_that_of_its_engine() -> None:
    for speech in (PLAIN, NAMED, UNNAMED):
        assert speech.edition_for("ja", "") == OpenJTalkSpeech().edition_for("ja", "")
        assert speech.edition_for("fr", "") == EspeakSpeech().edition_for("fr", "")
    assert UNNAMED.edition_for("de", "") == CommandSpeech("program {out}").edition_for("de", "")


def test_another_program_changes_its_own_prompts_only() -> None:
    other = configured("program --better {out}", "en, de")
    assert other.edition_for("de", "") != UNNAMED.edition_for("de", "")
    assert other.edition_for("ja", "") == UNNAMED.edition_for("ja", "")
    assert other.edition_for("de", "f3") == UNNAMED.edition_for("de", "f3") == NAMED.edition_for("de", "f3")
    assert other.edition != UNNAMED.edition


def test_installing_open_jtalk_changes_japanese_only(without_jtalk: Speeches) -> None:
    assert without_jtalk.edition_for("ja", "") == EspeakSpeech().edition_for("ja", "")
    assert without_jtalk.edition_for("ja", "") != PLAIN.edition_for("ja", "")
    assert without_jtalk.edition_for("en", "") == PLAIN.edition_for("en", "")
    assert without_jtalk.edition_for("ja", "f3") == PLAIN.edition_for("ja", "f3")


@pytest.mark.parametrize(
    ("language", "voice"), [("", ""), ("tlh", "nobody"), ("../x", "."), ("ja", "open-jtalk.x")]
)
def test_an_edition_is_told_for_anything(language: str, voice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    for speech in (PLAIN, NAMED, UNNAMED):
        assert speech.edition_for(language, voice)


# End to end

ORGAN = """
import math, struct, sys, wave
text, out = sys.stdin.read(), sys.argv[1]
with wave.open(out, "wb") as sound:
    sound.setparams((1, 2, 16000, 0, "NONE", ""))
    for i in range(1600 * len(text)):
        sound.writeframesraw(struct.pack("<h", int(9000 * math.sin(2 * math.pi * 700 * i / 16000))))
"""


async def test_a_program_of_ones_own_makes_the_prompts_of_its_language(tmp_path: Path) -> None:
    program = tmp_path / "organ.py"
    program.write_text(ORGAN, encoding="utf-8")
    command = f"{shlex.quote(sys.executable)} {shlex.quote(str(program))} {{out}}"
    library = PromptLibrary(tmp_path / "prompts", configured(command, "en"))
    organ = await library.render(keys.say("ten tones!", "en-GB", ""))
    assert organ.duration_ms == pytest.approx(1_000, abs=30)
    assert audio.tone_level(organ.path, 700) > -22
    french = await library.render(keys.say("dix tons!", "fr", ""))
    assert audio.tone_level(french.path, 700) < -35


def test_espeak_as_a_command_says_what_espeak_says(tmp_path: Path) -> None:
    command = "espeak-ng -b 1 -s 160 -v {language} -w {out} -f {text_file}"
    configured(command).speak("Guten Tag", "de", "", tmp_path / "command.wav")
    EspeakSpeech().speak("Guten Tag", "de", "", tmp_path / "espeak.wav")
    as_command, as_engine = (
        audio.canonical(tmp_path / f"{name}.wav", tmp_path / f"{name}.8k.wav").path.read_bytes()
        for name in ("command", "espeak")
    )
    assert as_command == as_engine


def test_a_flow_and_each_of_its_prompts_choose_for_themselves() -> None:
    flow = load(FLOW.encode())
    spoken = [key for key in map(keys.parse, flow.sounds()) if isinstance(key, keys.Say)]
    assert {(key.text, chosen(NAMED, key.language, key.voice)) for key in spoken} == {
        ("ようこそ", ("open-jtalk", "mei-low")),
        ("Welcome", ("espeak-ng", "")),
        ("どうぞ", ("command", "hana")),
        ("さようなら", ("espeak-ng", "f3")),
    }


FLOW = """{
  "format": "flowengine/1", "name": "Voices", "language": "ja", "voice": "mei-low", "start": "a",
  "states": {
    "a": {"type": "announcement", "prompt": {"say": "ようこそ"}, "exits": {"next": "b"}},
    "b": {"type": "announcement", "prompt": {"say": "Welcome", "language": "en"}, "exits": {"next": "c"}},
    "c": {"type": "announcement", "prompt": {"say": "どうぞ", "voice": "hana"}, "exits": {"next": "d"}},
    "d": {"type": "announcement", "prompt": {"say": "さようなら", "voice": "espeak-ng.f3"}, "exits": {"next": null}}
  }
}"""
