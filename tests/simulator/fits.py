"""Whether what the fake ARI sends has the fields it says it has, no more and no fewer."""

import re
from typing import Any

from simulator.fake_ari.shapes import EVENT_FIELDS, EVENTS, MODELS

_LIST = re.compile(r"List\[(\w+)\]")
_KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "Date": (str,),
    "int": (int,),
    "long": (int,),
    "boolean": (bool,),
    "object": (dict,),
}


def event(told: dict[str, Any]) -> None:
    """Raise AssertionError for the first field of an event that is wrong."""
    shape = EVENTS.get(told["type"])
    assert shape is not None, f"no shape for {told['type']}"
    _object(told["type"], told, {**EVENT_FIELDS, **shape.fields})


def answer(kind: str, value: Any) -> None:
    """Raise AssertionError for the first field of an answer that is wrong; `kind` as in the table."""
    _value(kind, kind, value)


def _object(where: str, value: dict[str, Any], fields: Any) -> None:
    required = {name for name in fields if not name.endswith("?")}
    known = {name.removesuffix("?") for name in fields}
    assert required <= value.keys(), f"{where}: {required - value.keys()} missing"
    assert value.keys() <= known, f"{where}: {value.keys() - known} unknown"
    for name, kind in fields.items():
        if name.removesuffix("?") in value:
            _value(f"{where}.{name}", kind, value[name.removesuffix("?")])


def _value(where: str, kind: str, value: Any) -> None:
    listed = _LIST.fullmatch(kind)
    if listed:
        assert isinstance(value, list), where
        for each in value:
            _value(where, listed[1], each)
    elif kind in MODELS:
        assert isinstance(value, dict), where
        _object(where, value, MODELS[kind].fields)
    else:
        assert isinstance(value, _KINDS[kind]), f"{where}: {value!r} is no {kind}"
