"""`flowengine top` and `agent` beside a running engine, and beside none."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from flowengine.call.events import SECOND
from flowengine.cli import live
from flowengine.cli.picture import shown, told
from flowengine.live.client import FILE
from flowengine.live.views import AgentView, CallView, LineView, Place, Snapshot, Totals
from tests.cli.terminal import ROOT, Ran, run, start

START_S = 60.0
BY_HAND = [["pause", "cal_1"], ["resume", "cal_1"], ["hang-up", "cal_1"]]


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("FLOWENGINE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("FLOWENGINE_DATA_DIR", str(tmp_path / "var"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data folder of a demo that runs: three agents, and a caller who leaves a message."""
    folder = tmp_path_factory.mktemp("demo") / "var"
    env = {name: value for name, value in os.environ.items() if not name.startswith("FLOWENGINE_")}
    with subprocess.Popen(
        [sys.executable, "-m", "flowengine.cli", "serve", "--demo"],
        cwd=ROOT,
        env={**env, "FLOWENGINE_DATA_DIR": str(folder), "FLOWENGINE_HTTP_PORT": "0"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as engine:
        try:
            deadline = time.monotonic() + START_S
            while not (folder / FILE).exists():
                assert engine.poll() is None, "the engine has ended"
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield folder
        finally:
            engine.send_signal(signal.SIGTERM)
            try:
                assert engine.wait(60) == 0
            finally:
                engine.kill()
    assert not (folder / FILE).exists()


@pytest.fixture
def demo(data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FLOWENGINE_DATA_DIR", str(data))
    return data


def _until(words: list[str], found: str) -> Ran:
    """Run it until its output has this; what the demo does takes its time."""
    deadline = time.monotonic() + 60
    while True:
        ran = run(*words)
        assert (ran.code, ran.err) == (0, "")
        if re.search(found, ran.out):
            return ran
        assert time.monotonic() < deadline, ran.out
        time.sleep(0.2)


def test_top_shows_calls_and_agents_once(demo: Path) -> None:
    dial = [sys.executable, "-m", "flowengine.cli", "dial", "+815055550100", "--hang-up", "20"]
    with subprocess.Popen(dial, cwd=ROOT, stdout=subprocess.DEVNULL) as caller:
        try:
            ran = _until(["top", "--once"], r"Main line .* menu \(ivr\)")
        finally:
            caller.terminate()
    assert re.search(r"^[12] calls? running, [12] taken.* in 0:\d\d", ran.out)
    assert "+81********78" in ran.out
    assert "+819012345678" not in ran.out
    for agent in ("hanako", "taro", "ken"):
        assert re.search(rf"^{agent} +\w+ +\d:\d\d", ran.out, re.M)
    assert "\x1b" not in ran.out


def test_top_prints_json_for_machines(demo: Path) -> None:
    ran = run("top", "--json")
    assert (ran.code, ran.err) == (0, "")
    assert list(ran.json) == ["at", "seq", "started_at", "calls", "agents", "lines", "totals", "alarms"]
    assert [agent["user"] for agent in ran.json["agents"]] == ["hanako", "ken", "taro"]
    assert ran.json["started_at"] <= ran.json["at"]


def test_an_agent_is_paused_signed_out_and_in_by_hand(demo: Path) -> None:
    _until(["top", "--once"], r"(?m)^taro +available")
    ran = run("agent", "taro", "pause")
    assert (ran.code, ran.out, ran.err) == (0, "taro is paused (by hand)\n", "")
    assert re.search(r"^taro +paused +0:0\d +by hand", run("top", "--once").out, re.M)
    assert run("agent", "taro", "leave", "--account", "demo").out == "taro is offline (signed out)\n"
    ran = run("agent", "taro", "work", "--json")
    assert (ran.code, ran.json["state"], ran.json["user"]) == (0, "available", "taro")
    by_id = run("agent", "taro", "work", "--account", ran.json["account"])
    assert (by_id.code, by_id.out) == (0, "taro is available\n")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["hanaka", "work"], "there is no user hanaka, perhaps hanako"),
        (["xyz", "work"], "there is no user xyz"),
        (["hanaka", "work", "--account", "demo"], "there is no user hanaka, perhaps hanako"),
        (["hanako", "work", "--account", "dem"], 'there is no account "dem"'),
    ],
)
def test_an_unknown_agent_or_account_is_named(demo: Path, words: list[str], complaint: str) -> None:
    ran = run("agent", *words)
    assert (ran.code, ran.out, ran.err) == (1, "", f"flowengine: {complaint}\n")


