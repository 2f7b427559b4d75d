"""What a flow is: one frozen model a kind of state, and the exits each kind declares.

These models are the single statement of the document's shape. The validator, the call machine, the designer
(through the JSON Schema) and the docs all read `exits()`, `outcomes()` and the limits from here (product
rules, section 3). A draft may break the rules of `flowengine.flow.graph`; it may not break the shape.

Reading is strict: "5" is not a number and 1 is not a bool. Times are in seconds, as the names say.
"""

import hashlib
import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, Discriminator, Field, Strict, StringConstraints, ValidationError
from pydantic.fields import FieldInfo

from flowengine.flow.fields import Identifier, Label, Language, Model, StateId, Text
from flowengine.flow.prompts import Audio, Manner, Prompt, Say, Url, Voice
from flowengine.flow.reading import Invalid, Unreadable, problems_of, read_json

__all__ = [
    "KEYS",
    "Announcement",
    "Audio",
    "Flow",
    "GroupTransfer",
    "Invalid",
    "Ivr",
    "Manner",
    "Prompt",
    "Say",
    "State",
    "Unreadable",
    "Url",
    "UserTransfer",
    "Voicemail",
    "WaitingLine",
    "load",
    "parse",
]

KEYS = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "*")
"""The keys of a menu: 0-9 and `*` (product rules, section 3). `#` is not one of them."""


Connections = Annotated[
    dict[Annotated[str, StringConstraints(max_length=64)], Identifier | None],
    Field(
        validation_alias="exits",
        serialization_alias="exits",
        description="For each exit the id of the state it leads to; null or absent ends the call politely.",
    ),
]
RingTime = Annotated[float, Field(ge=1, le=300, description="How long a phone rings, in seconds.")]


class _State(Model):
    """What every kind of state declares about itself."""

    EXITS: ClassVar[tuple[str, ...]]
    ENDINGS: ClassVar[tuple[str, ...]] = ()

    def exits(self) -> tuple[str, ...]:
        """Name the exits which can be connected, in the order the designer shows them."""
        return self.EXITS

    def outcomes(self) -> tuple[str, ...]:
        """Name all the ways out: the exits, and the quiet endings which cannot be connected."""
        return self.EXITS + self.ENDINGS

    def prompts(self) -> "tuple[tuple[str, Say | Audio | Url], ...]":
        """Give every prompt the state can play, with the dotted name of its field."""
        prompt = getattr(self, "prompt", None)
        return () if prompt is None else (("prompt", prompt),)

    def sounds(self, manner: Manner) -> tuple[str, ...]:
        """Give the sound key of everything the state can play; `manner` is the flow's."""
        return tuple(dict.fromkeys(prompt.sound(manner) for _, prompt in self.prompts()))


class Ivr(_State):
    """A menu: plays its prompt and takes one key. `timeout_s` counts from the end of the prompt.

    A key without a connection counts as wrong: the menu is played again, `attempts` times in all, and then
    left by `invalid`, or by `timeout` when `invalid` is open.
    """

    EXITS = (*KEYS, "timeout", "invalid")

    type: Literal["ivr"] = "ivr"
    label: Label = ""
    prompt: Prompt
    timeout_s: Annotated[float, Field(ge=1, le=60, description="Silence after the prompt, in seconds.")] = 5.0
    attempts: Annotated[int, Field(ge=1, le=10, description="How often the prompt is played at most.")] = 3
    key_labels: dict[str, Label] = Field(default_factory=dict, description="What a key is for, by key.")
    connections: Connections = Field(default_factory=dict)


class Announcement(_State):
    """Plays its prompt and goes on. It may be the one that tells callers that they are recorded from here on."""

    EXITS = ("next",)

    type: Literal["announcement"] = "announcement"
    label: Label = ""
    prompt: Prompt
    tells_of_recording: Annotated[
        bool, Field(description="The prompt tells the caller that the call is recorded.")
    ] = False
    connections: Connections = Field(default_factory=dict)


