"""The shape of a flow: states, exits, sounds, the canonical form and the pretty one."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from flowengine.flow.document import (
    KEYS,
    Announcement,
    Audio,
    Flow,
    GroupTransfer,
    Invalid,
    Ivr,
    Manner,
    Say,
    State,
    Url,
    UserTransfer,
    Voicemail,
    WaitingLine,
    load,
    parse,
)
from flowengine.flow.problems import Problem
from tests.flow.drawing import HELLO, flow, menu, say

EXAMPLES = sorted((Path(__file__).parents[2] / "schemas" / "examples").glob("*.json"))


def minimal(**state: Any) -> dict[str, Any]:
    return {"format": "flowengine/1", "name": "x", "start": "a", "states": {"a": state}}


def refused(document: Any) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as caught:
        parse(document)
    return [(problem.code, problem.pointer) for problem in caught.value.problems]


# Exits and outcomes


@pytest.mark.parametrize(
    ("state", "exits", "endings"),
    [
        (Ivr(prompt=HELLO), (*"0123456789*", "timeout", "invalid"), ()),
        (Announcement(prompt=HELLO), ("next",), ()),
        (Voicemail(prompt=HELLO), ("timeout",), ("recorded",)),
        (UserTransfer(user="u"), ("timeout", "unavailable", "busy"), ("answered",)),
        (GroupTransfer(group="g"), ("timeout", "unavailable", "busy"), ("answered",)),
    ],
)
def test_each_kind_declares_its_exits_and_endings(
    state: State, exits: tuple[str, ...], endings: tuple[str, ...]
) -> None:
    assert state.exits() == exits
    assert state.outcomes() == exits + endings


def test_a_menu_has_eleven_keys() -> None:
    assert len(KEYS) == 11


def test_defaults_are_the_documented_behaviour() -> None:
    assert (Ivr(prompt=HELLO).timeout_s, Ivr(prompt=HELLO).attempts) == (5, 3)
    voicemail = Voicemail(prompt=HELLO)
    assert (voicemail.max_duration_s, voicemail.silence_s, voicemail.beep) == (120, 5, True)
    transfer = UserTransfer(user="u")
    assert (transfer.ring_timeout_s, transfer.record, transfer.queue) == (30, False, None)
    assert GroupTransfer(group="g").ringing == "parallel"


def test_models_are_frozen() -> None:
    with pytest.raises(ValidationError):
        setattr(HELLO, "say", "other")  # noqa: B010 - mypy knows that it is frozen


# Sounds


def test_sound_keys() -> None:
    english = Manner("en-US")
    assert Say(say="Hi: there").sound(english) == "say:en-US::Hi: there"
    assert Say(say="Hi", language="en-GB", voice="amy").sound(english) == "say:en-GB:amy:Hi"
    assert Audio(audio="audio/welcome.wav").sound(english) == "audio:audio/welcome.wav"
    assert Url(url="https://example.com/a.wav").sound(Manner("ja-JP")) == "url:https://example.com/a.wav"


def test_the_voice_of_the_flow_speaks_the_language_of_the_flow() -> None:
    manner = flow({}, language="en-GB", voice="f3").manner
    assert Say(say="Hi").sound(manner) == "say:en-GB:f3:Hi"
    assert Say(say="Hi", language="en-GB").sound(manner) == "say:en-GB:f3:Hi"
    assert Say(say="Hi", voice="amy").sound(manner) == "say:en-GB:amy:Hi"
    assert Say(say="Yo", language="en-US").sound(manner) == "say:en-US::Yo", "another language, another voice"
    assert Say(say="Yo", language="en-US", voice="f3").sound(manner) == "say:en-US:f3:Yo"


def test_phrases_are_told_in_the_manner_of_the_flow() -> None:
    assert Manner("en-US").phrase("goodbye") == "builtin:goodbye:en-US"
    assert Manner("ja-JP", "f3").phrase("goodbye") == "builtin:goodbye:ja-JP@f3"
    assert Manner("ja-JP", "f3").phrase("place", 2) == "builtin:place:ja-JP:2@f3"
    assert flow({}, voice=None).manner == Manner("en-US", "")


def test_a_flow_lists_every_sound_once_the_goodbye_first() -> None:
    line = WaitingLine(max_waiting=2, notice=Say(say="Wait"), music=Audio(audio="aud_1"))
    drawn = flow(
        {"a": say("b"), "b": UserTransfer(user="u", queue=line), "c": say(), "d": GroupTransfer(group="g")},
        goodbye=Say(say="Bye"),
        language="en-GB",
    )
    assert drawn.sounds() == ("say:en-GB::Bye", "say:en-GB::Hello.", "say:en-GB::Wait", "audio:aud_1")
    assert UserTransfer(user="u").sounds(Manner("en-GB")) == ()


@pytest.mark.parametrize("kind", [UserTransfer, GroupTransfer])
def test_the_notice_of_a_recording_is_a_sound_and_a_prompt_of_its_state(kind: Any) -> None:
    line = WaitingLine(max_waiting=2, music=Audio(audio="aud_1"))
    whom = {"user": "u"} if kind is UserTransfer else {"group": "g"}
    node = kind(**whom, record=True, recording_notice=Say(say="Recorded."), queue=line)
    assert [field for field, _ in node.prompts()] == ["recording_notice", "queue.music"]
    assert node.sounds(Manner("en-GB", "f3")) == ("say:en-GB:f3:Recorded.", "audio:aud_1")


# Canonical form


def test_canonical_is_sorted_compact_utf8_and_says_only_what_is_meant() -> None:
    drawn = flow(
        {"b": say("a"), "a": say(None)}, start="b", goodbye=None, name="電話", layout={"a": (1.0, 2.0)}
    )
    assert (
        drawn.canonical()
        == (
            '{"format":"flowengine/1","name":"電話","start":"b","states":{'
            '"a":{"prompt":{"say":"Hello."},"type":"announcement"},'
            '"b":{"exits":{"next":"a"},"prompt":{"say":"Hello."},"type":"announcement"}}}'
        ).encode()
    )


def test_a_default_written_out_does_not_change_the_digest() -> None:
    short = parse(minimal(type="ivr", prompt={"say": "Hi"}))
    prompt = {"say": "Hi", "language": None}
    long = parse(
        minimal(type="ivr", label="", prompt=prompt, timeout_s=5, attempts=3, exits={"1": None})
        | {"language": "en-US", "description": "", "goodbye": None, "layout": {"a": [1, 2]}}
    )
    assert short.sha256() == long.sha256()


@pytest.mark.parametrize(
    "change",
    [
        {"name": "y"},
        {"start": None},
        {"language": "en-GB"},
        {"goodbye": {"say": "Bye"}},
        {"description": "d"},
        {"voice": "f3"},
    ],
)
def test_every_other_change_changes_the_digest(change: dict[str, Any]) -> None:
    document = minimal(type="announcement", prompt={"say": "Hi"})
    assert parse(document).sha256() != parse(document | change).sha256()


def test_the_digest_is_a_promise() -> None:
    """A published version is named by its digest, so the same flow has the same one for ever."""
    published = Path(__file__).with_name("published-long-ago.json")
    assert load(published.read_bytes()).sha256() == DIGEST_THEN


DIGEST_THEN = "1645ee9112013322f3515228b55566e743a3cdc37d12a4bfdf4c088f21bca8a6"


# Pretty form


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_are_written_as_pretty_writes_them(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert load(text.encode()).pretty() == text


def test_pretty_keeps_what_was_written_and_reads_back() -> None:
    text = flow(
        {"a": menu(k1="b", timeout=None), "b": say()}, goodbye=None, layout={"a": (1.5, -2.0)}
    ).pretty()
    assert json.loads(text)["states"]["a"]["exits"] == {"1": "b", "timeout": None}
    assert list(json.loads(text))[-2:] == ["states", "layout"]
    assert '"a": [1.5, -2]' in text
    assert load(text.encode()).pretty() == text


def test_pretty_writes_the_type_of_states_made_in_code() -> None:
    assert '"type": "announcement"' in flow({"a": say()}).pretty()


# What is refused


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({"type": "ivr"}, ("missing_field", "/states/a/prompt")),
        ({}, ("missing_field", "/states/a/type")),
        ({"type": "fax"}, ("unknown_state_type", "/states/a/type")),
        ({"type": 5}, ("unknown_state_type", "/states/a/type")),
        (5, ("invalid_document", "/states/a")),
        (None, ("invalid_document", "/states/a")),
        ({"type": "ivr", "prompt": {"say": 5}}, ("invalid_document", "/states/a/prompt/say")),
        ({"type": "ivr", "prompt": {}}, ("invalid_document", "/states/a/prompt")),
        ({"type": "ivr", "prompt": "Hi"}, ("invalid_document", "/states/a/prompt")),
        ({"type": "ivr", "prompt": {"say": "a", "audio": "b"}}, ("unknown_field", "/states/a/prompt/audio")),
        ({"type": "ivr", "prompt": {"say": "a\0b"}}, ("invalid_document", "/states/a/prompt/say")),
        ({"type": "ivr", "prompt": {"say": "\ud800"}}, ("invalid_document", "/states/a/prompt/say")),
        ({"type": "ivr", "prompt": {"say": "a" * 5001}}, ("too_long", "/states/a/prompt/say")),
        ({"type": "ivr", "prompt": {"say": "", "voice": "a:b"}}, ("invalid_document", "/states/a/prompt/voice")),
        ({"type": "ivr", "prompt": {"say": "", "language": "?"}}, ("invalid_document", "/states/a/prompt/language")),
        ({"type": "ivr", "prompt": {"say": ""}, "timeout_s": "5"}, ("invalid_document", "/states/a/timeout_s")),
        ({"type": "ivr", "prompt": {"say": ""}, "timeout_s": True}, ("invalid_document", "/states/a/timeout_s")),
        ({"type": "ivr", "prompt": {"say": ""}, "timeout_s": 0.5}, ("out_of_range", "/states/a/timeout_s")),
        ({"type": "ivr", "prompt": {"say": ""}, "timeout_s": 60.1}, ("out_of_range", "/states/a/timeout_s")),
        ({"type": "ivr", "prompt": {"say": ""}, "attempts": 2.0}, ("invalid_document", "/states/a/attempts")),
        ({"type": "ivr", "prompt": {"say": ""}, "attempts": 11}, ("out_of_range", "/states/a/attempts")),
        ({"type": "ivr", "prompt": {"say": ""}, "exits": {"1": 5}}, ("invalid_document", "/states/a/exits/1")),
        ({"type": "ivr", "prompt": {"say": ""}, "exits": []}, ("invalid_document", "/states/a/exits")),
        ({"type": "ivr", "prompt": {"say": ""}, "connections": {}}, ("unknown_field", "/states/a/connections")),
        ({"type": "voicemail", "prompt": {"say": ""}, "beep": 1}, ("invalid_document", "/states/a/beep")),
        ({"type": "voicemail", "prompt": {"say": ""}, "silence_s": 0}, ("out_of_range", "/states/a/silence_s")),
        ({"type": "user_transfer", "user": "u", "record": "no"}, ("invalid_document", "/states/a/record")),
        ({"type": "user_transfer", "user": "u", "ring_timeout_s": 301}, ("out_of_range", "/states/a/ring_timeout_s")),
        ({"type": "user_transfer", "user": "u", "queue": {}}, ("missing_field", "/states/a/queue/max_waiting")),
        (
            {"type": "user_transfer", "user": "u", "queue": {"max_waiting": 1, "notice": {"say": 1}}},
            ("invalid_document", "/states/a/queue/notice/say"),
        ),
        ({"type": "group_transfer", "group": "g", "ringing": "random"}, ("invalid_document", "/states/a/ringing")),
        (
            {"type": "user_transfer", "user": "u", "recording_notice": {"say": 1}},
            ("invalid_document", "/states/a/recording_notice/say"),
        ),
        (
            {"type": "group_transfer", "group": "g", "recording_sides": "left"},
            ("invalid_document", "/states/a/recording_sides"),
        ),
        (
            {"type": "announcement", "prompt": {"say": ""}, "tells_of_recording": 1},
            ("invalid_document", "/states/a/tells_of_recording"),
        ),
        ({"type": "group_transfer", "group": "g", "line": None}, ("unknown_field", "/states/a/line")),
    ],
)  # fmt: skip
def test_a_wrong_state_is_named_with_its_pointer(state: Any, expected: tuple[str, str]) -> None:
    document = {"format": "flowengine/1", "name": "x", "states": {"a": state}}
    assert refused(document) == [expected]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"format": "flowengine/2"}, ("unknown_format", "/format")),
        ({"name": 5}, ("invalid_document", "/name")),
        ({"name": "n" * 201}, ("too_long", "/name")),
        ({"state": {}}, ("unknown_field", "/state")),
        ({"goodbye": {"url": 1}}, ("invalid_document", "/goodbye/url")),
        ({"start": ["a"]}, ("invalid_document", "/start")),
        ({"voice": ""}, ("invalid_document", "/voice")),
        ({"voice": "f3@x"}, ("invalid_document", "/voice")),
        ({"voice": "f3\n"}, ("invalid_document", "/voice")),
        ({"voice": "v" * 65}, ("invalid_document", "/voice")),
        ({"states": {"A b": {"type": "announcement", "prompt": {"say": ""}}}}, ("invalid_document", "/states/A b")),
        ({"states": {"": {"type": "announcement", "prompt": {"say": ""}}}}, ("invalid_document", "/states/")),
        ({"layout": {"a" * 65: [1, 2]}}, ("invalid_document", f"/layout/{'a' * 65}")),
        ({"states": []}, ("invalid_document", "/states")),
        ({"layout": {"a": [1]}}, ("missing_field", "/layout/a/1")),
        ({"layout": {"a": [1, "2"]}}, ("invalid_document", "/layout/a/1")),
        ({"layout": {"a": [1, float("nan")]}}, ("out_of_range", "/layout/a/1")),
        ({"layout": {"a": "12"}}, ("invalid_document", "/layout/a")),
    ],
)  # fmt: skip
def test_a_wrong_flow_is_named_with_its_pointer(change: dict[str, Any], expected: tuple[str, str]) -> None:
    assert refused(minimal(type="announcement", prompt={"say": "Hi"}) | change) == [expected]


def test_a_state_may_be_called_like_a_field() -> None:
    document = minimal()
    document["states"] = {
        "prompt": {"type": "ivr", "prompt": {"say": 5}},
        "queue": {"type": "ivr", "prompt": {"say": 5}},
        "ivr": {"type": "user_transfer", "user": "u", "queue": {"max_waiting": 0, "music": {"audio": 5}}},
    }
    assert refused(document) == [
        ("invalid_document", "/states/prompt/prompt/say"),
        ("invalid_document", "/states/queue/prompt/say"),
        ("out_of_range", "/states/ivr/queue/max_waiting"),
        ("invalid_document", "/states/ivr/queue/music/audio"),
    ]


@pytest.mark.parametrize("audio", ["/etc/passwd", "../a.wav", "a/../b.wav", "a//b", "a\\b", "c:x", "./a"])
def test_an_audio_stays_below_the_folder_of_its_flow(audio: str) -> None:
    document = minimal(type="announcement", prompt={"audio": audio})
    assert refused(document) == [("invalid_document", "/states/a/prompt/audio")]


@pytest.mark.parametrize(
    "url",
    ["http://example.com/a", "file:///a", "https://", "https:///a", "https://u:p@example.com/a", "https://a b/c",
     "https://[::1/a", "https://example.com:99999/a", "HTTPS", "javascript:x"],
)  # fmt: skip
def test_an_address_is_https_without_a_password(url: str) -> None:
    document = minimal(type="announcement", prompt={"url": url})
    assert refused(document) == [("invalid_document", "/states/a/prompt/url")]


def test_everything_wrong_is_told_at_once_with_state_and_exit() -> None:
    document = {
        "format": "flowengine/1",
        "states": {
            "a": {"type": "ivr", "prompt": {"say": ""}, "exits": {"1": 5}, "x": 1},
            "b": {"type": "fax"},
        },
        "layouts": {},
    }
    with pytest.raises(Invalid) as caught:
        parse(document)
    problems = caught.value.problems
    assert {(p.code, p.state, p.exit) for p in problems} == {
        ("missing_field", None, None),
        ("invalid_document", "a", "1"),
        ("unknown_field", "a", None),
        ("unknown_state_type", "b", None),
        ("unknown_field", None, None),
    }
    assert all(problem.severity == "error" for problem in problems)


def test_the_message_of_invalid_is_short_whatever_is_wrong() -> None:
    shown = str(Invalid([Problem("loop", None, None, f"/{at}", "wrong", "error") for at in range(9)]))
    assert shown.startswith("/0: wrong; /1: wrong")
    assert shown.endswith("; and 4 more")


def test_code_may_say_connections_and_a_document_may_not() -> None:
    assert Announcement(prompt=HELLO, connections={"next": "b"}).connections == {"next": "b"}
    assert isinstance(parse(minimal(type="announcement", prompt={"say": ""}, exits={"next": "a"})), Flow)
