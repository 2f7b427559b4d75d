"""Bringing accounts to the engine: account files with their sounds made first, and the secrets of telephones."""

from dataclasses import dataclass, field
from pathlib import Path

from flowengine.ari.devices import DeviceSpec, digest_of, new_secret
from flowengine.config import Settings
from flowengine.store.accounts import Plan, apply_file
from flowengine.store.database import open_database
from flowengine.store.devices import Kind, endpoints_of, set_digest
from flowengine.store.errors import NotStored
from flowengine.store.migrate import check_schema, upgrade
from recordings.prompts import Progress, PromptLibrary
from recordings.speech import EspeakSpeech


async def apply_account(
    settings: Settings,
    file: Path,
    *,
    prune: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Plan:
    """Plan, make the sounds of everything published, apply. A dry run plans only, even in a new database.

    Raises:
        AccountRefused: the file cannot come true; nothing was changed.
        SoundsUnavailable: a sound of a published flow cannot be made; nothing was changed.
        StoreError: the database cannot be used.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    async with open_database(settings.database) as database:
        if database.is_sqlite:
            await upgrade(database)
        async with database.reading() as session:
            await check_schema(session)
        read, plan = await apply_file(database, file, prune=prune, dry_run=True)
        if dry_run:
            return plan
        prompts = PromptLibrary(
            settings.prompts_dir.resolve(), EspeakSpeech(), settings.audio_dir or read.folder
        )
        await prompts.render_all(plan.sounds, progress)
        _, plan = await apply_file(database, file, prune=prune)
        return plan


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
