"""Accounts as code: plan, apply, export. All or nothing, twice is once, and back and forth is the same."""

import asyncio
import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from flowengine.routing.directory import NO_PUBLISHED_FLOW, UNKNOWN_NUMBER, PublishedFlow, User
from flowengine.store import accounts, tables
from flowengine.store.account_file import AccountFile, load_account_file, read_account_file
from flowengine.store.account_rows import find_account, read_state
from flowengine.store.account_state import (
    AccountState,
    FlowState,
    GroupState,
    NumberState,
    NumberType,
    Settings,
    UserState,
)
from flowengine.store.accounts import Plan
from flowengine.store.catalog import load_catalog, read_epoch
from flowengine.store.database import Database, open_database
from flowengine.store.errors import AccountRefused, NotStored
from tests.store.seed import flow
from tests.store.test_account_file import DEMO, HEAD

NUMBER = "+815055550100"
Scratch = tuple[asyncio.Runner, Database]
SETTINGS = Settings("Demo", "JP", "en-US", "Asia/Tokyo", "JPY")


def as_file(state: AccountState, folder: Path = Path("nowhere")) -> AccountFile:
    places = {key: f"/flows/{key}/document" for key in state.flows}
    return AccountFile(state, folder, places, {})


def account(**parts: Any) -> AccountState:
    return AccountState("demo", SETTINGS, **parts)


async def put(database: Database, wanted: AccountState | AccountFile, *, prune: bool = False) -> Plan:
    async with database.writing() as session:
        file = wanted if isinstance(wanted, AccountFile) else as_file(wanted)
        made = await accounts.plan(session, file, prune=prune)
        await accounts.apply(session, made)
    return made


async def stored(database: Database, key: str = "demo") -> AccountState:
    async with database.reading() as session:
        id_ = await find_account(session, key)
        assert id_ is not None
        return await read_state(session, id_)


async def refusal(database: Database, wanted: AccountState, *, prune: bool = False) -> list[tuple[str, str]]:
    with pytest.raises(AccountRefused) as refused:
        await put(database, wanted, prune=prune)
    return [(problem.code, problem.pointer) for problem in refused.value.problems]


def shown(made: Plan) -> list[str]:
    return [f"{change.action} {change.kind} {change.key}" for change in made.changes]


async def test_the_demo_account_takes_calls(database: Database) -> None:
    file, made = await accounts.apply_file(database, DEMO)
    async with database.reading() as session:
        catalog = await load_catalog(session)
    assert isinstance(found := catalog.route(NUMBER), PublishedFlow)
    assert (found.account, found.flow.name) == (made.account, "Main line")
    assert catalog.route("+815055550101") == NO_PUBLISHED_FLOW
    assert catalog.users[made.account]["taro"] == User("taro", ("PJSIP/taro",))
    assert catalog.groups[made.account] == {"sales": ("hanako", "taro", "ken")}
    assert "say:en-US::Please leave a message after the tone." in made.sounds
    assert "tone:beep" in made.sounds
    assert file.folder == DEMO.parent


async def test_applying_twice_changes_nothing_and_bumps_nothing(database: Database) -> None:
    await accounts.apply_file(database, DEMO)
    async with database.reading() as session:
        before = await read_epoch(session)
    _, made = await accounts.apply_file(database, DEMO, prune=True)
    assert made.changes == ()
    async with database.reading() as session:
        assert await read_epoch(session) == before


async def test_a_dry_run_shows_and_changes_nothing(database: Database) -> None:
    _, made = await accounts.apply_file(database, DEMO, dry_run=True)
    assert shown(made)[0] == "create account demo"
    assert shown(made)[-1] == "create number +815055550101"
    async with database.reading() as session:
        assert await session.scalar(select(func.count()).select_from(tables.Account)) == 0


