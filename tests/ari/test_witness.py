"""The witness: lines of ended legs, found again however the files lie, however torn, whatever the clocks say."""

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowengine.ari.client import AriClient, AriRefused, AriSettings
from flowengine.ari.errors import AriError
from flowengine.ari.messages import AnyEvent
from flowengine.ari.witness import (
    LOOK_BACK_S,
    PREFIX,
    Ended,
    Witness,
    instant_of,
    line_of,
    segment_of,
    segments,
    stamp_of,
)
from tests.ari.scripted import ScriptedAri

SECOND = 1_000_000
NOON = int(datetime(2026, 11, 21, 12, 0, 3, tzinfo=UTC).timestamp()) * SECOND
"""Three seconds into a file."""
SETTINGS = AriSettings(app="flowengine", username="u", password="p")


class StillClock:
    """Always the same moment."""

    def __init__(self, now: int = NOON) -> None:
        self.at = now

    def now(self) -> int:
        return self.at


def ping(at: int) -> dict[str, object]:
    time = datetime.fromtimestamp(at / SECOND, UTC).isoformat(timespec="milliseconds")
    return {"ping": "pong", "timestamp": time.replace("+00:00", "+0000")}


def node(lines: Mapping[int, str], *, ahead_us: int = 0) -> ScriptedAri:
    """An Asterisk that wrote these lines, by the engine's time; its own clock may be ahead."""

    def ignore(_event: AnyEvent) -> None: ...

    async def caught_up(_client: AriClient) -> None: ...

    ari = ScriptedAri(SETTINGS, ignore, caught_up)
    ari.answers["GET asterisk/ping"] = ping(NOON + ahead_us)
    for at, rest in lines.items():
        path = f"recordings/stored/{segment_of(at + ahead_us)}/file"
        line = f"{stamp_of(at + ahead_us)} {rest}\n".encode()
        ari.files[path] = ari.files.get(path, b"") + line
    return ari


async def test_an_end_is_found_with_its_time_cause_and_whether_it_was_answered() -> None:
    at = NOON - 2 * SECOND - 789
    ari = node({at: "sw-1.7 17 Ring", at + 1: "sw-1.8 0 Up", at + 2: "cal_1-leg2 127 Up"})
    found = await Witness(ari, StillClock()).ended(["sw-1.7", "sw-1.8", "cal_1-leg2"], NOON - 60 * SECOND)
    assert found == {
        "sw-1.7": Ended(at, 17, was_up=False),
        "sw-1.8": Ended(at + 1, 16, was_up=True),
        "cal_1-leg2": Ended(at + 2, 127, was_up=True),
    }


async def test_a_leg_without_a_line_is_missing_in_the_answer() -> None:
    ari = node({NOON - SECOND: "sw-1.70 16 Up"})
    assert await Witness(ari, StillClock()).ended(["sw-1.7"], NOON - SECOND) == {}


async def test_nothing_is_asked_for_nobody() -> None:
    ari = node({})
    assert await Witness(ari, StillClock()).ended([], 0) == {}
    assert ari.sent == []


async def test_ends_are_found_over_many_files() -> None:
    ends = {NOON - minutes * 60 * SECOND: f"sw-1.{minutes} 16 Up" for minutes in (0, 9, 11, 25, 300)}
    found = await Witness(node(ends), StillClock()).ended(
        [line.split()[0] for line in ends.values()], NOON - 301 * 60 * SECOND
    )
    assert {end.at for end in found.values()} == set(ends)


async def test_the_search_stops_at_the_last_one_found() -> None:
    ari = node({NOON: "sw-1.1 16 Up"})
    asked: list[str] = []
    download = ari.download

    def listening(path: str) -> object:
        asked.append(path)
        return download(path)

    ari.download = listening  # type: ignore[assignment, method-assign]
    await Witness(ari, StillClock()).ended(["sw-1.1"], NOON - 5 * 3600 * SECOND)
    assert len(asked) == 1


