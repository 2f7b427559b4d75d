"""YAML as it is read and written here: JSON values, and texts that stay texts."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from flowengine.flow.reading import Unreadable
from flowengine.store.yaml_text import MAX_BYTES, read_yaml, write_yaml

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t\x85"), max_size=40)
TRICKY = st.sampled_from(
    [
        "NO",
        "yes",
        "null",
        "~",
        "",
        "08",
        "0505",
        "+815055550100",
        "1e5",
        "09:30",
        "*",
        "&a",
        "<<",
        "- x",
        "a: b",
        "#",
    ]
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS | TRICKY,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS | TRICKY, inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(VALUES)
@example("a\x85b\nc")
@example("a\u2028b\nc")
@example("\ta\n\tb")
@example(" \n a")
def test_what_is_written_is_read_back(value: Any) -> None:
    assert read_yaml(write_yaml({"it": value}).encode()).value == {"it": value}


@given(st.dictionaries(TRICKY | st.text("abc", min_size=1), TRICKY | TEXTS, min_size=1, max_size=5))
def test_other_readers_find_the_same_texts(value: dict[str, str]) -> None:
    assert yaml.safe_load(write_yaml({"it": list(value.values())})) == {"it": list(value.values())}


@given(VALUES)
def test_json_is_read_as_it_is(value: Any) -> None:
    assert read_yaml(json.dumps({"it": value}).encode()).value == {"it": value}


def test_texts_stay_texts_and_keys_are_texts() -> None:
    text = (
        b"country: NO\nat: 09:30\nnumber: +815055550100\npin: 0505\nno: yes\n1: sales\n'*': 2.5\nnothing:\n"
    )
    assert read_yaml(text).value == {
        "country": "NO",
        "at": "09:30",
        "number": "+815055550100",
        "pin": "0505",
        "no": "yes",
        "1": "sales",
        "*": 2.5,
        "nothing": None,
    }


def test_each_part_knows_its_line() -> None:
    assert read_yaml(b"a:\n  - x\n  - b/c: 1\n").lines == {
        "": 1,
        "/a": 2,
        "/a/0": 2,
        "/a/1": 3,
        "/a/1/b~1c": 3,
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"a: &x 1\nb: *x", "line 1, column 4: anchors and aliases"),
        (b"b: *x", "anchors and aliases"),
        (b"*: message", 'write the key of the menu as "\\*"'),
        (b"a: 1\nb: 1\na: 2", 'line 3, column 1: the key "a" is there twice'),
        (b'{"a": 1, "a": 2}', 'the key "a" is there twice'),
        (b"a: !!python/object:os.system x", "the tag python/object:os.system is not read here"),
        (b"a: !!timestamp 2026-01-01", "the tag timestamp is not read here"),
        (b"a: !!int x", "the tag int is not read here"),
        (b"a:\n\t- b", "line 2, column 1: .*indent with spaces"),
        (b"a: b: c", "quote a text that holds a colon"),
        (b"a: b\n---\nc: d", "line 2"),
        (b"[" * 5_000, "nested more than 32 levels"),
        (b"? [a]\n: b", "a key must be a word"),
        (b"a: " + b"9" * 6_000, "50 digits or more"),
        (b"a: \x00", "a character that YAML does not allow"),
        (b"a: \xff", "not UTF-8"),
        (b" " * (MAX_BYTES + 1), "at most 1,000,000 are read"),
    ],
)
def test_what_is_refused_says_where_and_how_to_mend_it(text: bytes, says: str) -> None:
    with pytest.raises(Unreadable, match=says):
        read_yaml(text)
