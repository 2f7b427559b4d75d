"""What stands in a scenario file: who can be rung, who calls and does what, and what should come of it.

The models are strict and closed. What a person writes short (`hanako: busy`, `- hang_up`) is widened before it is
checked, and every complaint says what to write instead. `docs/simulator.md` describes the format.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
)
from pydantic_core import PydanticCustomError

from flowengine.call.record import Disposition
from simulator.phones import Answered, HangUp, Hear, Mute, Press, Speak, Step, Wait, seconds

OUR_NUMBER: Final = "+815055550100"
A_CALLER: Final = "+819055550123"
KEYS: Final = frozenset("0123456789*#ABCD")
LONGEST_S: Final = 86_400.0

Number = Annotated[str, StringConstraints(pattern=r"^\+[1-9][0-9]{1,14}$")]
Seconds = Annotated[float, Field(ge=0, le=LONGEST_S)]
Endpoint = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]+/[A-Za-z0-9_.@:-]+$")]


class _Model(BaseModel):
    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", allow_inf_nan=False, validate_by_name=True
    )


# Agents

_BEHAVIOURS: Final[dict[str, dict[str, Any]]] = {
    "answers": {"answers_after_s": 3.0},
    "drops": {"answers_after_s": 3.0, "talks_s": 0.0},
    "rejects": {"rejects_after_s": 2.0},
    "silent": {"is": "silent"},
    "busy": {"is": "busy"},
    "offline": {"is": "offline"},
    "vanished": {"is": "vanished"},
    "dead": {"is": "dead"},
}


def _widen_behaviour(value: object) -> object:
    if isinstance(value, str):
        if value not in _BEHAVIOURS:
            raise PydanticCustomError(
                "behaviour",
                "{got} is nothing a telephone does: write one of {words},"
                " or for example {answers_after_s: 4, talks_s: 30}",
                {"got": repr(value), "words": ", ".join(_BEHAVIOURS)},
            )
        return _BEHAVIOURS[value]
    return value


class Ringing(_Model):
    """What a telephone does when it is rung: answers or rejects after a while, or what its one word says."""

    is_: Annotated[
        Literal["silent", "busy", "offline", "vanished", "dead"] | None, Field(validation_alias="is")
    ] = None
    answers_after_s: Seconds | None = None
    talks_s: Seconds | None = None
    """Then hangs up; absent: stays until the caller hangs up."""
    rejects_after_s: Seconds | None = None


def _one_way(ringing: Ringing) -> Ringing:
    ways = (ringing.is_, ringing.answers_after_s, ringing.rejects_after_s)
    if sum(way is not None for way in ways) != 1:
        raise PydanticCustomError(
            "behaviour", "write exactly one of answers_after_s and rejects_after_s, or one word such as busy"
        )
    if ringing.talks_s is not None and ringing.answers_after_s is None:
        raise PydanticCustomError("behaviour", "talks_s goes only with answers_after_s: add that")
    return ringing


OneRinging = Annotated[Ringing, BeforeValidator(_widen_behaviour), AfterValidator(_one_way)]


def _widen_ringings(value: object) -> object:
    return value if isinstance(value, list) else [value]


Ringings = Annotated[list[OneRinging], Field(min_length=1), BeforeValidator(_widen_ringings)]
"""One for each time it is rung, in order; the last is for all further times."""


def _widen_user(value: object) -> object:
    if isinstance(value, str | list):
        return {"phone": value}
    if isinstance(value, dict) and set(value) & set(Ringing.model_fields):
        return {"phone": value}
    return value


class UserSpec(_Model):
    """A user with telephones: `phone` is one at PJSIP/<user>, `phones` names the endpoints."""

    phone: Ringings | None = None
    phones: dict[Endpoint, Ringings] = {}
    online_at_s: Seconds = 0.0
    offline_at_s: Seconds | None = None


def _some_phone(user: UserSpec) -> UserSpec:
    if (user.phone is None) == (not user.phones):
        raise PydanticCustomError("phones", "write either phone or phones, with what happens when it rings")
    return user


# Callers


def _seconds_of(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LONGEST_S:
        raise PydanticCustomError(
            "step", "write a number of seconds from 0 to {most}", {"most": int(LONGEST_S)}
        )
    return seconds(value)


def _keys_of(value: object) -> str:
    if not isinstance(value, str) or not value or not set(value) <= KEYS:
        raise PydanticCustomError("step", 'write the keys in quotes, such as "1" or "42#": 0-9, *, #, A-D')
    return value


def _text_of(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise PydanticCustomError("step", "write some words of the prompt")
    return value


_STEPS: Final[dict[str, Any]] = {
    "wait_s": lambda value: Wait(_seconds_of(value)),
    "silence_s": lambda value: Wait(_seconds_of(value)),
    "speak_s": lambda value: Speak(_seconds_of(value)),
    "press": lambda value: Press(_keys_of(value)),
    "when_hearing": lambda value: Hear(_text_of(value)),
    "after_hearing": lambda value: Hear(_text_of(value), to_end=True),
}
_WORDS: Final[dict[str, Step]] = {
    "hang_up": HangUp(),
    "cancel": HangUp(),
    "answered": Answered(),
    "mute": Mute(),
}


def _step(value: object) -> Step:
    if isinstance(value, str) and value in _WORDS:
        return _WORDS[value]
    if isinstance(value, dict) and len(value) == 1:
        [(name, given)] = value.items()
        if name in _STEPS:
            step: Step = _STEPS[name](given)
            return step
    raise PydanticCustomError(
        "step",
        'this is no step of a script: write one of {words}, or one of {steps} with its value, as in press: "1"',
        {"words": ", ".join(_WORDS), "steps": ", ".join(_STEPS)},
    )


class RecordingSpec(_Model):
    """A recording that should be kept."""

    purpose: Literal["voicemail", "talk"] | None = None
    state: str | None = None
    user: str | None = None
    min_s: Seconds | None = None
    max_s: Seconds | None = None


class Expectation(_Model):
    """What should come of a call; what is absent is not looked at."""

    path: list[str] | None = None
    """`state:outcome` of every state passed; a state alone is one the call ended in."""
    exits: dict[str, str] = {}
    """Outcome by state, of those that matter."""
    disposition: Disposition | None = None
    end_reason: str | None = None
    hears: list[str] = []
    """Words of what is heard, in this order, with anything in between."""
    never_hears: list[str] = []
    rung: list[str] | None = None
    """Users, in the order in which they were rung."""
    answered_by: list[str] | None = None
    recordings: int | list[RecordingSpec] | None = None
    min_duration_s: Seconds | None = None
    max_duration_s: Seconds | None = None
    """From the answer to the end."""
    hang_up_cause: int | None = None
    """Q.850 cause the caller's telephone is told at the end."""
    refused: Literal["unknown_number", "no_published_flow"] | None = None


