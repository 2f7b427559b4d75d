"""Accounts as code: what a file would change, changing it, and writing an account down.

`plan` and `apply` belong into one transaction (`Database.writing`): either the whole file comes true or nothing
changes, and applying a file twice changes nothing the second time. A flow is published only if it has no errors
with the people, groups, numbers and sounds the account will then have.
"""

from collections.abc import AsyncIterator, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.call.machine import standard_sounds
from flowengine.flow import graph
from flowengine.flow.document import Flow
from flowengine.flow.problems import Problem, pointer
from flowengine.store import tables
from flowengine.store.account_file import AccountFile, load_account_file, placed
from flowengine.store.account_model import FORMAT, account_problem
from flowengine.store.account_rows import find_account, read_state
from flowengine.store.account_state import AccountState, AudioState, Change, FlowState, changes
from flowengine.store.account_steps import take_steps
from flowengine.store.audio_places import audio_places
from flowengine.store.database import Database
from flowengine.store.errors import AccountRefused, NotStored
from flowengine.store.flows import as_json
from flowengine.store.ids import new_id
from flowengine.store.phone import read_number
from flowengine.store.yaml_text import write_yaml


@dataclass(frozen=True)
class Plan:
    """What applying a file will do.

    Attributes:
        account: the id of the account, also of one that is yet to be made.
        changes: the steps, in order; `str()` of each shows it to people.
        notes: what is worth knowing and stops nothing: warnings, and the problems of drafts that stay drafts.
        sounds: the sound key of everything the published flows of the account can play.
        audios: the sha256 of each sound the account will then have, by its name and by its id if it has one.
    """

    account: str
    changes: tuple[Change, ...]
    notes: tuple[Problem, ...]
    sounds: tuple[str, ...]
    audios: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Directory:
    """What the flows of the account can name once the plan is applied."""

    users: frozenset[str]
    groups: dict[str, tuple[str, ...]]
    audio: "_Either"


@dataclass(frozen=True)
class _Either:
    """What is in the one or in the other."""

    own: Container[str]
    shared: Container[str]

    def __contains__(self, audio: object) -> bool:
        return audio in self.own or audio in self.shared


async def plan(
    session: AsyncSession, file: AccountFile, *, prune: bool = False, shared: Container[str] = ()
) -> Plan:
    """Compare a file with what is stored.

    Args:
        session: of the transaction in which the plan will be applied.
        file: what the account shall be.
        prune: whatever of the account is not in the file goes; without it, it stays. A sound stays as long as a
            flow names it.
        shared: names of sounds that every account may use without owning them.

    Raises:
        AccountRefused: with everything in the way: numbers and devices of others, unknown members, and every
            error of every flow that is to be published or stays published.
    """
    known = await find_account(session, file.state.key, lock=True)
    stored = await read_state(session, known) if known is not None else None
    account = known or new_id("acc")
    wanted = _with_audios(file, stored)
    kept = stored if stored is not None and not prune else AccountState(wanted.key, wanted.settings)
    audios = _by_name_and_id({**kept.audios, **wanted.audios})
    directory = _Directory(
        users=frozenset({**kept.users, **wanted.users}),
        groups={name: group.members for name, group in {**kept.groups, **wanted.groups}.items()},
        audio=_Either(audios, shared),
    )

    found = [problem async for problem in _taken(session, account, wanted, kept)]
    found += _missing_audios(file, wanted)
    found += _unknown_members(wanted, directory)
    published = dict(_published(file, stored, kept))
    for key, (flow, place) in published.items():
        found += placed(graph.problems(flow, directory), place, key)
    errors = [problem for problem in found if problem.severity == "error"]
    if errors:
        raise file.refusal(errors)
    for key, state in wanted.flows.items():
        if key not in published:
            found += placed(graph.problems(state.draft, directory), file.places[key], key)
    return Plan(
        account,
        tuple(changes(stored, wanted, prune=prune)),
        tuple(found),
        sounds(flow for flow, _ in published.values()),
        audios,
    )


async def apply(session: AsyncSession, made: Plan) -> None:
    """Take the steps of a plan, in the transaction in which it was made."""
    try:
        await take_steps(session, made.account, made.changes)
    except IntegrityError:
        message = "somebody else took a number, a device or a name of this file just now: apply it again"
        raise AccountRefused([account_problem("changed_meanwhile", "", message)]) from None


async def apply_file(
    database: Database,
    file: Path | AccountFile,
    *,
    prune: bool = False,
    dry_run: bool = False,
    shared: Container[str] = (),
) -> tuple[AccountFile, Plan]:
    """Read a file, plan and, unless it is a dry run, apply it, all in one transaction. Raises as `plan` does."""
    if isinstance(file, Path):
        file = load_account_file(file)
    async with database.writing() as session:
        made = await plan(session, file, prune=prune, shared=shared)
        if not dry_run:
            await apply(session, made)
    return file, made


async def export(session: AsyncSession, key: str) -> str:
    """Write an account as a file (YAML) which, applied, changes nothing; raises `NotStored`."""
    account = await find_account(session, key)
    if account is None:
        raise NotStored(f'there is no account "{key}"')
    return write_yaml(_as_file(await read_state(session, account)))


def sounds(flows: Iterable[Flow]) -> tuple[str, ...]:
    """Give the sound keys these flows can play, each once: what must be ready before they take calls."""
    return tuple(dict.fromkeys(sound for flow in flows for sound in (*flow.sounds(), *standard_sounds(flow))))


