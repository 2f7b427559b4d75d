"""Bringing accounts to the engine: account files with their sounds made first, and the secrets of telephones."""

import asyncio
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

from flowengine.ari.devices import DeviceSpec, digest_of, new_secret
from flowengine.config import Settings
from flowengine.flow.problems import Problem
from flowengine.sounds import AccountAudios, SharedAudio, open_prompts
from flowengine.store.account_file import AccountFile, load_account_file
from flowengine.store.account_model import account_problem
from flowengine.store.account_rows import find_account
from flowengine.store.accounts import Plan, apply_file, export
from flowengine.store.audios import list_audios
from flowengine.store.database import Database, open_database
from flowengine.store.devices import Kind, endpoints_of, set_digest
from flowengine.store.errors import NotStored
from flowengine.store.flows import bump_epoch
from flowengine.store.migrate import check_schema, upgrade
from recordings.errors import SoundError, SoundsUnavailable, SoundUnavailable
from recordings.files import replacing
from recordings.prompts import Fetches, Progress, PromptLibrary
from recordings.shelf import Shelf


async def apply_account(
    settings: Settings,
    file: Path,
    *,
    prune: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
    fetcher: Fetches | None = None,
) -> Plan:
    """Plan, take the sounds in, make those of everything published, apply. A dry run plans only.

    `fetcher` fetches what flows name by address; otherwise one that goes to public addresses only.

    Raises:
        AccountRefused: the file cannot come true; nothing was changed.
        SoundsUnavailable: a sound cannot be used or made; nothing was changed.
        StoreError: the database cannot be used.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    async with open_database(settings.database) as database:
        if database.is_sqlite:
            await upgrade(database)
        async with database.reading() as session:
            await check_schema(session)
        shared = SharedAudio(settings.audio_dir)
        read = await asyncio.to_thread(load_account_file, file)
        _, plan = await apply_file(database, read, prune=prune, dry_run=True, shared=shared)
        if dry_run:
            return plan
        shelf = Shelf(settings.uploads_dir)
        read = await _shelved(read, plan, shelf)
        audios = AccountAudios(shelf, {plan.account: plan.audios})
        making = _Making(plan, open_prompts(settings, audios, fetcher))
        await making.render(progress)
        _, plan = await apply_file(database, read, prune=prune, shared=shared)
        if making.sounds_other and not plan.changes:
            await _tell_engines(database)
        return replace(plan, notes=(*plan.notes, *making.notes))


class _Making:
    """The sounds of a plan being made."""

    def __init__(self, plan: Plan, prompts: PromptLibrary) -> None:
        self._plan = plan
        self._prompts = prompts
        self.notes: list[Problem] = []
        """What could not be fetched again."""
        self.sounds_other = False
        """Something sounds otherwise than it did, under the same key."""

    async def render(self, progress: Progress | None) -> None:
        wanted = [(self._plan.account, key) for key in self._plan.sounds]
        before = {key: self._prompts.lookup(key, account) for account, key in wanted}
        made = await self._prompts.render_all(wanted, progress, fetch_anew=self._kept)
        for (account, key), old in zip(wanted, before.values(), strict=True):
            self.sounds_other |= old is not None and old.path != made[account, key].path

    def _kept(self, _: str, error: SoundError) -> None:
        told = account_problem("sound_kept", "", f"{error}; callers go on hearing what was fetched before")
        self.notes.append(replace(told, severity="warning"))


async def _tell_engines(database: Database) -> None:
    async with database.writing() as session:
        await bump_epoch(session)


async def _shelved(file: AccountFile, plan: Plan, shelf: Shelf) -> AccountFile:
    """Bring the sounds beside a file to the shelf, those that are new; the file with their lengths.

    Raises `SoundsUnavailable` with all that cannot be used, `AccountRefused` when a file changed just now.
    """
    changed = {change.key for change in plan.changes if change.kind == "audio" and change.wanted is not None}
    durations: dict[str, int] = {}
    failures: dict[str, SoundError] = {}
    for name, audio in file.state.audios.items():
        if name not in changed and audio.sha256 in shelf:
            continue
        try:
            taken = await shelf.add(file.folder / name, name)
        except SoundError as error:
            failures[name] = error
            continue
        if taken.sha256 != audio.sha256:
            message = f"{name} was changed while it was read: apply again"
            raise file.refusal([account_problem("changed_meanwhile", "", message)])
        durations[taken.sha256] = taken.duration_ms
    if failures:
        raise SoundsUnavailable(failures)
    return file.measured(durations)


async def export_account(settings: Settings, key: str, folder: Path) -> Path:
    """Write an account into a folder: `<key>.yaml`, and its sounds beside it. Gives the path of the file.

    Raises:
        NotStored: there is no such account.
        SoundsUnavailable: uploads that are not on the shelf, or would lie where something else does.
        StoreError: the database cannot be used.
        OSError: the folder cannot be written.
    """
    async with open_database(settings.database) as database, database.reading() as session:
        text = await export(session, key)
        account = await find_account(session, key)
        sounds = (
            [] if account is None else [(row.name, row.sha256) for row in await list_audios(session, account)]
        )
    target = folder / f"{key}.yaml"
    await asyncio.to_thread(_write_out, Shelf(settings.uploads_dir), sounds, target)
    await asyncio.to_thread(target.write_text, text, encoding="utf-8")
    return target


def _write_out(shelf: Shelf, sounds: list[tuple[str, str]], file: Path) -> None:
    folder = file.parent
    folder.mkdir(parents=True, exist_ok=True)
    failures: dict[str, SoundError] = {}
    for name, sha256 in sounds:
        path = folder / name
        mend = "rename the sound, or export into an empty folder"
        if not path.resolve().is_relative_to(folder.resolve()) or path in (file, folder) or path.is_dir():
            failures[name] = SoundUnavailable(name, "it cannot lie beside the account file", mend)
        elif sha256 not in shelf:
            failures[name] = SoundUnavailable(name, "its upload is not on the shelf", "upload it again")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as part:
                shutil.copyfile(shelf.path(sha256), part)
    if failures:
        raise SoundsUnavailable(failures)


@dataclass(frozen=True)
class DeviceSecret:
    """A device and the secret it registers with from now on; None: it has no account any more."""

    endpoint: str
    secret: str | None = field(repr=False)


async def renew_device(
    settings: Settings, account: str, user: str, endpoint: str, *, kind: Kind, remove: bool
) -> DeviceSecret:
    """Give a user's device a new secret, of which only the digest is kept.

    Args:
        settings: of this installation.
        account: the key of the account.
        user: whose device.
        endpoint: which of them ("PJSIP/hanako"); "" when there is but one.
        kind: what it is.
        remove: take its account away instead.

    Raises:
        NotStored: no such user, or not one device that is meant.
        BadDevice: the device has a name that no SIP account can have.
        StoreError: the database cannot be used.
    """
    async with open_database(settings.database) as database:
        async with database.reading() as session:
            await check_schema(session)
            known = await endpoints_of(session, account, user)
        if endpoint not in known and (endpoint or len(known) != 1):
            which = ", ".join(known) or "none; add one to the account file"
            raise NotStored(f'which device of "{user}" is meant? There is: {which}')
        chosen = endpoint or known[0]
        name = chosen.removeprefix("PJSIP/")
        secret = None if remove else new_secret()
        digest = (
            None
            if secret is None
            else DeviceSpec(name=name, digest=digest_of(name, secret), kind=kind).digest
        )
        async with database.writing() as session:
            await set_digest(session, chosen, digest, kind)
        return DeviceSecret(chosen, secret)
