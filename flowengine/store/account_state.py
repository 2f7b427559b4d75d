"""An account as one value, and the difference of two: what `apply` does, and what `--dry-run` shows. Pure.

A file and the database both become an `AccountState`, so that comparing them is comparing two values, and writing
a state down is exporting it.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from flowengine.flow.diff import diff
from flowengine.flow.document import Flow

NumberType = Literal["local", "mobile", "toll_free"]


@dataclass(frozen=True)
class Settings:
    """What an account says of itself."""

    name: str
    country: str
    language: str
    time_zone: str
    currency: str
    wrap_up_s: int = 0
    pause_after_misses: int = 0


@dataclass(frozen=True)
class NumberState:
    """A number, and the key of the flow it is attached to."""

    country: str
    type: NumberType
    flow: str | None = None


@dataclass(frozen=True)
class UserState:
    """A user and the endpoints of their devices, in order."""

    display_name: str
    devices: tuple[str, ...] = ()


@dataclass(frozen=True)
class GroupState:
    """A group and the names of its members, in order."""

    description: str = ""
    members: tuple[str, ...] = ()


@dataclass(frozen=True)
class AudioState:
    """A sound which the account uploaded: its bytes by their sha256, and how many.

    `duration_ms` and `id` are not wanted, they are found out: by who reads the sound, and by the database.
    """

    sha256: str
    size_bytes: int
    duration_ms: int = field(default=0, compare=False)
    id: str = field(default="", compare=False)


@dataclass(frozen=True)
class FlowState:
    """A flow: its draft, whether it takes calls, and the published document.

    In a wanted state `published` of None means: leave what is published as it is.
    """

    draft: Flow
    enabled: bool = True
    published: Flow | None = None


@dataclass(frozen=True)
class AccountState:
    """A whole account. Numbers are keyed by E.164, users, groups and audios by name, flows by key."""

    key: str
    settings: Settings
    numbers: Mapping[str, NumberState] = field(default_factory=dict)
    users: Mapping[str, UserState] = field(default_factory=dict)
    groups: Mapping[str, GroupState] = field(default_factory=dict)
    flows: Mapping[str, FlowState] = field(default_factory=dict)
    audios: Mapping[str, AudioState] = field(default_factory=dict)


Item = Settings | NumberState | UserState | GroupState | FlowState | AudioState
Kind = Literal["account", "number", "user", "group", "flow", "audio"]


@dataclass(frozen=True)
class Change:
    """One step from the stored account to the wanted one.

    Attributes:
        wanted: what the thing shall be; None when it goes.
        lines: what becomes different, for people.
    """

    action: Literal["create", "update", "delete", "publish"]
    kind: Kind
    key: str
    wanted: Item | None
    lines: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Show the change as `--dry-run` does: a line for the thing, and one for each difference."""
        sign = {"create": "+", "update": "~", "delete": "-", "publish": "^"}[self.action]
        return "\n".join(
            [f"{sign} {self.action} {self.kind} {self.key}", *(f"    {line}" for line in self.lines)]
        )


def changes(stored: AccountState | None, wanted: AccountState, *, prune: bool = False) -> list[Change]:
    """Give the steps from `stored` to `wanted`, in the order in which they can be taken; none when they agree.

    What is stored and not wanted stays, unless `prune` says that it goes.
    """
    steps = list(_settings(stored, wanted))
    before = stored or AccountState(wanted.key, wanted.settings)
    sections: list[tuple[Kind, Mapping[str, Item], Mapping[str, Item]]] = [
        ("user", before.users, wanted.users),
        ("group", before.groups, wanted.groups),
        ("audio", before.audios, wanted.audios),
        ("flow", before.flows, wanted.flows),
        ("number", before.numbers, wanted.numbers),
    ]
    for kind, have, want in sections:
        steps += _section(kind, have, want)
    for kind, have, want in reversed(sections) if prune else ():
        steps += [Change("delete", kind, key, None) for key in have if key not in want]
    return steps


def _settings(stored: AccountState | None, wanted: AccountState) -> Iterator[Change]:
    if stored is None:
        yield Change("create", "account", wanted.key, wanted.settings, _facts(wanted.settings))
    elif stored.settings != wanted.settings:
        lines = _differences(stored.settings, wanted.settings)
        yield Change("update", "account", wanted.key, wanted.settings, lines)


def _section(kind: Kind, have: Mapping[str, Item], want: Mapping[str, Item]) -> Iterator[Change]:
    for key, wanted in want.items():
        stored = have.get(key)
        if stored is None:
            yield Change("create", kind, key, wanted, _facts(wanted))
        elif lines := _differences(stored, wanted):
            yield Change("update", kind, key, wanted, lines)
        if isinstance(wanted, FlowState) and wanted.published is not None:
            yield from _publishing(key, stored, wanted, wanted.published)


def _publishing(key: str, stored: Item | None, wanted: FlowState, published: Flow) -> Iterator[Change]:
    before = stored.published if isinstance(stored, FlowState) else None
    have = before.sha256() if before is not None else None
    version = published.sha256()
    if version != have:
        line = f"version: {have[:12] if have else 'none'} -> {version[:12]}"
        yield Change("publish", "flow", key, wanted, (line,))


def _facts(item: Item) -> tuple[str, ...]:
    """Say what a new thing is."""
    fields = _fields(item)
    if isinstance(item, FlowState):
        fields = {"name": item.draft.name, **fields}
    return tuple(f"{name}: {_shown(value)}" for name, value in fields.items() if value not in (None, "", ()))


def _differences(stored: Item, wanted: Item) -> tuple[str, ...]:
    """Say what becomes different; nothing when they agree."""
    have, want = _fields(stored), _fields(wanted)
    lines = [
        f"{name}: {_shown(have.get(name))} -> {_shown(value)}"
        for name, value in want.items()
        if value != have.get(name)
    ]
    if isinstance(stored, FlowState) and isinstance(wanted, FlowState):
        lines += _draft_differences(stored.draft, wanted.draft)
    return tuple(lines)


def _draft_differences(stored: Flow, wanted: Flow) -> list[str]:
    if stored.pretty() == wanted.pretty():
        return []
    return [f"draft: {change.message}" for change in diff(stored, wanted).changes] or [
        "draft: written otherwise"
    ]


def _fields(item: Item) -> dict[str, object]:
    """Give what is compared field by field; documents are compared apart."""
    match item:
        case FlowState():
            return {"enabled": item.enabled}
        case AudioState():
            return {"sha256": item.sha256[:12], "size_bytes": item.size_bytes}
        case _:
            return dict(vars(item))


def _shown(value: object) -> str:
    match value:
        case None:
            return "none"
        case tuple():
            return ", ".join(map(str, value)) or "none"
        case bool():
            return "yes" if value else "no"
        case str():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return str(value)
