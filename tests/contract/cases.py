"""The contract: what callers and agents do, and what must come of it, whichever switch carries the call.

A case is data, so that every rig can play it: in virtual time, against the fake ARI, and with SIPp on a real Asterisk.
Scripts go by the clock alone and begin at the answer (with `Cancel`: at the INVITE). Every prompt is a tone of its
own, so that a rig can tell by ear what was played. Times leave half a second of slack for real telephones.
"""

from dataclasses import dataclass, field
from typing import Any, Final

TONES: Final = {
    "menu": 500,
    "second": 700,
    "notice": 900,
    "ask": 1100,
    "sorry": 1300,
    "bye": 1500,
    "music": 1700,
}
"""Frequency of each prompt, in Hz."""
TONE_S: Final = 0.8
SPEECH_HZ: Final = 400.0
"""The voice of a caller."""


@dataclass(frozen=True)
class Wait:
    """Do nothing for a while."""

    seconds: float


@dataclass(frozen=True)
class Press:
    """Press keys in one breath."""

    keys: str


@dataclass(frozen=True)
class Speak:
    """Make a sound of one's own: the tone of `SPEECH_HZ`."""

    seconds: float


@dataclass(frozen=True)
class HangUp:
    """End the answered call."""


@dataclass(frozen=True)
class Cancel:
    """Give up while it rings, so long after the INVITE."""

    after_s: float


Step = Wait | Press | Speak | HangUp | Cancel


@dataclass(frozen=True)
class Answers:
    """Takes the call, and hangs up `talks_s` later, or stays."""

    after_s: float = 0.3
    talks_s: float | None = None


@dataclass(frozen=True)
class Rejects:
    """Declines (603), or is busy on another call (486)."""

    status: int = 603


@dataclass(frozen=True)
class Rings:
    """Lets it ring."""


@dataclass(frozen=True)
class Absent:
    """Is not registered."""


Does = Answers | Rejects | Rings | Absent


@dataclass(frozen=True)
class Expect:
    """What must come of a case. None and empty fields are not looked at."""

    path: tuple[str, ...] = ()
    disposition: str | None = None
    status: int = 200
    """Final SIP status of the caller's INVITE."""
    hears: tuple[str, ...] = ()
    never_hears: tuple[str, ...] = ()
    rung: tuple[str, ...] | None = None
    """Which agents' telephones rang, in any order."""
    cancelled: tuple[str, ...] = ()
    """Agents whose ringing was taken back."""
    message_s: tuple[float, float] | None = None
    """Bounds of the length of the message kept; None: none may be kept."""
    talk_s: tuple[float, float] | None = None
    """Bounds of the length of the recorded talk; None: none may be kept."""
    ended_by: str | None = None
    """caller or switch."""


@dataclass(frozen=True)
class Case:
    """One call."""

    name: str
    flow: dict[str, Any]
    steps: tuple[Step, ...]
    expect: Expect
    agents: dict[str, Does] = field(default_factory=dict)
    published: bool = True
    known: bool = True
    room: bool = True
    """There is room in the storage plan."""
    pause: tuple[float, float] | None = None
    """Somebody pauses the recording for this part of the call, in seconds since its arrival."""


def prompt(name: str) -> dict[str, str]:
    """The prompt that is the tone of this name."""
    return {"audio": f"{name}.wav"}


def flow(start: str, **states: dict[str, Any]) -> dict[str, Any]:
    """A flow whose goodbye is the tone `bye`."""
    return {
        "format": "flowengine/1",
        "name": start,
        "goodbye": prompt("bye"),
        "start": start,
        "states": states,
    }


def ivr(name: str, **exits: str) -> dict[str, Any]:
    keys = {key.removeprefix("k"): target for key, target in exits.items()}
    return {"type": "ivr", "prompt": prompt(name), "timeout_s": 1, "attempts": 2, "exits": keys}


def say(name: str, next: str | None = None) -> dict[str, Any]:
    return {"type": "announcement", "prompt": prompt(name), "exits": {"next": next}}


def voicemail(**more: Any) -> dict[str, Any]:
    return {
        "type": "voicemail",
        "prompt": prompt("ask"),
        "max_duration_s": 4,
        "silence_s": 2,
        "exits": {},
    } | more


def group(ringing: str = "parallel", **more: Any) -> dict[str, Any]:
    exits = {"timeout": "sorry", "unavailable": "sorry", "busy": "sorry"}
    return {
        "type": "group_transfer",
        "group": "team",
        "ringing": ringing,
        "ring_timeout_s": 2,
        "exits": exits,
    } | more


def user(**more: Any) -> dict[str, Any]:
    exits = {"timeout": "sorry", "unavailable": "sorry", "busy": "sorry"}
    return {"type": "user_transfer", "user": "a", "ring_timeout_s": 2, "exits": exits} | more


