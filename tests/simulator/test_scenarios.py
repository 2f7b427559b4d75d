"""Scenario files: the examples pass, the documented ones too, failures say what was expected and what came."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from flowengine.flow.document import Flow, Invalid, Unreadable
from simulator.junit import junit_xml
from simulator.play import BadFlow, ScenarioResult, play, read_flow, run_files
from simulator.scenario_file import BadScenario, load_scenario, parse_scenario

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "schemas/examples/scenarios").glob("*.yaml"))
FLOWS = sorted((ROOT / "schemas/examples").glob("*.json"))
DOCS = ROOT / "docs/simulator.md"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example(path: Path) -> None:
    [result] = run_files(None, [path])
    assert result.ok, "\n".join(map(str, result.failures)) + "\n" + result.timeline()


def test_every_example_flow_has_a_scenario() -> None:
    named = {load_scenario(path).flow for path in EXAMPLES}
    assert named == {f"../{path.name}" for path in FLOWS}


def test_the_documented_examples_pass() -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```", DOCS.read_text("utf-8"), re.S | re.M)
    whole = [block for block in blocks if "\ncalls:" in block]
    assert whole, "docs/simulator.md shows no scenario"
    for block in whole:
        scenario = parse_scenario(block.encode(), "docs/simulator.md")
        result = play(read_flow(ROOT / str(scenario.flow)), scenario)
        assert result.ok, "\n".join(map(str, result.failures)) + "\n" + result.timeline()


def flow() -> Flow:
    return read_flow(ROOT / "schemas/examples/main-line.json")


def played(text: str) -> ScenarioResult:
    return play(flow(), parse_scenario(text.encode(), "s.yaml"), file="s.yaml")


TO_A_MESSAGE = """
users: {hanako: silent}
groups: {sales: [hanako]}
calls:
  - script: [{wait_s: 1}, {press: "1"}, {after_hearing: "tone:beep"}, {speak_s: 5}, {press: "#"}]
    expect: EXPECT