class CallSpec(_Model):
    """One call: when, from whom, to which number, what the caller does and what should come of it."""

    name: str = ""
    at_s: Seconds = 0.0
    to: Number = OUR_NUMBER
    from_: Annotated[str, Field(alias="from")] = A_CALLER
    caller_name: str = ""
    script: list[Annotated[Any, PlainValidator(_step)]] = []
    expect: Expectation = Expectation()


class SoundSpec(_Model):
    """What the simulator should know about sounds, by their words or their whole key."""

    lengths_s: dict[str, Seconds] = {}
    missing: list[str] = []


class Scenario(_Model):
    """A whole scenario file."""

    name: str = ""
    description: str = ""
    flow: str | None = None
    """The flow document this is about, from this file's folder; the command line's comes first."""
    seed: int = 0
    switch_delay_s: Annotated[float, Field(ge=0, le=1)] = 0.001
    users: dict[str, Annotated[UserSpec, BeforeValidator(_widen_user), AfterValidator(_some_phone)]] = {}
    """In the order in which they log in."""
    groups: dict[str, list[str]] = {}
    numbers: list[Number] | None = None
    """Numbers of the flow; absent: every number called, but for the unattached."""
    unattached_numbers: list[Number] = []
    """Numbers of ours without a published flow."""
    sounds: SoundSpec = SoundSpec()
    calls: Annotated[list[CallSpec], Field(min_length=1)]
