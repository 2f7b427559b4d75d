"""Plans of centres as files: what is read, what is refused and with which words, and the reports."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from flowengine.flow.document import Invalid, Unreadable
from simulator.centre import run_centre
from simulator.centre_file import load_plan, parse_plan, run_file
from simulator.centre_plan import CentrePlan
from simulator.centre_report import day_picture, report
from simulator.chance import Constant, Exponential, Infinite, Lognormal, Recorded
from simulator.people import Shift
from simulator.play import BadFlow
from simulator.scenario_file import BadScenario
from simulator.traffic import Poisson, Profile, Trace

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs/centre.md"

SMALL = """
name: A short morning
seed: 3
days: 0.5
replications: 2
arrivals: {profile: {"00:00": 0, "08:00": 40, "11:00": 20}}
calls:
  hurried: {patience: {exponential_s: 60}}
  calm: {share: 2, talk: {lognormal_s: 200, sd_s: 100}}
agents:
  line: {count: 2, talk: {exponential_s: 120}, answer_delay: 3, shifts: ["08:00-12:00"]}
"""


def plan(text: str) -> CentrePlan:
    return parse_plan(text.encode(), "plan.yaml")[0]


def problems(text: str, file: str = "plan.yaml") -> list[str]:
    with pytest.raises(BadScenario) as error:
        parse_plan(text.encode(), file)
    return [str(problem) for problem in error.value.problems]


def test_everything_that_can_be_written() -> None:
    found = plan(SMALL)
    assert found.arrivals == Profile(((0, 0), (28_800, 40), (39_600, 20)))
    assert found.calls["hurried"].patience == Exponential(60)
    assert found.calls["calm"].talk == Lognormal(200, 100)
    assert found.calls["calm"].patience == Infinite()
    team = found.agents["line"]
    assert (team.talk, team.answer_delay, team.shifts) == (
        Exponential(120),
        Constant(3),
        [Shift(28_800, 43_200)],
    )
    assert list(found.users) == ["line-1", "line-2"]
    assert found.groups == {"line": ("line-1", "line-2")}
    short = plan("arrivals: {per_hour: 20}\nagents: {hanako: {talk: {trace_s: [3, 4.5]}}}")
    assert short.arrivals == Poisson(20)
    assert short.agents["hanako"].talk == Recorded((3, 4.5))
    assert list(short.users) == ["hanako"]
    assert plan("arrivals: {trace_s: [2, 1]}\nagents: {a: {}}").arrivals == Trace((2, 1))


GOOD = {"days": "1", "arrivals": "{per_hour: 60}", "agents": "{line: {count: 2}}"}


def with_(**parts: str) -> str:
    return "\n".join(f"{name}: {text}" for name, text in {**GOOD, **parts}.items())


NO_ARRIVALS = "these are no arrivals: write {per_hour: 120}"
NO_DURATION = "this is no duration: write seconds (180), {exponential_s: 180}"


@pytest.mark.parametrize(
    ("parts", "place", "words"),
    [
        ({"arrivals": "{per_hour: 0}"}, "/arrivals", NO_ARRIVALS),
        ({"arrivals": "{per_hour: 5, profile: {}}"}, "/arrivals", NO_ARRIVALS),
        ({"arrivals": "{profile: {'08:00': 5}}"}, "/arrivals", "beginning at midnight"),
        ({"arrivals": "{profile: {'00:00': 0}}"}, "/arrivals", "some more than 0"),
        ({"arrivals": "{profile: {'00:00': 1, '24:00': 2}}"}, "/arrivals", NO_ARRIVALS),
        ({"arrivals": "{profile: {'00:00': 1, '9:00': 2}}"}, "/arrivals", NO_ARRIVALS),
        ({"arrivals": "{profile: {'00:00': -1}}"}, "/arrivals", NO_ARRIVALS),
        ({"arrivals": "{trace_s: []}"}, "/arrivals", NO_ARRIVALS),
        ({"arrivals": "{trace_s: [1, yes]}"}, "/arrivals", NO_ARRIVALS),
        ({"arrivals": "often"}, "/arrivals", NO_ARRIVALS),
        ({"agents": "{line: {talk: 0s}}"}, "/agents/line/talk", NO_DURATION),
        ({"agents": "{line: {talk: {exponential_s: 0}}}"}, "/agents/line/talk", NO_DURATION),
        ({"agents": "{line: {talk: {lognormal_s: 5}}}"}, "/agents/line/talk", NO_DURATION),
        ({"agents": "{line: {talk: {lognormal_s: 5, sd_s: 0}}}"}, "/agents/line/talk", NO_DURATION),
        ({"agents": "{line: {talk: {exponential_s: 5, sd_s: 5}}}"}, "/agents/line/talk", NO_DURATION),
        ({"agents": "{line: {talk: true}}"}, "/agents/line/talk", NO_DURATION),
        ({"agents": "{line: {talk: infinite}}"}, "/agents/line/talk", NO_DURATION),
        ({"calls": "{x: {patience: none}}"}, "/calls/x/patience", "or write infinite"),
        ({"calls": "{x: {keys: 1}}"}, "/calls/x/keys", "write the keys in quotes"),
        ({"calls": "{x: {share: 0}}"}, "/calls/x/share", "should be greater than 0"),
        ({"calls": "{}"}, "/calls", "at least 1"),
        ({"agents": "{line: {shifts: ['9-17']}}"}, "/agents/line/shifts/0", 'such as "09:00-17:30"'),
        ({"agents": "{line: {shifts: ['09:00-09:00']}}"}, "/agents/line/shifts/0", "this is no shift"),
        ({"agents": "{line: {shifts: ['09:00-24:30']}}"}, "/agents/line/shifts/0", "this is no shift"),
        ({"agents": "{line: {shifts: ['22:00-06:00', '05:00-07:00']}}"}, "/agents/line/shifts", "overlap"),
        ({"agents": "{line: {count: 0}}"}, "/agents/line/count", "greater than or equal to 1"),
        ({"agents": "{a: {count: 2}, a-1: {groups: [a]}}"}, "/agents/a-1", "a-1 is in team a already"),
        ({"agents": "{a: {}, b: {}}"}, "/agents", "are in several groups (a, b): name a flow"),
        ({"days": "0"}, "/days", "should be greater than 0"),
        ({"warm_up_s": "86400"}, "/warm_up_s", "leaves nothing to look at"),
        ({"replications": "1000", "days": "365"}, "/arrivals", "about 525,600,000 calls"),
        (
            {"replications": "1000", "days": "365", "arrivals": "{profile: {'00:00': 0, '12:00': 60}}"},
            "/arrivals",
            "about 262,800,000 calls",
        ),
        ({"seeds": "1"}, "/seeds", "not known here: correct its spelling or remove it"),
        ({"flow": "nowhere.json"}, "/flow", "nowhere.json cannot be read: No such file or directory"),
    ],
)
def test_what_is_refused(parts: dict[str, str], place: str, words: str) -> None:
    [problem] = problems(with_(**parts))
    assert problem.split(": ", 2)[1] == place
    assert words in problem
    assert re.match(r"plan\.yaml:[1-9]", problem)


def test_every_problem_at_once() -> None:
    told = problems("arrivals: 1\ncalls: {x: {keys: 1}}\nextra: 1")
    assert [problem.split(": ")[1] for problem in told] == ["/arrivals", "/calls/x/keys", "/agents", "/extra"]


def test_a_flow_has_to_fit(tmp_path: Path) -> None:
    flow = ROOT / "schemas/examples/main-line.json"
    text = with_(flow=str(flow), agents="{marketing: {}}")
    [problem] = problems(text, str(tmp_path / "plan.yaml"))
    assert problem.endswith("/flow: its state sales rings the group sales: put agents into that group")
    text = with_(flow=str(ROOT / "schemas/examples/vip-queue.json"))
    assert any("add a team of one named" in each for each in problems(text, str(tmp_path / "plan.yaml")))


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ("not json", Unreadable),
        ("{}", Invalid),
        ('{"format": "flowengine/1", "name": "", "states": {}}', BadFlow),
    ],
)
def test_a_flow_has_to_be_one(tmp_path: Path, document: str, error: type[Exception]) -> None:
    (tmp_path / "flow.json").write_text(document)
    (tmp_path / "plan.yaml").write_text(with_(flow="flow.json"))
    with pytest.raises(error):
        load_plan(tmp_path / "plan.yaml")


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(BadScenario, match="cannot be read: No such file or directory"):
        load_plan("nowhere.yaml")


def test_a_plan_is_run_and_told(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(SMALL)
    result = run_file(tmp_path / "plan.yaml")
    told = report(result)
    calls = sum(map(len, result.calls))
    assert 150 < calls < 400
    assert told.startswith(f"A short morning: {calls:,} calls, 2 x 0.5 days, seed 3\n")
    for words in ("answered within 20 s", "hurried:", "calm:", "line-2", "longest line: ", "wrap-up"):
        assert words in told
    assert "bug" not in told
    root = ElementTree.fromstring(day_picture(result))
    texts = [each.text for each in root.iter() if each.text]
    assert {"A short morning", "calls", "answered", "waits"} <= set(texts)
    assert report(run_file(tmp_path / "plan.yaml")) == told


def test_one_replication_is_judged_by_batches(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(SMALL.replace("replications: 2", "replications: 1"))
    found = run_file(tmp_path / "plan.yaml").intervals
    assert 0 < found["mean_wait_s"].half_width < 200
    assert found["occupancy"].half_width == float("inf")


def test_the_documented_plan_gives_the_documented_figures() -> None:
    text = DOCS.read_text("utf-8")
    [block] = re.findall(r"^```yaml\n(.*?)^```", text, re.S | re.M)
    found, flow = parse_plan(block.encode(), "plan.yaml")
    assert flow is None
    [shown] = re.findall(r"^```\n(A support day: .*?)^```", text, re.S | re.M)
    assert report(run_centre(found)).startswith(shown)