def test_a_call_is_paused_resumed_and_ended_by_hand(demo: Path) -> None:
    dial = [sys.executable, "-m", "flowengine.cli", "dial", "+815055550100", "--hang-up", "40"]
    with subprocess.Popen(dial, cwd=ROOT, stdout=subprocess.DEVNULL) as caller:
        try:
            _until(["top", "--once"], r"Main line .* menu \(ivr\)")
            id = run("top", "--json").json["calls"][-1]["call"]
            ran = run("pause", id[-6:])
            assert (ran.code, ran.err) == (0, "")
            assert ran.out == f"{id}: what is said now is left out of the recording\n"
            [shown_call] = [each for each in run("top", "--json").json["calls"] if each["call"] == id]
            assert shown_call["paused"] is True
            assert run("resume", id, "--json").json == {"call": id, "told": "resume"}
            assert run("hang-up", id).out == f"{id}: hanging up\n"
            deadline = time.monotonic() + 20
            while id in [each["call"] for each in run("top", "--json").json["calls"]]:
                assert time.monotonic() < deadline
            for word in (id, "nonesuch", id[-3:]):
                gone = run("hang-up", word)
                assert (gone.code, gone.out) == (1, "")
                assert f"no call {word} is running" in gone.err
        finally:
            caller.terminate()


def test_an_ending_that_several_calls_have_is_not_enough() -> None:
    running = ["cal_1abcd", "cal_2abcd", "cal_3wxyz"]
    assert live._call_of(running, "wxyz") == "cal_3wxyz"
    assert live._call_of(running, "cal_1abcd") == "cal_1abcd"
    with pytest.raises(live._NotFound, match="2 calls end in abcd: write more of the id"):
        live._call_of(running, "abcd")
    with pytest.raises(live._NotFound, match="no call xyz is running"):
        live._call_of(running, "xyz")


def test_a_wish_that_is_none(demo: Path) -> None:
    ran = run("agent", "hanako", "sleep")
    assert ran.code == 2
    for wish in ("work", "pause", "leave"):
        assert f"'{wish}'" in ran.err


def test_on_a_terminal_it_is_shown_again_and_again_until_ctrl_c(demo: Path) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "flowengine.cli", "top"],
        cwd=ROOT,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "40"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        try:
            seen = _read(ours, lambda text: text.count("hanako") >= 2)
            process.send_signal(signal.SIGINT)
            rest = _read(ours, lambda text: "\x1b[?1049l" in text)
            assert process.wait(10) == 0
        finally:
            process.kill()
            os.close(ours)
    assert seen.startswith("\x1b[?1049h")
    assert "Traceback" not in seen + rest


def _read(terminal: int, is_enough: object) -> str:
    assert callable(is_enough)
    text, deadline = "", time.monotonic() + 60
    while not is_enough(text):
        assert time.monotonic() < deadline, text
        if select.select([terminal], [], [], 0.5)[0]:
            text += os.read(terminal, 65_536).decode()
    return text


@pytest.mark.parametrize("words", [["top"], ["top", "--json"], ["agent", "hanako", "work"], *BY_HAND])
def test_without_an_engine_it_says_how_to_start_one(words: list[str], tmp_path: Path) -> None:
    ran = start(*words)
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.startswith(f"flowengine: no engine runs with the data folder {tmp_path / 'var'}: ")
    assert "flowengine serve" in ran.err