class Voicemail(_State):
    """Plays its prompt and records a message of `max_duration_s` at most (two minutes, says the graph)."""

    EXITS = ("timeout",)
    ENDINGS = ("recorded",)

    type: Literal["voicemail"] = "voicemail"
    label: Label = ""
    prompt: Prompt
    max_duration_s: Annotated[float, Field(ge=1, description="Longest message, in seconds; 120 at most.")] = (
        120.0
    )
    silence_s: Annotated[float, Field(ge=1, le=120, description="Silence that ends it, in seconds.")] = 5.0
    beep: bool = True
    connections: Connections = Field(default_factory=dict)


FARTHEST_SAID = 20
"""Places behind this one are not announced: nobody wants to hear them."""
WAITS_SAID_MIN = (1, 2, 3, 5, 10, 15, 20, 30)
"""Expected waits are rounded up to one of these minutes; longer ones are not announced."""


class WaitingLine(Model):
    """Where callers wait while everybody they could talk to is on another call."""

    max_waiting: Annotated[int, Field(ge=1, le=1_000, description="Callers who may wait at the same time.")]
    notice: Prompt | None = None
    music: Prompt | None = None
    music_cycles: Annotated[int, Field(ge=1, le=1_000, description="How often the music is played.")] = 1
    announce_position: Annotated[bool, Field(description="Say the place in the line before the music.")] = (
        False
    )
    announce_wait: Annotated[bool, Field(description="Say the expected wait before the music.")] = False

    def announcements(self, manner: Manner, position: int, wait_s: float | None) -> tuple[str, ...]:
        """Give the sound keys of what a caller at this place is told now; far places and long waits are not said."""
        said = []
        if self.announce_position and 1 <= position <= FARTHEST_SAID:
            said.append(manner.phrase("place", position))
        if self.announce_wait and wait_s is not None:
            minutes = next((each for each in WAITS_SAID_MIN if wait_s <= each * 60), None)
            said += [] if minutes is None else [manner.phrase("wait", minutes)]
        return tuple(said)

    def sounds(self, manner: Manner) -> tuple[str, ...]:
        """Give the sound key of everything a waiting caller can hear."""
        prompts = [prompt.sound(manner) for prompt in (self.notice, self.music) if prompt is not None]
        places = range(1, FARTHEST_SAID + 1) if self.announce_position else ()
        waits = WAITS_SAID_MIN if self.announce_wait else ()
        told = [manner.phrase("place", place) for place in places]
        return (*prompts, *told, *(manner.phrase("wait", minutes) for minutes in waits))


RecordingSides = Annotated[
    Literal["mixed", "apart"],
    Field(description="One channel for both parties, or two: the caller left, the agent right."),
]
RecordingNotice = Annotated[
    Prompt | None,
    Field(
        description="Tells the caller that the call is recorded, before anybody is rung; answers the call."
    ),
]


class _Transfer(_State):
    """What rings people, and may let callers wait for the busy."""

    EXITS = ("timeout", "unavailable", "busy")
    ENDINGS = ("answered",)

    if TYPE_CHECKING:  # fields of each kind, in the place where the kind's document has them
        queue: WaitingLine | None
        record: bool
        recording_notice: Prompt | None

    def prompts(self) -> "tuple[tuple[str, Say | Audio | Url], ...]":
        """Give the notice of the recording, and the notice and the music of the waiting line."""
        found = [("recording_notice", self.recording_notice)]
        if self.queue is not None:
            found += [("queue.notice", self.queue.notice), ("queue.music", self.queue.music)]
        return tuple((field, prompt) for field, prompt in found if prompt is not None)

    def sounds(self, manner: Manner) -> tuple[str, ...]:
        """Give the sound key of everything the caller can hear here."""
        notice = (self.recording_notice.sound(manner),) if self.recording_notice else ()
        return notice + (self.queue.sounds(manner) if self.queue else ())


class UserTransfer(_Transfer):
    """Rings one user; with a waiting line, a caller waits while that user is on another call."""

    type: Literal["user_transfer"] = "user_transfer"
    label: Label = ""
    user: Identifier
    ring_timeout_s: RingTime = 30.0
    record: bool = False
    recording_sides: RecordingSides = "mixed"
    recording_notice: RecordingNotice = None
    queue: WaitingLine | None = None
    connections: Connections = Field(default_factory=dict)