async def test_the_nodes_clock_is_set_against_ours() -> None:
    at = NOON - 90 * SECOND
    for ahead_us in (9 * 3600 * SECOND, -3600 * SECOND, 400_000):
        ari = node({at: "sw-1.1 16 Up"}, ahead_us=ahead_us)
        found = await Witness(ari, StillClock()).ended(["sw-1.1"], NOON - 100 * SECOND)
        assert abs(found["sw-1.1"].at - at) <= 1_000, ahead_us


async def test_a_small_difference_is_the_questions_own_time() -> None:
    at = NOON - SECOND
    ari = node({at: "sw-1.1 16 Up"})
    ari.answers["GET asterisk/ping"] = ping(NOON + 40_000)
    found = await Witness(ari, StillClock()).ended(["sw-1.1"], NOON - 2 * SECOND)
    assert found["sw-1.1"].at == at


async def test_no_end_is_told_before_the_leg_was_last_known_nor_in_the_future() -> None:
    ari = node({NOON - 5 * SECOND: "early 16 Up", NOON + 2 * SECOND: "late 16 Up"})
    found = await Witness(ari, StillClock()).ended(["early", "late"], NOON - 4 * SECOND)
    assert found["early"].at == NOON - 4 * SECOND
    assert found["late"].at == NOON


async def test_torn_and_foreign_lines_cost_no_other() -> None:
    at = NOON - SECOND
    whole = f"{stamp_of(at)} sw-1.1 16 Up\n".encode()
    for before in (
        b"",
        b"\n\n",
        b"20261121T11",
        b"\x00\xff" * 9,
        whole[:-5],
        b"x" * 70_000,
        b"a b c d e f g h i\n",
    ):
        ari = node({})
        ari.files[f"recordings/stored/{segment_of(at)}/file"] = before + whole
        found = await Witness(ari, StillClock()).ended(["sw-1.1"], NOON - 2 * SECOND)
        assert found == {"sw-1.1": Ended(at, 16, was_up=True)}, before


async def test_a_line_that_is_being_written_is_not_read_in_part() -> None:
    ari = node({})
    ari.files[f"recordings/stored/{segment_of(NOON)}/file"] = f"{stamp_of(NOON)} sw-1.1 1".encode()
    assert await Witness(ari, StillClock()).ended(["sw-1.1"], NOON - SECOND) == {}


async def test_a_refusal_other_than_missing_is_told() -> None:
    ari = node({})
    ari.answers["GET asterisk/ping"] = AriRefused(500, "as scripted")
    with pytest.raises(AriRefused):
        await Witness(ari, StillClock()).ended(["sw-1.1"], NOON)


async def test_an_asterisk_that_tells_no_time_is_taken_to_have_ours() -> None:
    ari = node({NOON - SECOND: "sw-1.1 16 Up"})
    ari.answers["GET asterisk/ping"] = {"ping": "pong"}
    assert (await Witness(ari, StillClock()).ended(["sw-1.1"], NOON - 2 * SECOND))[
        "sw-1.1"
    ].at == NOON - SECOND


async def test_the_last_sign_of_life_is_the_latest_line_before_the_start_whatever_its_place() -> None:
    first, last, start = NOON - 700 * SECOND, NOON - 600 * SECOND, NOON - 590 * SECOND
    lines = {last: "sw-1.1 16 Up", first: "sw-1.2 16 Up", start + 1: "sw-2.1 16 Up", NOON: "sw-2.2 16 Up"}
    for ahead_us in (0, 3600 * SECOND):
        witness = Witness(node(lines, ahead_us=ahead_us), StillClock())
        assert await witness.last_sign(NOON - 3600 * SECOND, start + ahead_us) == last
        assert await witness.last_sign(last, start + ahead_us) is None
    assert await Witness(node({}), StillClock()).last_sign(NOON - 3600 * SECOND, start) is None


