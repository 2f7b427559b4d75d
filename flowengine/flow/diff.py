"""What changed between two versions of a flow, in the words of the designer.

Compares meaning, not text: states by id, settings by field, connections by exit. A change of places and
labels is told too, but does not touch calls, and `routing_changed` says so.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, assert_never

from flowengine.flow.document import Flow, State

Kind = Literal["flow_changed", "state_added", "state_removed", "state_changed", "rewired", "moved"]

UNHEARD: Final = frozenset({"name", "description", "label", "key_labels"})
"""Fields no caller can notice."""


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: what was before and is now, as JSON values (None: not there)."""

    kind: Kind
    state: str | None
    field: str | None
    before: Any
    after: Any
    message: str

    @property
    def touches_calls(self) -> bool:
        """Whether a call can run differently: another way, another time, another sound."""
        match self.kind:
            case "state_added" | "state_removed" | "rewired":
                return True
            case "flow_changed" | "state_changed":
                return (self.field or "").partition(".")[0] not in UNHEARD
            case "moved":
                return False
            case _:
                assert_never(self.kind)


@dataclass(frozen=True, slots=True)
class Difference:
    """All changes from one version to another, in the order of the document."""

    changes: tuple[Change, ...]

    @property
    def routing_changed(self) -> bool:
        """Whether any call can run differently; False when only places, names and labels changed."""
        return any(change.touches_calls for change in self.changes)


def diff(old: Flow, new: Flow) -> Difference:
    """Tell what changed from `old` to `new`."""
    return Difference((*_flow_changes(old, new), *_state_changes(old, new), *_moves(old, new)))


def _flow_changes(old: Flow, new: Flow) -> Iterator[Change]:
    for field in ("name", "description", "language", "voice", "goodbye", "start"):
        before, after = _json(getattr(old, field)), _json(getattr(new, field))
        if before != after:
            message = f"{field}: {_shown(before)} became {_shown(after)}"
            yield Change("flow_changed", None, field, before, after, message)


def _state_changes(old: Flow, new: Flow) -> Iterator[Change]:
    for name, state in old.states.items():
        if name not in new.states:
            yield Change("state_removed", name, None, _json(state), None, f'state "{name}" was removed')
    for name, state in new.states.items():
        if name not in old.states:
            yield Change("state_added", name, None, None, _json(state), f'state "{name}" was added')
        else:
            yield from _settings(name, old.states[name], state)
            yield from _wires(name, old.states[name], state)


def _settings(name: str, old: State, new: State) -> Iterator[Change]:
    was, now = _flat(_json(old)), _flat(_json(new))
    for field in dict.fromkeys((*was, *now)):
        before, after = was.get(field), now.get(field)
        if before != after:
            message = f'state "{name}": {field} {_shown(before)} became {_shown(after)}'
            yield Change("state_changed", name, field, before, after, message)


def _wires(name: str, old: State, new: State) -> Iterator[Change]:
    for exit_ in dict.fromkeys((*new.exits(), *old.connections, *new.connections)):
        before, after = old.connections.get(exit_), new.connections.get(exit_)
        if before != after:
            message = f'state "{name}", exit "{exit_}": {_led(before)} before, {_led(after)} now'
            yield Change("rewired", name, exit_, before, after, message)


def _moves(old: Flow, new: Flow) -> Iterator[Change]:
    for name in dict.fromkeys((*old.layout, *new.layout)):
        before, after = _json(old.layout.get(name)), _json(new.layout.get(name))
        if before != after and name in old.states and name in new.states:
            yield Change("moved", name, "layout", before, after, f'state "{name}" was moved')


def _flat(state: Mapping[str, Any]) -> dict[str, Any]:
    """Give the settings of a state by dotted field, each prompt as one, without the connections."""
    flat: dict[str, Any] = {}
    for field, value in state.items():
        if field in ("queue", "key_labels") and value:
            flat |= {f"{field}.{inner}": part for inner, part in value.items()}
        elif field not in ("exits", "queue", "key_labels"):
            flat[field] = value
    return flat


def _json(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", by_alias=True, exclude_none=True)
    return list(value) if isinstance(value, tuple) else value


def _led(target: str | None) -> str:
    return "open" if target is None else f'to "{target}"'


def _shown(value: Any) -> str:
    match value:
        case None:
            return "nothing"
        case {"say": text} | {"audio": text} | {"url": text}:
            return f'"{text}"'
        case str():
            return f'"{value}"'
        case _:
            return str(value)