async def test_what_changes_is_said_in_words(database: Database) -> None:
    first = account(
        numbers={NUMBER: NumberState("JP", "local", "line")},
        users={"hanako": UserState("Hanako", ("PJSIP/a",)), "taro": UserState("Taro")},
        groups={"sales": GroupState("", ("hanako",))},
        flows={"line": FlowState(flow(), published=flow())},
    )
    await put(database, first)
    second = replace(
        first,
        settings=replace(SETTINGS, name="Demo Trading"),
        numbers={NUMBER: NumberState("JP", "local")},
        users={"hanako": UserState("Hanako Yamada", ("PJSIP/b", "PJSIP/a"))},
        groups={"sales": GroupState("Sellers", ("taro", "hanako"))},
        flows={"line": FlowState(flow("Renamed"), enabled=False, published=flow("Renamed"))},
    )
    made = await put(database, second, prune=False)
    old, new = flow().sha256()[:12], flow("Renamed").sha256()[:12]
    assert [str(change) for change in made.changes] == [
        '~ update account demo\n    name: "Demo" -> "Demo Trading"',
        "~ update user hanako\n"
        '    display_name: "Hanako" -> "Hanako Yamada"\n'
        "    devices: PJSIP/a -> PJSIP/b, PJSIP/a",
        '~ update group sales\n    description: "" -> "Sellers"\n    members: hanako -> taro, hanako',
        '~ update flow line\n    enabled: yes -> no\n    draft: name: "Message line" became "Renamed"',
        f"^ publish flow line\n    version: {old} -> {new}",
        f'~ update number {NUMBER}\n    flow: "line" -> none',
    ]
    now = await stored(database)
    assert now == replace(second, users={**first.users, **second.users})


async def test_pruning_takes_away_what_the_file_does_not_name(database: Database) -> None:
    full = account(
        numbers={NUMBER: NumberState("JP", "local", "line"), "+815055550101": NumberState("JP", "local")},
        users={"hanako": UserState("", ("PJSIP/a",)), "taro": UserState("")},
        groups={"sales": GroupState("", ("hanako", "taro")), "support": GroupState()},
        flows={"line": FlowState(flow(), published=flow()), "other": FlowState(flow())},
    )
    await put(database, full)
    less = account(
        numbers={"+815055550101": NumberState("JP", "local")},
        users={"taro": UserState("")},
        groups={"sales": GroupState("", ("taro",))},
        flows={"other": FlowState(flow())},
    )
    kept = await put(database, less)
    assert shown(kept) == ["update group sales"]
    pruned = await put(database, less, prune=True)
    assert shown(pruned) == [
        f"delete number {NUMBER}",
        "delete flow line",
        "delete group support",
        "delete user hanako",
    ]
    assert await stored(database) == less
    async with database.reading() as session:
        assert (await load_catalog(session)).route(NUMBER) == UNKNOWN_NUMBER
    assert shown(await put(database, full, prune=True)) == [
        "create user hanako",
        "update group sales",
        "create group support",
        "create flow line",
        "publish flow line",
        f"create number {NUMBER}",
    ]


async def test_numbers_and_devices_can_be_handed_over(database: Database) -> None:
    one = account(
        numbers={NUMBER: NumberState("JP", "local", "a")},
        users={"hanako": UserState("", ("PJSIP/x", "PJSIP/y")), "taro": UserState("", ("PJSIP/z",))},
        flows={"a": FlowState(flow()), "b": FlowState(flow())},
    )
    await put(database, one)
    two = replace(
        one,
        numbers={NUMBER: NumberState("JP", "local", "b")},
        users={"hanako": UserState("", ("PJSIP/z",)), "taro": UserState("", ("PJSIP/y", "PJSIP/x"))},
    )
    await put(database, two)
    assert await stored(database) == two


async def test_a_flow_with_errors_is_refused_with_all_of_them_and_nothing_changes(database: Database) -> None:
    bad = flow(
        "Bad",
        states={
            "message": {
                "type": "user_transfer",
                "user": "nobody",
                "exits": {"busy": "team", "timeout": "message"},
            },
            "team": {"type": "group_transfer", "group": "none"},
            "alone": {"type": "announcement", "prompt": {"audio": "audio/none.wav"}},
        },
    )
    wanted = account(
        users={"hanako": UserState("")},
        flows={"good": FlowState(flow(), published=flow()), "bad": FlowState(bad, published=bad)},
    )
    at = "/flows/bad/document/states"
    assert sorted(await refusal(database, wanted)) == [
        ("loop", f"{at}/message/exits/timeout"),
        ("unknown_audio", f"{at}/alone/prompt/audio"),
        ("unknown_group", f"{at}/team/group"),
        ("unknown_user", f"{at}/message/user"),
        ("unreachable_state", f"{at}/alone"),
    ]
    async with database.reading() as session:
        assert await session.scalar(select(func.count()).select_from(tables.Account)) == 0


