"""Random flows for hypothesis: publishable ones, ones wired at random, and broken documents.

Other tests reuse these: a flow of `valid_flows()` has no error, rings users u1..u3 and groups g1..g2 only,
and has no loop, so every call through it ends.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from flowengine.flow.document import (
    Announcement,
    Audio,
    Flow,
    GroupTransfer,
    Ivr,
    Prompt,
    Say,
    State,
    Url,
    UserTransfer,
    Voicemail,
    WaitingLine,
)
from flowengine.flow.graph import MAX_INCOMING

USERS = ("u1", "u2", "u3")
GROUPS = ("g1", "g2")
AUDIO = ("aud_1", "aud_2")

Make = Callable[[dict[str, str | None]], State]


@dataclass(frozen=True)
class Account:
    """A `Directory` which knows exactly what `valid_flows()` use."""

    users: frozenset[str] = frozenset(USERS)
    groups: dict[str, Sequence[str]] = field(default_factory=lambda: {"g1": ("u1", "u2"), "g2": ("u3",)})
    audio: frozenset[str] = frozenset(AUDIO)


WORDS = st.sampled_from(
    ["Welcome.", "For sales, press 1.", "Please hold the line.", "Goodbye.", "A: b, ~c/d"]
)


def prompts() -> st.SearchStrategy[Say | Audio | Url]:
    """Prompts which can be played: with a text, a known audio or an address."""
    return st.one_of(
        st.builds(Say, say=WORDS, language=st.sampled_from([None, "en-US"])),
        st.builds(Audio, audio=st.sampled_from(AUDIO)),
        st.builds(Url, url=st.just("https://example.com/welcome.wav")),
    )


def waiting_lines() -> st.SearchStrategy[WaitingLine]:
    """Waiting lines, with and without notice and music."""
    return st.builds(
        WaitingLine,
        max_waiting=st.integers(1, 5),
        notice=st.none() | prompts(),
        music=st.none() | prompts(),
        music_cycles=st.integers(1, 3),
    )


def _recordings() -> st.SearchStrategy[dict[str, Any]]:
    """Settings of a transfer: whether and how talks are recorded, and what the caller is told of it."""
    return st.fixed_dictionaries(
        {
            "record": st.booleans(),
            "recording_sides": st.sampled_from(["mixed", "apart"]),
            "recording_notice": st.none() | prompts(),
        }
    )


@st.composite
def _kinds(draw: st.DrawFn) -> tuple[tuple[str, ...], Make]:
    """Choose the settings of a state of any kind; gives its exits and how to make it once they are wired."""
    kind = draw(st.sampled_from(["ivr", "announcement", "voicemail", "user_transfer", "group_transfer"]))
    ring_s = draw(st.sampled_from([1.0, 5.0, 20.0, 30.0]))
    settings: dict[str, Any]
    model: type[Ivr | Announcement | Voicemail | UserTransfer | GroupTransfer]
    match kind:
        case "ivr":
            model = Ivr
            settings = {
                "prompt": draw(prompts()),
                "timeout_s": draw(st.sampled_from([1.0, 2.5, 5.0, 60.0])),
                "attempts": draw(st.integers(1, 3)),
            }
        case "announcement":
            model = Announcement
            settings = {"prompt": draw(prompts()), "tells_of_recording": draw(st.booleans())}
        case "voicemail":
            model = Voicemail
            settings = {
                "prompt": draw(prompts()),
                "max_duration_s": draw(st.sampled_from([1.0, 30.0, 120.0])),
                "silence_s": draw(st.sampled_from([1.0, 5.0])),
                "beep": draw(st.booleans()),
            }
        case "user_transfer":
            model = UserTransfer
            settings = {
                "user": draw(st.sampled_from(USERS)),
                "ring_timeout_s": ring_s,
                **draw(_recordings()),
                "queue": draw(st.none() | waiting_lines()),
            }
        case _:
            model = GroupTransfer
            settings = {
                "group": draw(st.sampled_from(GROUPS)),
                "ringing": draw(st.sampled_from(["parallel", "sequential"])),
                "ring_timeout_s": ring_s,
                "queue": draw(st.none() | waiting_lines()),
                **draw(_recordings()),
            }
    return model.EXITS, lambda connections: model(**settings, connections=connections)


@st.composite
def valid_flows(draw: st.DrawFn, max_states: int = 8) -> Flow:
    """Flows which can be published: every state is reached, nothing loops, every rule is kept.

    Each state after the first hangs from an earlier one with a free exit (the one before it always has one);
    then more exits are connected, forwards only.
    """
    chosen = draw(st.lists(_kinds(), min_size=1, max_size=max_states))
    names = [f"s{at}" for at in range(len(chosen))]
    free = {name: list(exits) for name, (exits, _) in zip(names, chosen, strict=True)}
    wires: dict[str, dict[str, str | None]] = {name: {} for name in names}
    incoming = dict.fromkeys(names, 0)

    def wire(source: str, target: str) -> None:
        exit_ = draw(st.sampled_from(free[source]))
        free[source].remove(exit_)
        wires[source][exit_] = target
        incoming[target] += 1

    for at in range(1, len(names)):
        wire(draw(st.sampled_from([name for name in names[:at] if free[name]])), names[at])
    for _ in range(draw(st.integers(0, 3 * len(names)))):
        sources = [name for name in names[:-1] if free[name]]
        if not sources:
            break
        source = draw(st.sampled_from(sources))
        later = [name for name in names[names.index(source) + 1 :] if incoming[name] < MAX_INCOMING]
        if later:
            wire(source, draw(st.sampled_from(later)))
    return Flow(
        format="flowengine/1",
        name="Random",
        voice=draw(st.sampled_from([None, "f3"])),
        goodbye=draw(st.none() | prompts()),
        start="s0",
        states={name: make(wires[name]) for name, (_, make) in zip(names, chosen, strict=True)},
        layout=draw(st.dictionaries(st.sampled_from(names), st.tuples(_PLACES, _PLACES), max_size=3)),
    )


_PLACES = st.integers(-1000, 1000).map(float)
_TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)


@st.composite
def any_flows(draw: st.DrawFn, max_states: int = 8) -> Flow:
    """Flows of the right shape, wired at random: loops, open ends, unknown targets, users and exits."""
    names = draw(
        st.lists(st.from_regex(r"[a-z0-9_-]{1,5}", fullmatch=True), unique=True, max_size=max_states)
    )
    targets = st.sampled_from([*names, None, "nowhere"])
    states: dict[str, State] = {}
    for name in names:
        exits, make = draw(_kinds())
        wires = draw(st.dictionaries(st.sampled_from([*exits, "#", "next", "a/b~"]), targets, max_size=12))
        state = make(wires)
        if draw(st.booleans()):
            strange: dict[str, Any] = {"label": draw(_TEXTS)}
            if isinstance(state, UserTransfer):
                strange["user"] = draw(_TEXTS)
            elif isinstance(state, GroupTransfer):
                strange["group"] = draw(_TEXTS)
            else:
                strange["prompt"] = draw(_any_prompts())
            state = state.model_copy(update=strange)
        states[name] = state
    return Flow(
        format="flowengine/1",
        name=draw(_TEXTS),
        language=draw(st.sampled_from(["en-US", "ja-JP", "fil"])),
        goodbye=draw(st.none() | _any_prompts()),
        start=draw(targets),
        states=states,
    )


def _any_prompts() -> st.SearchStrategy[Prompt]:
    return st.builds(Say, say=_TEXTS) | st.builds(Audio, audio=st.sampled_from(["", "aud_1", "audio/a.wav"]))


def json_values() -> st.SearchStrategy[Any]:
    """Any JSON value, small, with numbers and words that a flow document uses."""
    words = ["type", "states", "exits", "prompt", "say", "ivr", "voicemail", "flowengine/1", "start", "queue"]
    leaves = (
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(words)
    )
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.text(max_size=5) | st.sampled_from(words), inner, max_size=5)
        ),
        max_leaves=20,
    )


@st.composite
def mangled_documents(draw: st.DrawFn) -> Any:
    """The JSON of a valid flow in which something, somewhere, was replaced, added or taken away."""
    document: Any = draw(valid_flows(max_states=4)).model_dump(mode="json", by_alias=True)
    for _ in range(draw(st.integers(1, 3))):
        at = document
        while True:
            keys: list[Any] = sorted(at) if isinstance(at, dict) else list(range(len(at)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(at[key], dict | list) and at[key] and draw(st.booleans()):
                at = at[key]
                continue
            if draw(st.booleans()):
                at[key] = draw(json_values())
            elif isinstance(at, dict):
                at[draw(st.text(max_size=6))] = at.pop(key)
            else:
                del at[key]
            break
    return document
