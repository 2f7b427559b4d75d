"""Account files: what is read, and that every mistake is named with its place and its mend."""

from pathlib import Path
from textwrap import dedent

import pytest

from flowengine.store.account_file import AccountFile, load_account_file, read_account_file
from flowengine.store.account_state import FlowState, GroupState, NumberState, Settings, UserState
from flowengine.store.errors import AccountRefused
from tests.store.seed import flow

DEMO = Path(__file__).parents[2] / "schemas" / "examples" / "demo-account.yaml"

HEAD = """
format: flowengine-account/1
account: {key: demo, name: Demo, country: JP, language: en-US, time_zone: Asia/Tokyo, currency: JPY}
"""
FLOW = '{format: flowengine/1, name: X, start: m, states: {m: {type: voicemail, prompt: {say: "Hello"}}}}'


def read(text: str, folder: Path = Path()) -> AccountFile:
    return read_account_file((HEAD + dedent(text)).encode(), folder)


def refusals(text: str, folder: Path = Path()) -> list[tuple[str, str, str]]:
    with pytest.raises(AccountRefused) as refused:
        read(text, folder)
    return [(problem.code, problem.pointer, problem.message) for problem in refused.value.problems]


def test_the_demo_account() -> None:
    state = load_account_file(DEMO).state
    assert state.key == "demo"
    assert state.settings == Settings("Demo Trading", "JP", "en-US", "Asia/Tokyo", "JPY")
    assert state.numbers["+815055550100"] == NumberState("JP", "local", "main-line")
    assert state.numbers["+815055550101"] == NumberState("JP", "local")
    assert state.users["hanako"] == UserState("Hanako Yamada", ("PJSIP/hanako",))
    assert state.groups["sales"].members == ("hanako", "taro", "ken")
    assert state.flows["main-line"].published is not None


def test_the_smallest_account() -> None:
    assert read("").state.settings.name == "Demo"


@pytest.mark.parametrize(
    "spelling",
    ["050-5555-0100", "+81 50 5555 0100", "+815055550100", "０５０−５５５５−０１００", '"(050) 55550100"'],
)
def test_numbers_in_any_spelling(spelling: str) -> None:
    state = read(f"numbers: [{spelling}]\nflows: {{x: {{document: {FLOW}, numbers: [050 5555 0100]}}}}").state
    assert state.numbers == {"+815055550100": NumberState("JP", "local", "x")}


def test_types_and_countries_of_numbers() -> None:
    state = read(
        'numbers: [090-1234-5678, 0120-444-444, +1 202-555-0123, {number: "+81355550100", type: toll_free}]'
    ).state
    assert state.numbers == {
        "+819012345678": NumberState("JP", "mobile"),
        "+81120444444": NumberState("JP", "toll_free"),
        "+12025550123": NumberState("US", "local"),
        "+81355550100": NumberState("JP", "toll_free"),
    }


def test_people_groups_and_flows(tmp_path: Path) -> None:
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "message.json").write_text(flow().pretty())
    state = read(
        f"""
        users:
          hanako: {{display_name: 花子, devices: [PJSIP/hanako, PJSIP/hanako-web]}}
          taro: {{}}
        groups:
          営業: {{members: [taro, hanako]}}
        flows:
          message: {{file: flows/message.json, publish: true}}
          draft: {{document: {FLOW}, enabled: false}}
          both: {{document: {FLOW}, published: {FLOW}}}
        """,
        tmp_path,
    ).state
    assert state.users == {
        "hanako": UserState("花子", ("PJSIP/hanako", "PJSIP/hanako-web")),
        "taro": UserState(""),
    }
    assert state.groups == {"営業": GroupState("", ("taro", "hanako"))}
    assert state.flows["message"] == FlowState(flow(), published=flow())
    assert (state.flows["draft"].enabled, state.flows["draft"].published) == (False, None)
    assert state.flows["both"].published == state.flows["both"].draft