"""


@pytest.mark.parametrize(
    ("expect", "failure"),
    [
        (
            '{path: ["menu:2"]}',
            "call 1: path: expected [menu:2], got [menu:1, sales:timeout, message:recorded]",
        ),
        ("{exits: {sales: busy}}", "call 1: exit of sales: expected busy, got timeout"),
        ("{exits: {boss: busy}}", "call 1: exit of boss: expected busy, got never entered"),
        ("{disposition: answered}", "call 1: disposition: expected answered, got message"),
        ("{end_reason: caller_hung_up}", "call 1: end_reason: expected caller_hung_up, got completed"),
        (
            '{hears: ["Goodbye", "Welcome"]}',
            "call 1: hears: expected 'Welcome' (in this order), got [Welcome",
        ),
        ('{never_hears: ["after the tone"]}', "call 1: never_hears: expected never 'after the tone', got ["),
        ("{rung: []}", "call 1: rung: expected [], got [hanako]"),
        ("{answered_by: [hanako]}", "call 1: answered_by: expected [hanako], got []"),
        ("{recordings: 2}", "call 1: recordings: expected 2 kept, got 1 kept"),
        ("{recordings: [{min_s: 9}]}", "call 1: recording 1: expected at least 9 s, got 5."),
        ("{recordings: [{max_s: 1}]}", "call 1: recording 1: expected at most 1 s, got 5."),
        ("{recordings: [{purpose: talk}]}", "call 1: purpose of recording 1: expected talk, got voicemail"),
        ("{recordings: [{state: menu}]}", "call 1: state of recording 1: expected menu, got message"),
        ("{min_duration_s: 100}", "call 1: duration: expected at least 100 s, got "),
        ("{max_duration_s: 1}", "call 1: duration: expected at most 1 s, got "),
        ("{hang_up_cause: 17}", "call 1: hang_up_cause: expected 17, got 16"),
        ("{refused: unknown_number}", "call 1: the call: expected unknown_number, got taken"),
    ],
)
def test_failures_tell_expected_and_got(expect: str, failure: str) -> None:
    result = played(TO_A_MESSAGE.replace("EXPECT", expect))
    assert not result.ok
    [only] = map(str, result.failures)
    assert only.startswith(failure)


def test_what_a_caller_waited_for_in_vain_is_a_failure() -> None:
    result = played('calls: [{name: eve, script: [{when_hearing: "no such words"}]}]')
    [failure] = result.failures
    assert str(failure).startswith(
        "eve: script: expected to hear 'no such words', got the call was over; heard"
    )


def test_a_number_that_is_not_attached_is_refused() -> None:
    result = played('{numbers: ["+815055550100"], calls: [{to: "+815055550177"}]}')
    assert [str(failure) for failure in result.failures] == [
        "call 1: the call: expected to be taken, got refused: unknown_number"
    ]
    assert "refused: unknown_number (cause 1)" in result.timeline()


def test_timeline_json_and_trace_of_a_result() -> None:
    result = played(TO_A_MESSAGE.replace("EXPECT", "{}"))
    timeline = result.timeline()
    for words in (
        "0.000  -> menu (ivr)",
        '0.000    plays "Welcome.',
        "1.100    key 1",
        "1.100  <- menu by 1",
        "3.681    dials hanako at PJSIP/hanako",
        "23.681    hanako did not answer",
        "keeps the voicemail, 5.1 s",
        "over: message (completed)",
    ):
        assert words in timeline
    as_json = json.loads(json.dumps(result.to_json()))
    [call] = as_json["calls"]
    assert call["path"] == ["menu:1", "sales:timeout", "message:recorded"]
    assert call["record"]["disposition"] == "message"
    assert call["timeline"][0] == {"at_s": 0.0, "kind": "call", "text": "+819055550123 calls +815055550100"}
    assert [trace.call for trace in result.traces()] == ["call-1"]


def test_junit() -> None:
    good, bad = (played(TO_A_MESSAGE.replace("EXPECT", expect)) for expect in ("{}", "{recordings: 7}"))
    bad.name = "a\x00name\ud800"
    root = ElementTree.fromstring(junit_xml([good, bad]).encode())
    assert root.attrib["tests"] == "2"
    assert root.attrib["failures"] == "1"
    cases = root.findall("testsuite/testcase")
    assert [case.attrib["name"] for case in cases] == ["s", "a?name?"]
    [failure] = root.iter("failure")
    assert failure.attrib["message"] == "call 1: recordings: expected 7 kept, got 1 kept"
    assert "over: message" in (cases[0].findtext("system-out") or "")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "s.yaml:1: should be a valid dictionary or instance of Scenario, and not nothing: correct it"),
        ("calls: []", "s.yaml:1: /calls: List should have at least 1 item"),
        ("users: {}", "s.yaml:1: /calls: this field must be there: add it"),
        ("calls:\n  - too: 1", "s.yaml:2: /calls/0/too: this field is not known here: correct its spelling"),
        (
            "calls:\n  - at_s: 1\n    to: 815055550100",
            "s.yaml:3: /calls/0/to: should be text, and not 815055550100: put it in quotes",
        ),
        (
            'calls: [{to: "0312345678"}]',
            's.yaml:1: /calls/0/to: should be a number such as "+815055550100", and not 0312345678',
        ),
        ("calls: [{script: [{press: 1}]}]", "s.yaml:1: /calls/0/script/0: write the keys in quotes"),
        ("calls: [{script: [{press: *}]}]", "s.yaml:1: is not the YAML read here: "),
        ("calls: [{script: [{wait_s: soon}]}]", "s.yaml:1: /calls/0/script/0: write a number of seconds"),
        ("calls:\n- script:\n  - wait_s: -1", "s.yaml:3: /calls/0/script/0: write a number of seconds"),
        (
            "calls: [{script: [dance]}]",
            "s.yaml:1: /calls/0/script/0: this is no step of a script: write one of",
        ),
        ('calls: [{script: [{when_hearing: ""}]}]', "s.yaml:1: /calls/0/script/0: write some words"),
        ("users: {a: sings}\ncalls: [{}]", "s.yaml:1: /users/a/phone/0: 'sings' is nothing a telephone does"),
        ("users: {a: {talks_s: 3}}\ncalls: [{}]", "s.yaml:1: /users/a/phone/0: write exactly one of"),
        (
            "users: {a: {rejects_after_s: 1, talks_s: 3}}\ncalls: [{}]",
            "s.yaml:1: /users/a/phone/0: talks_s goes only with answers_after_s",
        ),
        ("users: {a: {online_at_s: 3}}\ncalls: [{}]", "s.yaml:1: /users/a: write either phone or phones"),
        (
            "users: {a: {phone: busy, online_at_s: 3, offline_at_s: 2}}\ncalls: [{}]",
            "s.yaml:1: /users/a/offline_at_s: should be later than online_at_s",
        ),
        ("groups:\n  g: [a]\ncalls: [{}]", "s.yaml:2: /groups/g/0: a is not among the users: add a there"),
        (
            "users: {a: busy, b: {phones: {PJSIP/a: busy}}}\ncalls: [{}]",
            "s.yaml:1: /users/b: PJSIP/a is the telephone of a already",
        ),
        (
            "calls: [{expect: {rung: [zoe]}}]",
            "s.yaml:1: /calls/0/expect/rung/0: zoe is not among the users: correct the name",
        ),
        (
            'numbers: ["+8150"]\nunattached_numbers: ["+8150"]\ncalls: [{}]',
            "s.yaml:2: /unattached_numbers: +8150 is among numbers, too",
        ),
        ("calls: [{}]\ncalls: [{}]", "s.yaml:2: is not the YAML read here: calls is here twice"),
        ("a: &x 1\nb: *x", "s.yaml:2: is not the YAML read here: a word that begins with * is an alias"),
        ("a: !!python/object:os.system x", "s.yaml:1: is not the YAML read here: could not determine"),
        ("calls: [", "s.yaml:1: is not the YAML read here: "),
        ("calls: [{expect: {recordings: many}}]", "s.yaml:1: /calls/0/expect/recordings: "),
    ],
)
def test_what_is_wrong_is_named_with_its_place_and_mend(text: str, complaint: str) -> None:
    with pytest.raises(BadScenario) as raised:
        parse_scenario(text.encode(), "s.yaml")
    assert str(raised.value.problems[0]).startswith(complaint)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"\xff\xfe", "s.yaml: is not UTF-8 (byte 0): save it as UTF-8"),
        (b"x" * 1_000_001, "s.yaml: has 1,000,001 bytes, and at most 1,000,000 are read: split it"),
        (b"[" * 5_000, "s.yaml: is not YAML: "),
        (b"a: \x00", "s.yaml: is not YAML: "),
    ],
)
def test_what_is_no_yaml_at_all(data: bytes, complaint: str) -> None:
    with pytest.raises(BadScenario) as raised:
        parse_scenario(data, "s.yaml")
    assert str(raised.value).startswith(complaint)


def test_words_that_yaml_likes_to_guess_stay_words() -> None:
    scenario = parse_scenario(b"calls: [{expect: {exits: {on: no, m: 1:30}}}]", "s.yaml")
    assert scenario.calls[0].expect.exits == {"on": "no", "m": "1:30"}


def test_problems_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("calls: 1")
    (tmp_path / "b.yaml").write_text("calls: [{}]")
    with pytest.raises(BadScenario) as raised:
        run_files(None, [tmp_path / name for name in ("a.yaml", "b.yaml", "c.yaml")])
    places = [str(problem).removeprefix(f"{tmp_path}/").split(": ")[0] for problem in raised.value.problems]
    assert places == ["a.yaml:1", "b.yaml:1", "c.yaml"]
    assert "names no flow" in str(raised.value)


def test_a_flow_that_could_not_be_published_is_refused(tmp_path: Path) -> None:
    scenario = tmp_path / "s.yaml"
    scenario.write_text("calls: [{}]")
    loop = tmp_path / "flow.json"
    loop.write_text(
        json.dumps(
            {
                "format": "flowengine/1",
                "name": "Loop",
                "start": "a",
                "states": {"a": {"type": "announcement", "prompt": {"say": "A"}, "exits": {"next": "a"}}},
            }
        )
    )
    with pytest.raises(BadFlow) as raised:
        run_files(loop, [scenario])
    assert [problem.code for problem in raised.value.problems] == ["loop"]
    loop.write_text("{")
    with pytest.raises(Unreadable):
        run_files(loop, [scenario])
    loop.write_text("{}")
    with pytest.raises(Invalid):
        run_files(loop, [scenario])


def test_several_ringings_and_presence() -> None:
    result = played(
        """
users:
  hanako: [silent, busy, {answers_after_s: 1, talks_s: 5}]
  taro: {phone: answers, online_at_s: 250, offline_at_s: 300}
groups: {sales: [taro, hanako]}
calls:
  - {name: a, script: [{press: "1"}, {when_hearing: message}, hang_up], expect: {exits: {sales: timeout}}}
  - {name: b, at_s: 60, script: [{press: "1"}, {when_hearing: message}, hang_up], expect: {exits: {sales: busy}}}
  - {name: c, at_s: 120, script: [{press: "1"}], expect: {answered_by: [hanako]}}
  - {name: d, at_s: 260, script: [{press: "1"}, {wait_s: 9}, hang_up], expect: {rung: [hanako]}}
  - {name: e, at_s: 270, script: [{press: "1"}, {wait_s: 9}, hang_up], expect: {answered_by: [taro]}}
"""
    )
    assert result.ok, "\n".join(map(str, result.failures)) + "\n" + result.timeline()