async def test_a_draft_may_have_errors_and_they_are_noted(database: Database) -> None:
    bad = flow("Bad", start=None)
    made = await put(database, account(flows={"bad": FlowState(bad)}))
    assert [(note.code, note.pointer) for note in made.notes] == [
        ("start_missing", "/flows/bad/document/start")
    ]
    assert (await stored(database)).flows["bad"].published is None
    assert made.sounds == ()


async def test_warnings_stop_nothing(database: Database) -> None:
    ring = flow("Ring", states={"message": {"type": "group_transfer", "group": "sales"}})
    made = await put(
        database, account(groups={"sales": GroupState()}, flows={"x": FlowState(ring, published=ring)})
    )
    assert {note.code for note in made.notes} == {"dead_end", "group_without_members"}
    assert made.changes != ()


async def test_whoever_a_published_flow_rings_cannot_be_pruned(database: Database) -> None:
    ring = flow("Ring", states={"message": {"type": "user_transfer", "user": "hanako"}})
    users = {"hanako": UserState("")}
    await put(database, account(users=users, flows={"x": FlowState(ring, published=ring)}))
    without = account(flows={"x": FlowState(ring)})
    assert await refusal(database, without, prune=True) == [("unknown_user", "/flows/x/states/message/user")]
    await put(database, without)
    await put(database, account(), prune=True)
    assert await stored(database) == account()


async def test_members_must_be_users(database: Database) -> None:
    wanted = account(groups={"sales": GroupState("", ("hanako",))})
    assert await refusal(database, wanted) == [("unknown_member", "/groups/sales/members/0")]
    await put(database, account(users={"hanako": UserState("")}))
    await put(database, wanted)
    assert await refusal(database, wanted, prune=True) == [("unknown_member", "/groups/sales/members/0")]


async def test_what_belongs_to_others_is_refused(database: Database) -> None:
    number = {NUMBER: NumberState("JP", "local")}
    users = {"hanako": UserState("", ("PJSIP/a",))}
    await put(database, account(numbers=number, users=users))
    other = AccountState(
        "other", SETTINGS, numbers=number, users={"jiro": UserState("", ("PJSIP/b", "PJSIP/a"))}
    )
    assert await refusal(database, other) == [
        ("number_taken", "/numbers/0"),
        ("device_taken", "/users/jiro/devices/1"),
    ]
    same = account(users={"jiro": UserState("", ("PJSIP/a",))})
    assert await refusal(database, same) == [("device_taken", "/users/jiro/devices/0")]
    await put(database, same, prune=True)


HELLO = "audio/hello.wav"
WITH_SOUND = """
flows:
  x:
    publish: true
    document:
      format: flowengine/1
      name: Hello
      start: hello
      states: {hello: {type: announcement, prompt: {audio: audio/hello.wav}}}
"""


def beside(folder: Path, text: str = WITH_SOUND) -> AccountFile:
    return read_account_file((HEAD + text).encode(), folder)


def put_sound(folder: Path, data: bytes = b"one") -> None:
    (folder / HELLO).parent.mkdir(exist_ok=True)
    (folder / HELLO).write_bytes(data)


async def test_a_sound_beside_the_file_becomes_the_accounts_own(database: Database, tmp_path: Path) -> None:
    with pytest.raises(AccountRefused, match="upload it"):
        await put(database, beside(tmp_path))
    put_sound(tmp_path)
    made = await put(database, beside(tmp_path).measured({hashlib.sha256(b"one").hexdigest(): 1_500}))
    assert shown(made) == [
        "create account demo",
        "create audio audio/hello.wav",
        "create flow x",
        "publish flow x",
    ]
    assert made.sounds[0] == f"audio:{HELLO}"
    now = (await stored(database)).audios[HELLO]
    assert (now.sha256, now.size_bytes, now.duration_ms) == (hashlib.sha256(b"one").hexdigest(), 3, 1_500)
    async with database.reading() as session:
        catalog = await load_catalog(session)
    assert catalog.audios == {made.account: {HELLO: now.sha256, now.id: now.sha256}}
    for prune in (False, True):
        assert (await put(database, beside(tmp_path), prune=prune)).changes == ()
        assert (await put(database, beside(tmp_path / "nowhere"), prune=prune)).changes == ()