def test_a_menu_may_be_written_with_bare_keys() -> None:
    states = (
        '{m: {type: ivr, prompt: {say: Hi}, exits: {1: v, "*": v}}, v: {type: voicemail, prompt: {say: Hi}}}'
    )
    state = read(
        f"flows: {{x: {{document: {{format: flowengine/1, name: X, start: m, states: {states}}}}}}}"
    ).state
    assert state.flows["x"].draft.states["m"].connections == {"1": "v", "*": "v"}


def test_json_is_an_account_file_too() -> None:
    text = b'{"format": "flowengine-account/1", "account": {"key": "demo", "name": "Demo", "country": "JP",'
    text += b'"language": "ja-JP", "time_zone": "Asia/Tokyo", "currency": "JPY"}}'
    assert read_account_file(text, Path()).state.settings.language == "ja-JP"


@pytest.mark.parametrize(
    ("text", "code", "pointer", "says"),
    [
        ("numbers: [050-5555]", "invalid_number", "/numbers/0", 'line 4: "050-5555", read in JP, does not exist'),
        ("numbers: [hello]", "invalid_number", "/numbers/0", '"hello" is no telephone number'),
        ("numbers: ['050-5555-0100 ext. 5']", "invalid_number", "/numbers/0", "has an extension"),
        ("numbers: [+99950555501]", "invalid_number", "/numbers/0", '"+99950555501" is no telephone number'),
        ("numbers: [815055550100]", "invalid_value", "/numbers/0", "should be a number in quotes"),
        ("numbers: [{number: 1}]", "invalid_value", "/numbers/0/number", "put 1 in quotes"),
        ("numbers: [050-5555-0100, +815055550100]", "duplicate_number", "/numbers/1", "is there twice"),
        ("users: {hanako: {devices: [Local/1@trunk]}}", "invalid_value", "/users/hanako/devices/0", "PJSIP/hanako"),
        ("users: {hanako: {devices: [PJSIP/1@trunk]}}", "invalid_value", "/users/hanako/devices/0", "outside number"),
        ("users: {hanako: {phone: x}}", "unknown_field", "/users/hanako/phone", "correct its spelling or remove it"),
        ("users: {' x': {}}", "invalid_value", "/users/ x", "without spaces around it"),
        ("users: {a: {devices: [PJSIP/x]}, b: {devices: [PJSIP/x]}}", "device_taken", "/users/b/devices/0", 'user "a"'),
        ("users: {a: {devices: [PJSIP/x, PJSIP/x]}}", "device_taken", "/users/a/devices/1", 'user "a"'),
        ("groups: {g: {members: [a, a]}}", "duplicate_member", "/groups/g/members/1", '"a" is there twice'),
        ("groups: {g: {members: a}}", "invalid_value", "/groups/g/members", "correct it"),
        ("flows: {Main: {}}", "invalid_value", "/flows/Main", "small letters, digits and hyphens"),
        ("flows: {x: {}}", "flow_source", "/flows/x", "needs either file, a path, or document"),
        (f"flows: {{x: {{file: a.json, document: {FLOW}}}}}", "flow_source", "/flows/x", "write one of them"),
        ("flows: {x: {file: nowhere.json}}", "unknown_file", "/flows/x/file", "is not a file below the folder"),
        ("flows: {x: {file: ../x.json}}", "unknown_file", "/flows/x/file", "is not a file below the folder"),
        ("flows: {x: {file: /etc/hostname}}", "unknown_file", "/flows/x/file", "is not a file below the folder"),
        (f"flows: {{x: {{document: {FLOW}, publish: yes}}}}", "invalid_value", "/flows/x/publish", "a valid boolean"),
        (
            f"flows: {{x: {{document: {FLOW}, publish: true, published: {FLOW}}}}}",
            "published_twice",
            "/flows/x/published",
            "remove one of the two",
        ),
        (
            f"flows: {{x: {{document: {FLOW}, numbers: [050-5555-0100]}}}}",
            "unknown_number",
            "/flows/x/numbers/0",
            "add it to numbers",
        ),
        (
            f"numbers: [050-5555-0100]\nflows: {{x: {{document: {FLOW}, numbers: [050-5555-0100]}}, "
            f"y: {{document: {FLOW}, numbers: [+815055550100]}}}}",
            "number_taken",
            "/flows/y/numbers/0",
            'attached to the flow "x" already',
        ),
        ("flows: {x: {document: {format: flowengine/1, name: X}}}", "missing_field", "/flows/x/document/states", "add"),
        ("more: 1", "unknown_field", "/more", "not known here"),
    ],
)  # fmt: skip
def test_a_mistake_is_named(text: str, code: str, pointer: str, says: str, tmp_path: Path) -> None:
    ((found, at, message),) = refusals(text, tmp_path)
    assert (found, at) == (code, pointer)
    assert says in message
    assert message.startswith("line ")