MENU: Final = flow(
    "menu", menu=ivr("menu", k1="second", timeout="sorry"), second=say("second"), sorry=say("sorry")
)
TWO_MENUS: Final = flow(
    "menu", menu=ivr("menu", k1="second"), second=ivr("second", k2="notice"), notice=say("notice")
)
MAIL: Final = flow("mail", mail=voicemail(exits={"timeout": "sorry"}), sorry=say("sorry"))
TEAM: Final = flow("team", team=group(), sorry=say("sorry"))
LINE: Final = flow("team", team=group("sequential"), sorry=say("sorry"))
BOSS: Final = flow("boss", boss=user(), sorry=say("sorry"))
AFTER_MENU: Final = flow("menu", menu=ivr("menu", k1="boss"), boss=user(record=True), sorry=say("sorry"))

CASES: Final = (
    Case(
        "announcement_then_end",
        flow("notice", notice=say("notice")),
        (),
        Expect(("notice:next",), "self_served", hears=("notice",), never_hears=("bye",), ended_by="switch"),
    ),
    Case(
        "key_into_the_prompt_cuts_it",
        MENU,
        (Wait(0.4), Press("1")),
        Expect(("menu:1", "second:next"), "self_served", hears=("second",), ended_by="switch"),
    ),
    Case(
        "key_after_the_prompt",
        MENU,
        (Wait(1.3), Press("1")),
        Expect(("menu:1", "second:next"), hears=("menu", "second")),
    ),
    Case(
        "two_keys_in_one_breath",
        TWO_MENUS,
        (Wait(0.3), Press("12")),
        Expect(("menu:1", "second:2", "notice:next"), hears=("notice",)),
    ),
    Case(
        "silence_leaves_by_timeout",
        MENU,
        (),
        Expect(("menu:timeout", "sorry:next"), hears=("menu", "sorry"), ended_by="switch"),
    ),
    Case(
        "wrong_keys_end_by_timeout",
        MENU,
        (Wait(0.4), Press("7"), Wait(0.6), Press("8")),
        Expect(("menu:timeout", "sorry:next"), hears=("menu", "sorry")),
    ),
    Case(
        "open_exit_says_goodbye",
        flow("menu", menu=ivr("menu", k1="menu2"), menu2=ivr("second", k1="notice"), notice=say("notice")),
        (Wait(0.4), Press("1")),
        Expect(("menu:1", "menu2:timeout"), hears=("second", "bye"), ended_by="switch"),
    ),
    Case(
        "caller_hangs_up_in_the_prompt",
        MENU,
        (Wait(0.4), HangUp()),
        Expect(("menu:",), "self_served", ended_by="caller"),
    ),
    Case(
        "message_ended_by_hash",
        MAIL,
        (Wait(1.6), Speak(1.5), Press("#")),
        Expect(("mail:recorded",), "message", hears=("ask", "bye"), message_s=(1.0, 2.6), ended_by="switch"),
    ),
    Case(
        "message_ended_by_hanging_up",
        MAIL,
        (Wait(1.6), Speak(2), HangUp()),
        Expect(("mail:",), "message", message_s=(1.2, 3.0), ended_by="caller"),
    ),
    Case(
        "message_ended_by_silence",
        MAIL,
        (Wait(1.5), Speak(1.5)),
        Expect(("mail:recorded",), "message", hears=("ask", "bye"), message_s=(1.0, 4.0), ended_by="switch"),
    ),
    Case(
        "message_at_the_limit",
        MAIL,
        (Wait(1.4), Speak(6)),
        Expect(("mail:timeout", "sorry:next"), "message", hears=("sorry",), message_s=(3.3, 4.0)),
    ),
    Case(
        "no_message_is_not_kept",
        MAIL,
        (Wait(1.7), HangUp()),
        Expect(("mail:",), ended_by="caller"),
    ),
    Case(
        "user_answers_and_hangs_up",
        BOSS,
        (),
        Expect(("boss:answered",), "answered", rung=("a",), ended_by="switch"),
        {"a": Answers(talks_s=1.5)},
    ),
    Case(
        "user_answers_caller_hangs_up",
        AFTER_MENU,
        (Wait(0.4), Press("1"), Wait(2.5), HangUp()),
        Expect(("menu:1", "boss:"), "answered", rung=("a",), talk_s=(1.0, 2.8), ended_by="caller"),
        {"a": Answers()},
    ),
    Case(
        "user_does_not_answer",
        BOSS,
        (),
        Expect(("boss:timeout", "sorry:next"), "missed", hears=("sorry",), rung=("a",), cancelled=("a",)),
        {"a": Rings()},
    ),
    Case(
        "user_is_busy",
        BOSS,
        (),
        Expect(("boss:busy", "sorry:next"), "missed", hears=("sorry",)),
        {"a": Rejects(486)},
    ),
    Case(
        "user_declines",
        BOSS,
        (),
        Expect(("boss:unavailable", "sorry:next"), "missed", hears=("sorry",)),
        {"a": Rejects(603)},
    ),
    Case(
        "user_is_not_registered",
        BOSS,
        (),
        Expect(("boss:unavailable", "sorry:next"), "missed", hears=("sorry",), rung=()),
        {"a": Absent()},
    ),
    Case(
        "nobody_and_nowhere_to_go_is_480",
        flow("boss", boss=user(exits={})),
        (),
        Expect(("boss:unavailable",), "missed", status=480),
        {"a": Absent()},
    ),
    Case(
        "busy_and_nowhere_to_go_is_486",
        flow("boss", boss=user(exits={})),
        (),
        Expect(("boss:busy",), "missed", status=486),
        {"a": Rejects(486)},
    ),
    Case(
        "caller_cancels_while_ringing",
        BOSS,
        (Cancel(1.0),),
        Expect(("boss:",), "abandoned", status=487, rung=("a",), cancelled=("a",)),
        {"a": Rings()},
    ),
    Case(
        "parallel_first_answer_wins",
        TEAM,
        (Wait(1.5), HangUp()),
        Expect(("team:",), "answered", rung=("a", "b", "c"), cancelled=("b", "c"), ended_by="caller"),
        {"a": Answers(0.4), "b": Rings(), "c": Rings()},
    ),
    Case(
        "parallel_two_answer_at_once",
        TEAM,
        (Wait(1.5), HangUp()),
        Expect(("team:",), "answered", rung=("a", "b"), ended_by="caller"),
        {"a": Answers(0.5), "b": Answers(0.5)},
    ),
    Case(
        "sequential_skips_and_goes_on",
        LINE,
        (),
        Expect(("team:answered",), "answered", rung=("b", "c", "d"), cancelled=("c",)),
        {"a": Absent(), "b": Rejects(603), "c": Rings(), "d": Answers(talks_s=1)},
    ),
    Case(
        "sequential_nobody_answers",
        LINE,
        (),
        Expect(
            ("team:timeout", "sorry:next"), "missed", hears=("sorry",), rung=("a", "b"), cancelled=("a", "b")
        ),
        {"a": Rings(), "b": Rings()},
    ),
    Case(
        "menu_group_voicemail",
        flow(
            "menu",
            menu=ivr("menu", k1="team"),
            team=group(exits={"timeout": "mail", "unavailable": "mail", "busy": "mail"}),
            mail=voicemail(),
        ),
        (Wait(0.4), Press("1"), Wait(4.4), Speak(1.5), HangUp()),
        Expect(("menu:1", "team:timeout", "mail:"), "message", hears=("ask",), message_s=(1.0, 3.0)),
        {"a": Rings()},
    ),
    Case(
        "hanging_up_in_an_announcement_rings_nobody",
        flow("notice", notice=say("notice", "boss"), boss=user()),
        (Wait(0.4), HangUp()),
        Expect(("notice:",), "self_served", rung=(), ended_by="caller"),
        {"a": Rings()},
    ),
    Case(
        "recording_notice_comes_before_ringing",
        flow("boss", boss=user(record=True, recording_notice=prompt("notice"))),
        (Wait(3.0), HangUp()),
        Expect(("boss:",), "answered", hears=("notice",), rung=("a",), talk_s=(0.5, 2.2)),
        {"a": Answers(0.4)},
    ),
    Case(
        "what_is_said_in_a_pause_is_not_recorded",
        flow("boss", boss=user(record=True)),
        (),
        Expect(("boss:answered",), "answered", rung=("a",), talk_s=(1.4, 2.5)),
        {"a": Answers(0.3, talks_s=3.0)},
        pause=(1.0, 2.0),
    ),
    Case(
        "a_talk_is_recorded_with_its_sides_apart",
        flow("boss", boss=user(record=True, recording_sides="apart")),
        (Wait(1.0), Speak(2.0), HangUp()),
        Expect(("boss:",), "answered", rung=("a",), talk_s=(1.5, 3.2), ended_by="caller"),
        {"a": Answers(0.3)},
    ),
    Case(
        "a_talk_without_room_goes_on_unrecorded",
        flow("boss", boss=user(record=True)),
        (Wait(2.5), HangUp()),
        Expect(("boss:",), "answered", rung=("a",), ended_by="caller"),
        {"a": Answers(0.3)},
        room=False,
    ),
    Case(
        "no_message_is_asked_for_without_room",
        MAIL,
        (),
        Expect(("mail:timeout", "sorry:next"), never_hears=("ask",), hears=("sorry",), ended_by="switch"),
        room=False,
    ),
    Case("number_nobody_bought", MENU, (), Expect(status=404), known=False),
    Case("number_without_a_published_flow", MENU, (), Expect(status=480), published=False),
)