async def test_a_changed_sound_is_a_change_by_itself(database: Database, tmp_path: Path) -> None:
    put_sound(tmp_path)
    await put(database, beside(tmp_path))
    id_ = (await stored(database)).audios[HELLO].id
    async with database.reading() as session:
        epoch = await read_epoch(session)
    put_sound(tmp_path, b"other")
    made = await put(database, beside(tmp_path))
    assert shown(made) == ["update audio audio/hello.wav"]
    assert "size_bytes: 3 -> 5" in str(made.changes[0])
    now = (await stored(database)).audios[HELLO]
    assert (now.sha256, now.id) == (hashlib.sha256(b"other").hexdigest(), id_)
    async with database.reading() as session:
        assert await read_epoch(session) == epoch + 1


async def test_prune_takes_sounds_that_nothing_names(database: Database, tmp_path: Path) -> None:
    put_sound(tmp_path)
    await put(database, beside(tmp_path))
    spoken = account(flows={"x": FlowState(flow(), published=flow())})
    assert shown(await put(database, spoken)) == ["update flow x", "publish flow x"]
    assert list((await stored(database)).audios) == [HELLO], "kept without prune"
    assert shown(await put(database, spoken, prune=True)) == ["delete audio audio/hello.wav"]
    assert (await stored(database)).audios == {}


async def test_sounds_may_be_listed(database: Database, tmp_path: Path) -> None:
    listed = f"\naudios: [{HELLO}]\n"
    with pytest.raises(AccountRefused) as refused:
        await put(database, beside(tmp_path, listed))
    assert [(each.code, each.pointer) for each in refused.value.problems] == [("unknown_file", "/audios/0")]
    put_sound(tmp_path)
    made = await put(database, beside(tmp_path, listed))
    assert shown(made) == ["create account demo", "create audio audio/hello.wav"]
    async with database.reading() as session:
        text = await accounts.export(session, "demo")
    assert yaml.safe_load(text)["audios"] == [HELLO]
    for prune in (False, True):
        back = read_account_file(text.encode(), tmp_path / "nowhere")
        assert (await put(database, back, prune=prune)).changes == ()


async def test_a_flow_may_name_a_sound_by_its_id(database: Database, tmp_path: Path) -> None:
    put_sound(tmp_path)
    await put(database, beside(tmp_path, f"\naudios: [{HELLO}]\n"))
    id_ = (await stored(database)).audios[HELLO].id
    spoken = flow(states={"message": {"type": "announcement", "prompt": {"audio": id_}}})
    named = account(flows={"x": FlowState(spoken, published=spoken)})
    for prune in (False, True):
        made = await put(database, named, prune=prune)
        assert made.audios[id_] == hashlib.sha256(b"one").hexdigest()
        assert list((await stored(database)).audios) == [HELLO], "in use, so it stays"
    with pytest.raises(AccountRefused, match="upload it"):
        await put(database, replace(named, key="other"))


async def test_an_export_has_draft_and_published_version_apart(database: Database) -> None:
    await put(database, account(flows={"x": FlowState(flow("Draft"), published=flow("Live"))}))
    async with database.reading() as session:
        text = await accounts.export(session, "demo")
        with pytest.raises(NotStored, match='no account "none"'):
            await accounts.export(session, "none")
    part = yaml.safe_load(text)["flows"]["x"]
    assert (part["publish"], part["document"]["name"], part["published"]["name"]) == (False, "Draft", "Live")
    assert (await put(database, read_account_file(text.encode(), Path()), prune=True)).changes == ()