@pytest.mark.parametrize(
    ("line", "pointer", "says"),
    [
        ("key: Demo Ltd", "/account/key", "small letters"),
        ("country: XX", "/account/country", "two capital letters"),
        ("country: false", "/account/country", "put false in quotes"),
        ("language: English", "/account/language", "should be a language such as ja-JP"),
        ("time_zone: Tokyo", "/account/time_zone", "Asia/Tokyo"),
        ("currency: yen", "/account/currency", "three capital letters"),
    ],
)
def test_a_mistake_in_the_account_is_named(line: str, pointer: str, says: str) -> None:
    good = {
        "key": "demo",
        "name": "Demo",
        "country": "JP",
        "language": "en",
        "time_zone": "UTC",
        "currency": "JPY",
    }
    name, _, value = line.partition(": ")
    lines = [f"  {field}: {value if field == name else usual}" for field, usual in good.items()]
    text = "\n".join(["format: flowengine-account/1", "account:", *lines])
    with pytest.raises(AccountRefused) as refused:
        read_account_file(text.encode(), Path())
    (problem,) = refused.value.problems
    assert problem.pointer == pointer
    assert says in problem.message


def test_everything_wrong_is_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text(
        '{"format": "flowengine/1", "name": "X", "states": {"m": {"type": "ivr"}}}'
    )
    (tmp_path / "no.json").write_text("{")
    found = refusals(
        """
        numbers: [1-2-3]
        groups: {g: {members: [a, a]}}
        flows:
          bad: {file: bad.json}
          no: {file: no.json}
          none: {}
        """,
        tmp_path,
    )
    assert [(code, pointer) for code, pointer, _ in found] == [
        ("invalid_number", "/numbers/0"),
        ("duplicate_member", "/groups/g/members/1"),
        ("missing_field", "bad.json#/states/m/prompt"),
        ("unreadable", "/flows/no/file"),
        ("flow_source", "/flows/none"),
    ]
    assert found[2][2].startswith('flow "bad": ')


@pytest.mark.parametrize("text", ["", "[]", "hello", "null", "42"])
def test_what_is_no_account_at_all_is_said_so(text: str) -> None:
    with pytest.raises(AccountRefused, match="the file: "):
        read_account_file(text.encode(), Path())


def test_a_file_that_is_not_there_or_not_yaml(tmp_path: Path) -> None:
    with pytest.raises(AccountRefused, match="No such file"):
        load_account_file(tmp_path / "none.yaml")
    (tmp_path / "x.yaml").write_text("a: &x [*x]")
    with pytest.raises(AccountRefused, match="anchors and aliases"):
        load_account_file(tmp_path / "x.yaml")


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside.json", tmp_path / "account"
    outside.write_text(flow().pretty())
    inside.mkdir()
    (inside / "x.json").symlink_to(outside)
    assert [code for code, _, _ in refusals("flows: {x: {file: x.json}}", inside)] == ["unknown_file"]