async def test_every_leg_that_is_gone_has_an_end_by_the_best_proof() -> None:
    start = NOON - 60 * SECOND
    lines = {
        NOON - 100 * SECOND: "one 19 Up",
        NOON - 80 * SECOND: "other 16 Up",
        NOON - 10 * SECOND: "new 16 Up",
    }
    gone = {"one": NOON - 200 * SECOND, "lost": NOON - 150 * SECOND, "young": NOON - 50 * SECOND}
    assert (
        await Witness(node(lines, ahead_us=3600 * SECOND), StillClock()).ends(gone, start + 3600 * SECOND)
    )["young"].proof == "none"
    witness = Witness(node(lines), StillClock())
    assert await witness.ends(gone, start) == {
        "one": Ended(NOON - 100 * SECOND, 19, was_up=True),
        "lost": Ended(NOON - 80 * SECOND, 16, was_up=False, proof="lost"),
        "young": Ended(NOON - 50 * SECOND, 16, was_up=False, proof="none"),
    }
    # The same Asterisk goes on: nothing but its own line shows that a leg was there any longer.
    assert (await witness.ends(gone))["lost"] == Ended(gone["lost"], 16, was_up=False, proof="none")
    assert await witness.ends({}) == {}


async def test_no_leg_ends_before_it_was_last_known() -> None:
    witness = Witness(node({NOON - 100 * SECOND: "one 19 Up"}), StillClock())
    gone = {"one": NOON - 90 * SECOND, "other": NOON - 300 * SECOND}
    assert (await witness.ends(gone))["one"].at == NOON - 90 * SECOND


async def test_only_what_is_old_is_pruned_and_only_the_witness() -> None:
    old, young = segment_of(NOON - (LOOK_BACK_S + 601) * SECOND), segment_of(NOON - 5 * 86_400 * SECOND)
    names = [old, young, "cal_1-rec1", f"{PREFIX}20261121T1", f"{PREFIX}../x", "zz"]
    ari = node({})
    ari.answers["GET recordings/stored"] = [{"name": name, "format": "ulaw"} for name in names]
    assert await Witness(ari, StillClock()).prune() == 1
    assert [asked for asked in ari.sent if asked.startswith("DELETE")] == [f"DELETE recordings/stored/{old}"]


async def test_what_another_has_pruned_is_pruned() -> None:
    ari = node({})
    ari.answers["GET recordings/stored"] = [{"name": segment_of(0)}, {"name": segment_of(600 * SECOND)}]
    ari.answers["DELETE recordings"] = 404
    assert await Witness(ari, StillClock()).prune() == 2


@given(st.integers(0, 4_000_000_000 * SECOND), st.integers(0, 86_400 * SECOND))
def test_every_moment_of_a_span_has_its_file(since: int, length: int) -> None:
    names = list(segments(since + LOOK_BACK_S * SECOND, since + LOOK_BACK_S * SECOND + length))
    assert names == sorted(set(names), reverse=True)
    for at in (since, since + length // 3, since + length):
        assert segment_of(at + LOOK_BACK_S * SECOND) in names


def test_a_long_absence_is_searched_for_a_week() -> None:
    assert len(list(segments(0, NOON))) <= LOOK_BACK_S // 600 + 2


@given(st.binary(max_size=200))
def test_any_bytes_are_a_line_or_none(text: bytes) -> None:
    line = line_of(text)
    assert line is None or 1 <= line.cause <= 127


@given(st.integers(0, 4_000_000_000 * SECOND), st.integers(0, 999), st.binary(max_size=40))
def test_a_line_is_read_as_it_was_written_whatever_was_torn_before_it(
    at: int, cause: int, torn: bytes
) -> None:
    line = line_of(torn.replace(b"\n", b"") + f"{stamp_of(at)} sw-1.1 {cause} Up".encode())
    assert line is not None
    assert (line.channel, line.was_up) == ("sw-1.1", True)
    assert line.cause == (cause if 1 <= cause <= 127 else 16)


def test_a_time_that_is_none_is_named() -> None:
    with pytest.raises(AriError, match="'noon'"):
        instant_of("noon")