async def test_two_who_apply_at_once_both_come_to_an_end(database: Database) -> None:
    """Either the second waits and finds nothing to do, or it is told to apply again."""
    outcomes = await asyncio.gather(
        *(accounts.apply_file(database, DEMO) for _ in range(4)), return_exceptions=True
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert all(
        isinstance(outcome, AccountRefused) and "apply it again" in str(outcome) for outcome in refused
    )
    assert len(refused) < 4
    assert (await accounts.apply_file(database, DEMO))[1].changes == ()


TEXTS = st.sampled_from(
    [
        "NO",
        "yes",
        "null",
        "~",
        "1e5",
        "0505",
        "a: b",
        "#x",
        "- x",
        "*",
        "&a",
        "O'Brien",
        '"x"',
        "花子",
        "\U0001f40c",
        "a  b",
    ]
)
KEYS = st.sampled_from(["main-line", "no", "9", "null"])
LANGUAGES = st.sampled_from(["ja-JP", "no", "en-US"])
DEVICES = st.lists(st.sampled_from(["PJSIP/a", "PJSIP/b", "PJSIP/c.d", "PJSIP/0"]), unique=True)
NUMBERS = st.sampled_from(["+815055550100", "+815055550101", "+12025550123", "+80012345678"])
COUNTRIES = {"+81": "JP", "+12": "US", "+80": "001"}
TYPES: st.SearchStrategy[NumberType] = st.sampled_from(["local", "mobile", "toll_free"])
FLOWS = st.builds(
    lambda name, text, keys, moved, goodbye: flow(
        name,
        description=text,
        start="menu",
        states={
            "menu": {"type": "ivr", "prompt": {"say": name}, "exits": dict.fromkeys(keys, "message")},
            "message": {"type": "voicemail", "prompt": {"say": text + "x"}, "max_duration_s": 20},
        },
        **({"layout": {"menu": [moved, 0.5]}} if moved else {}),
        **({"goodbye": {"say": name}} if goodbye else {}),
    ),
    TEXTS,
    st.text("a \n\t:#'é\u2028", max_size=8),
    st.lists(st.sampled_from(["1", "0", "*", "timeout"]), min_size=1, unique=True),
    st.integers(0, 3),
    st.booleans(),
)
FLOW_STATES = st.dictionaries(KEYS, st.builds(FlowState, FLOWS, st.booleans(), st.none() | FLOWS), max_size=2)
SETTINGS_OF = st.builds(
    Settings, TEXTS, st.sampled_from(["JP", "US", "NO"]), LANGUAGES, st.just("Asia/Tokyo"), st.just("JPY")
)


@st.composite
def states(draw: st.DrawFn) -> AccountState:
    """Draw an account whose parts fit together; its texts are those that YAML likes to misread."""
    flows = draw(FLOW_STATES)
    users: dict[str, UserState] = {}
    for index, device in enumerate(draw(DEVICES)):
        name = draw(TEXTS)
        mine = users.get(name, UserState(draw(TEXTS))).devices
        users[name] = UserState(name if index % 2 else "", (*mine, device))
    members = st.lists(st.sampled_from(list(users)), unique=True).map(tuple) if users else st.just(())
    numbers = {
        number: NumberState(COUNTRIES[number[:3]], draw(TYPES), draw(st.sampled_from([None, *flows])))
        for number in draw(st.lists(NUMBERS, unique=True))
    }
    groups = {
        name: GroupState(draw(TEXTS), draw(members))
        for name in draw(st.lists(TEXTS, unique=True, max_size=2))
    }
    return AccountState("demo", draw(SETTINGS_OF), numbers, users, groups, flows)


@pytest.fixture(scope="module")
def scratch(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scratch]:
    """A loop and an empty database for many examples: opening one anew costs more than the example."""
    path = shutil.copy(sqlite_template, tmp_path_factory.mktemp("scratch") / "scratch.db")
    with asyncio.Runner() as runner:
        opened = open_database(f"sqlite:///{path}")
        yield runner, runner.run(opened.__aenter__())
        runner.run(opened.__aexit__(None, None, None))


class _RollBack(Exception):
    """Leaves a transaction, so that the next example begins with an empty database."""


@given(first=states(), second=states())
def test_an_export_applies_back_to_no_change(
    scratch: Scratch, first: AccountState, second: AccountState
) -> None:
    """Whatever is applied, over whatever was there: it is stored as it is, again is nothing, and so is its export."""
    runner, database = scratch

    async def apply() -> None:
        async with database.writing() as session:
            for wanted in (first, second):
                made = await accounts.plan(session, as_file(wanted), prune=True)
                await accounts.apply(session, made)
                now = await read_state(session, made.account)
                again = await accounts.plan(session, as_file(wanted), prune=True)
                assert again.changes == ()
            text = await accounts.export(session, "demo")
            back = await accounts.plan(session, read_account_file(text.encode(), Path("nowhere")), prune=True)
            assert back.changes == ()
            assert {key: f.draft.pretty() for key, f in now.flows.items()} == {
                key: f.draft.pretty() for key, f in second.flows.items()
            }
            assert (now.settings, now.users, now.groups, now.numbers) == (
                second.settings,
                second.users,
                second.groups,
                second.numbers,
            )
            raise _RollBack

    with pytest.raises(_RollBack):
        runner.run(apply())


def test_the_demo_account_is_what_its_file_says() -> None:
    assert load_account_file(DEMO).places == {"main-line": "main-line.json#"}
