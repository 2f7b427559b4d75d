"""Bad bytes give a clear reason, quickly and in little memory, and never a traceback."""

import json
import tracemalloc

import pytest

from flowengine.flow.document import Invalid, Unreadable, load, parse
from flowengine.flow.reading import MAX_BYTES, MAX_DEPTH, MAX_PROBLEMS, read_json


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "line 1, column 1"),
        (b"   ", "not JSON"),
        (b"{", "not JSON"),
        (b'{"a": 1,\n "b": }', "line 2, column 7"),
        (b"{'a': 1}", "not JSON"),
        (b"# comment", "not JSON"),
        (b"{} {}", "not JSON"),
        (b"\xff\xfe{\x00}\x00", "byte 0 is 0xff"),
        ("{}".encode("utf-16-be"), "not JSON"),
        (b'{"name": "caf\xe9"}', "save it as UTF-8"),
        (b'{"name": "\xed\xa0\x80"}', "not UTF-8"),
        (b'{"a": 1, "b": 2, "a": 3}', 'the key "a" is there twice'),
        (b'{"states": {"x": {"p": 1, "p": 1}}}', 'the key "p" is there twice'),
        (b'{"\\ud800": 1, "\\ud800": 2}', "twice"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "-Infinity"),
        (b'{"a": ' + b"1" * 5000 + b"}", "thousands of digits"),
        (b'{"a": "tab\there"}', "not JSON"),
    ],
)
def test_what_is_not_json_is_unreadable_and_the_reason_names_the_place(data: bytes, reason: str) -> None:
    with pytest.raises(Unreadable) as caught:
        load(data)
    assert reason in str(caught.value)
    str(caught.value).encode()  # can be printed


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    ],
    ids=["open lists", "open objects", "lists", "objects"],
)
@pytest.mark.timeout(5)
def test_a_hundred_thousand_levels_are_too_deep(data: bytes) -> None:
    with pytest.raises(Unreadable, match="nested more than 32 levels deep"):
        load(data)


def test_nesting_is_counted_exactly() -> None:
    assert read_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH) is not None
    with pytest.raises(Unreadable, match="nested"):
        read_json(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1))
    with pytest.raises(Unreadable, match="nested"):
        read_json(b'{"a":[' * 17 + b"]}" * 17)


@pytest.mark.parametrize("filler", [b" ", b"[", b"\xff", b'{"a":1,'])
@pytest.mark.timeout(5)
def test_ten_megabytes_are_refused_before_they_are_read(filler: bytes) -> None:
    data = filler * (10_000_000 // len(filler))
    tracemalloc.start()
    try:
        with pytest.raises(Unreadable, match=r"10,000,000 bytes|9,999,9\d\d bytes"):
            load(data)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_the_largest_document_may_be_as_large_as_said() -> None:
    assert read_json(b" " * (MAX_BYTES - 1) + b"1") == 1
    with pytest.raises(Unreadable, match="at most 2,000,000"):
        read_json(b" " * MAX_BYTES + b"1")


@pytest.mark.parametrize("data", [b"null", b"5", b'"flow"', b"[]", b"true"])
def test_json_that_is_no_object_is_invalid(data: bytes) -> None:
    with pytest.raises(Invalid) as caught:
        load(data)
    assert [(p.code, p.pointer) for p in caught.value.problems] == [("invalid_document", "")]
    assert "should be an object" in str(caught.value)


def test_numbers_too_large_for_a_float_are_told_and_not_raised() -> None:
    state = '{"type": "voicemail", "prompt": {"say": ""}, "max_duration_s": %s}'
    text = '{"format": "flowengine/1", "name": "x", "states": {"a": ' + state + "}}"
    for number in ("1e999", "1" * 400, "-1e999", "1" + "0" * 4000):
        with pytest.raises(Invalid) as caught:
            load((text % number).encode())
        assert [p.pointer for p in caught.value.problems] == ["/states/a/max_duration_s"]


@pytest.mark.parametrize("data", [b'{"name": "\\ud800"}', b'{"\\udfff": 1}', b'["\\uD83D \\uDE00"]'])
def test_half_a_surrogate_pair_is_unreadable(data: bytes) -> None:
    with pytest.raises(Unreadable, match="half of a surrogate pair"):
        load(data)


def test_escapes_which_make_text_are_read() -> None:
    assert read_json(b'["\\ud83d\\ude00", "\\u3042", "\\\\ud800"]') == ["\U0001f600", "あ", "\\ud800"]


def test_half_a_surrogate_pair_given_in_code_can_be_told() -> None:
    state = {"type": "\ud803", "\ud804": 1}
    document = {"format": "\ud800", "name": "\udfff", "states": {"a": state}, "layout": {"a": ["\ud805", 1]}}
    with pytest.raises(Invalid) as caught:
        parse(document)
    for problem in caught.value.problems:
        json.dumps(problem.as_json(), ensure_ascii=False).encode()
    assert {p.pointer for p in caught.value.problems} == {"/format", "/name", "/states/a/type", "/layout/a/0"}


def test_a_byte_order_mark_is_no_problem() -> None:
    assert read_json(b"\xef\xbb\xbf{}") == {}


@pytest.mark.timeout(20)
def test_of_very_many_problems_the_first_are_told_and_the_others_counted() -> None:
    data = json.dumps({f"k{at}": 1 for at in range(100_000)}).encode()
    with pytest.raises(Invalid) as caught:
        load(data)
    *told, last = caught.value.problems
    assert len(told) == MAX_PROBLEMS
    assert last.code == "too_many_problems"
    assert "99,003 more" in last.message  # 100,000 unknown fields and three missing ones, without the 1,000