def _with_audios(file: AccountFile, stored: AccountState | None) -> AccountState:
    """Give what the file wants, with the stored sounds that it lists, or its flows name, and that lie elsewhere."""
    wanted = file.state
    if stored is None:
        return wanted
    documents = [each for flow in wanted.flows.values() for each in (flow.draft, flow.published) if each]
    running = [before.published for key, before in stored.flows.items() if key in wanted.flows]
    documents += [each for each in running if each is not None]
    used = {audio for flow in documents for _, _, audio in audio_places(flow)} | file.elsewhere.keys()
    known = {name: audio for name, audio in stored.audios.items() if name in used or audio.id in used}
    mine = {
        name: replace(audio, id=stored.audios[name].id if name in stored.audios else "")
        for name, audio in wanted.audios.items()
    }
    return replace(wanted, audios={**known, **mine})


def _by_name_and_id(audios: Mapping[str, AudioState]) -> dict[str, str]:
    by_name = {name: audio.sha256 for name, audio in audios.items()}
    return by_name | {audio.id: audio.sha256 for audio in audios.values() if audio.id}


def _missing_audios(file: AccountFile, wanted: AccountState) -> Iterator[Problem]:
    for name, at in file.elsewhere.items():
        if name not in wanted.audios:
            message = (
                f"{name} is not a file below the folder of the account file: put it there, or remove it here"
            )
            yield account_problem("unknown_file", at, message)


async def _taken(
    session: AsyncSession, account: str, wanted: AccountState, kept: AccountState
) -> AsyncIterator[Problem]:
    """Name the numbers and devices which belong to somebody else."""
    number, device = tables.Number, tables.Device
    others: set[str] = set()
    for some in _portions(wanted.numbers):
        query = select(number.e164).where(number.e164.in_(some), number.account_id != account)
        others.update(await session.scalars(query))
    for index, e164 in enumerate(wanted.numbers):
        if e164 in others:
            message = f"the number {e164} belongs to another account: remove it here, or there first"
            yield account_problem("number_taken", pointer("numbers", index), message)
    places = {
        endpoint: (name, index)
        for name, user in wanted.users.items()
        for index, endpoint in enumerate(user.devices)
    }
    owners: dict[str, str] = {}
    for some in _portions(places):
        query = select(device.endpoint).where(device.endpoint.in_(some), device.account_id != account)
        owners |= dict.fromkeys(await session.scalars(query), "another account")
    for name, user in kept.users.items():
        if name not in wanted.users:
            owners |= dict.fromkeys(user.devices, f'the user "{name}"')
    for endpoint, (name, index) in places.items():
        if endpoint in owners:
            message = f"the device {endpoint} belongs to {owners[endpoint]}: remove it here, or there first"
            yield account_problem("device_taken", pointer("users", name, "devices", index), message)


def _portions(keys: Iterable[str]) -> Iterator[list[str]]:
    """Give as many at a time as a statement may have parameters, and far fewer."""
    left = iter(keys)
    while some := list(islice(left, 1_000)):
        yield some


def _unknown_members(wanted: AccountState, directory: _Directory) -> Iterator[Problem]:
    for name, group in wanted.groups.items():
        for index, member in enumerate(group.members):
            if member not in directory.users:
                message = f'the member "{member}" is no user of the account: add it to users, or correct its spelling'
                yield Problem(
                    "unknown_member", None, None, pointer("groups", name, "members", index), message
                )


def _published(
    file: AccountFile, stored: AccountState | None, kept: AccountState
) -> Iterator[tuple[str, tuple[Flow, str]]]:
    """Give every flow that is published when the plan is applied, with where its document is."""
    before = stored.flows if stored is not None else {}
    for key, state in file.state.flows.items():
        if state.published is not None:
            here = file.places[key] if state.published is state.draft else pointer("flows", key, "published")
            yield key, (state.published, here)
        elif key in before and (running := before[key].published) is not None:
            yield key, (running, pointer("flows", key))
    for key, state in kept.flows.items():
        if key not in file.state.flows and state.published is not None:
            yield key, (state.published, "")


def _as_file(state: AccountState) -> dict[str, Any]:
    settings = state.settings
    numbers: list[Any] = []
    for e164, number in state.numbers.items():
        usual = read_number(e164, settings.country).type
        numbers.append(e164 if number.type == usual else {"number": e164, "type": number.type})
    return {
        "format": FORMAT,
        "account": {"key": state.key, **vars(settings)},
        "numbers": numbers,
        "users": {
            name: {"display_name": user.display_name, "devices": list(user.devices)}
            for name, user in state.users.items()
        },
        "groups": {
            name: {"description": group.description, "members": list(group.members)}
            for name, group in state.groups.items()
        },
        "flows": {key: _flow_as_file(state, key, flow) for key, flow in state.flows.items()},
        **({"audios": sorted(state.audios)} if state.audios else {}),
    }


def _flow_as_file(state: AccountState, key: str, flow: FlowState) -> dict[str, Any]:
    part: dict[str, Any] = {
        "numbers": [e164 for e164, number in state.numbers.items() if number.flow == key],
        "enabled": flow.enabled,
        "publish": flow.published is not None and flow.published.sha256() == flow.draft.sha256(),
        "document": as_json(flow.draft),
    }
    if flow.published is not None and not part["publish"]:
        part["published"] = as_json(flow.published)
    return part