@pytest.mark.parametrize("words", [["top"], ["agent", "hanako", "work"], *BY_HAND])
def test_wrong_settings_are_told(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWENGINE_HTTP_PORT", "99999")
    ran = run(*words)
    assert (ran.code, ran.out) == (2, "")
    assert "FLOWENGINE_HTTP_PORT" in ran.err


# What it looks like

NOW = 10_000 * SECOND


def call(number: int, **more: object) -> CallView:
    facts = {"state": "sales", "kind": "group_transfer", "since": NOW - 7 * SECOND, **more}
    account = str(facts.pop("account", "acc_1"))
    began = NOW - (100 - number) * SECOND
    return CallView(f"cal_{number}", account, "flw_1", "Main", "+81****00", "+81****23", began, **facts)  # type: ignore[arg-type]


def drawn(snapshot: Snapshot, most: int | None = None) -> list[str]:
    console = Console(width=160)
    with console.capture() as capture:
        console.print(shown(snapshot, most))
    return [line.rstrip() for line in capture.get().splitlines()]


def snapshot(
    *calls: CallView, agents: tuple[AgentView, ...] = (), lines: tuple[LineView, ...] = ()
) -> Snapshot:
    totals = Totals(
        taken=9, over={"missed": 2, "self_served": 1}, refused={"unknown_number": 3, "shutting_down": 1}
    )
    return Snapshot(NOW, 5, NOW - 3_725 * SECOND, calls, agents, lines, totals)


def test_calls_tell_whom_they_talk_to_or_wait_for() -> None:
    place = Place("group", "sales", NOW - 65 * SECOND, 3, 130.0)
    lines = drawn(
        snapshot(
            call(1, talking_to="hanako"), call(2, place=place), call(3, place=Place("user", "ken", NOW, 1)),
            call(4, state="", kind=""),
        )
    )  # fmt: skip
    assert lines[0] == "4 calls running, 9 taken, 2 missed, 1 self served, 4 refused in 1:02:05"
    assert lines[2].split() == ["call", "flow", "from", "to", "state", "for", "with", "id"]
    assert re.fullmatch(r"1:39  Main +\S+ +\S+ +sales \(group transfer\) +0:07 +hanako +cal_1", lines[3])
    assert re.search(r"number 3 waiting for sales, about 2:10 to go +cal_2$", lines[4])
    assert re.search(r"number 1 waiting for ken +cal_3$", lines[5])
    assert "arriving" in lines[6]


def test_calls_tell_who_is_rung_for_them() -> None:
    agents = (
        AgentView("acc_1", "hanako", "ringing", NOW, call="cal_1"),
        AgentView("acc_1", "ken", "ringing", NOW, call="cal_1"),
        AgentView("acc_1", "taro", "talking", NOW, call="cal_2"),
    )
    lines = drawn(snapshot(call(1), call(2, talking_to="taro"), call(3), agents=agents))
    assert re.search(r"ringing hanako, ken +cal_1$", lines[3])
    assert re.search(r"0:07  taro +cal_2$", lines[4])
    assert re.search(r"0:07 +cal_3$", lines[5])


def test_a_paused_recording_and_the_end_of_the_calls_id_are_shown() -> None:
    lines = drawn(snapshot(call(123_456_789, talking_to="taro", paused=True)))
    assert re.search(r"taro, recording paused +456789$", lines[3])


def test_alarms_stand_above_everything() -> None:
    alarms = {"recordings_library": "/srv: gone; mount it\x1b[2J", "x": "second"}
    lines = drawn(msgspec.structs.replace(snapshot(call(1)), alarms=alarms))
    assert lines[1:3] == ["ALARM /srv: gone; mount it?[2J", "ALARM second"]


def test_agents_tell_why_they_take_no_calls() -> None:
    def agent(user: str, **facts: object) -> AgentView:
        return AgentView("acc_1", user, since=NOW - 61 * SECOND, **{"reason": "", **facts})  # type: ignore[arg-type]

    agents = (
        agent("hanako", state="paused", wish="pause", reason="missed"),
        agent("ken", state="offline", reason="out_of_reach"),
        agent("taro", state="talking", wish="leave", call="cal_1"),
        agent("yuki", state="wrap_up", wish="pause"),
    )
    lines = drawn(snapshot(agents=agents))
    assert [line.split("  ") for line in lines if line.startswith("hanako")] != []
    shown_lines = [re.sub(r" {2,}", "|", line) for line in lines[-4:]]
    assert shown_lines == [
        "hanako|paused|1:01|did not answer",
        "ken|offline|1:01|no device in reach",
        "taro|talking|1:01|leaves afterwards|cal_1",
        "yuki|wrapping up|1:01|pauses afterwards",
    ]
    assert [told(agent) for agent in agents] == [
        "hanako is paused (did not answer)",
        "ken is offline (no device in reach)",
        "taro is talking (leaves afterwards)",
        "yuki is wrapping up (pauses afterwards)",
    ]


def test_lines_tell_how_they_were_left() -> None:
    line = LineView("acc_1", "group", "sales", 3, NOW - 90 * SECOND, {"answered": 12, "abandoned": 4})
    empty = LineView("acc_1", "user", "ken")
    lines = drawn(snapshot(lines=(line, empty)))
    assert re.split(r" {2,}", lines[-3]) == [
        "line", "waiting", "longest", "answered", "timeout", "abandoned", "full", "no agents",
    ]  # fmt: skip
    assert lines[-2].split() == ["sales", "3", "1:30", "12", "0", "4", "0", "0"]
    assert lines[-1].split() == ["ken", "0", "0", "0", "0", "0", "0"]


def test_the_account_is_shown_where_there_are_several() -> None:
    assert "account" not in "\n".join(drawn(snapshot(call(1))))
    lines = drawn(snapshot(call(1), call(2, account="acc_2")))
    assert lines[2].split()[:3] == ["call", "account", "flow"]
    assert [line.split()[1] for line in lines[3:5]] == ["acc_1", "acc_2"]


def test_more_calls_than_there_is_room_for_are_counted() -> None:
    lines = drawn(snapshot(*(call(number) for number in range(10))), most=4)
    assert sum("Main" in line for line in lines) == 4
    assert "and 6 more" in lines


def test_names_are_shown_and_never_obeyed() -> None:
    lines = drawn(snapshot(call(1, state="[red]x[/red]\x1b[2J\r\n", talking_to="[/]\x07")))
    assert "[red]x[/red]?[2J?? (group transfer)" in lines[3]
    assert re.search(r"\[/\]\? +cal_1$", lines[3])