class GroupTransfer(_Transfer):
    """Rings a group: `parallel` all free members at once, `sequential` one after another in line order.

    The ring time is that of the whole wave when parallel, and of each member when sequential. With a waiting
    line, a caller waits while all members in reach are on other calls.
    """

    type: Literal["group_transfer"] = "group_transfer"
    label: Label = ""
    group: Identifier
    ringing: Literal["parallel", "sequential"] = "parallel"
    ring_timeout_s: RingTime = 30.0
    record: bool = False
    recording_sides: RecordingSides = "mixed"
    recording_notice: RecordingNotice = None
    queue: WaitingLine | None = None
    connections: Connections = Field(default_factory=dict)


State = Annotated[Ivr | Announcement | Voicemail | UserTransfer | GroupTransfer, Discriminator("type")]
Coordinate = Annotated[float, Strict(), Field(ge=-1e6, le=1e6)]


class Flow(Model):
    """A whole flow: its states, where it starts, and how the designer lays it out."""

    format: Literal["flowengine/1"]
    name: Label
    description: Text = ""
    language: Language = "en-US"
    voice: Annotated[Voice | None, Field(description="Who speaks the flow's texts in its language.")] = None
    goodbye: Annotated[Prompt | None, Field(description="Said before a call ends at an open exit.")] = None
    start: Identifier | None = None
    states: dict[StateId, State]
    layout: dict[StateId, Annotated[tuple[Coordinate, Coordinate], Strict(False)]] = Field(
        default_factory=dict
    )

    @property
    def manner(self) -> Manner:
        """How it speaks."""
        return Manner(self.language, self.voice or "")

    def sounds(self) -> tuple[str, ...]:
        """Give every sound key the flow can play, each once, in document order."""
        own = [self.goodbye.sound(self.manner)] if self.goodbye else []
        inner = [key for state in self.states.values() for key in state.sounds(self.manner)]
        return tuple(dict.fromkeys(own + inner))

    def canonical(self) -> bytes:
        """Give the bytes which mean this flow: sorted, compact, no layout, defaults or open exits.

        Two documents that behave alike have the same canonical bytes; an optional field added to the format
        later does not change the bytes of the flows that do not use it.
        """
        plain = _plain(
            self,
            keep=lambda model, name, field: (
                getattr(model, name) != field.get_default(call_default_factory=True)
            ),
        )
        assert isinstance(plain, dict)
        plain.pop("layout", None)
        for state in plain["states"].values():
            connected = {exit_: to for exit_, to in state.pop("exits", {}).items() if to is not None}
            if connected:
                state["exits"] = connected
        return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    def sha256(self) -> str:
        """Give the digest that names a published version: SHA-256 of `canonical()`, in hex."""
        return hashlib.sha256(self.canonical()).hexdigest()

    def pretty(self) -> str:
        """Give the document for people and diffs: fields in the order of the models, a place in one line."""
        plain = _plain(self, keep=lambda model, name, _: name in model.model_fields_set)
        text = json.dumps(plain, indent=2, ensure_ascii=False)
        return re.sub(r"\[\n +([-+.e0-9]+),\n +([-+.e0-9]+)\n +\]", r"[\1, \2]", text) + "\n"


def _plain(value: object, keep: Callable[[BaseModel, str, FieldInfo], bool]) -> Any:
    """Give a model as plain JSON, with the fields `keep` chooses; 5.0 is written 5."""
    match value:
        case BaseModel():
            return {
                (field.serialization_alias or name): _plain(getattr(value, name), keep)
                for name, field in type(value).model_fields.items()
                if name in ("type", "format") or field.is_required() or keep(value, name, field)
            }
        case dict():
            return {key: _plain(inner, keep) for key, inner in value.items()}
        case tuple():
            return [_plain(inner, keep) for inner in value]
        case float() if value.is_integer() and abs(value) < 2**53:
            return int(value)
        case _:
            return value


def parse(value: object) -> Flow:
    """Make a flow of a JSON value; raises `Invalid` with every problem of its shape at once."""
    try:
        return Flow.model_validate(value, by_alias=True, by_name=False)
    except ValidationError as error:
        raise Invalid(problems_of(error.errors(include_url=False))) from None


def load(data: bytes) -> Flow:
    """Read a flow document; raises `Unreadable` when it is not JSON, `Invalid` when it is not a flow."""
    return parse(read_json(data))
