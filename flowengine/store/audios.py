"""Sounds which an account uploaded: a name, and the bytes by their sha256, which lie on the shelf (`recordings.shelf`).

Flows name a sound by its id, or by its name, which is a path as in an account file. So a sound that a flow names is
neither removed nor renamed, and the refusal says where it is named. Its bytes may be replaced: whoever does that has
shelved and rendered them before, for calls hear them from the commit on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError
from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.flow import document
from flowengine.flow.prompts import Audio as AudioPrompt
from flowengine.store.audio_places import audio_places
from flowengine.store.errors import NotStored, StoreError
from flowengine.store.flows import bump_epoch
from flowengine.store.ids import LENGTH, new_id
from flowengine.store.tables import Audio, Flow, FlowVersion

ID_BEGINS: Final = "aud_"


class AudioRefused(StoreError):
    """A sound cannot have this name: no path, or taken."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sound is in use: the key of the flow, in which of its documents, the state (None: none), the field."""

    flow: str
    version: str
    """draft or published."""
    state: str | None
    field: str

    def __str__(self) -> str:
        """Say it to people."""
        state = f", state {self.state}" if self.state else ""
        return f"flow {self.flow} ({self.version}){state}, {self.field}"


class AudioInUse(StoreError):
    """A sound that flows name cannot go; `places` says where."""

    def __init__(self, name: str, places: Sequence[Place]) -> None:
        """Keep the places; the text lists them."""
        self.places = tuple(places)
        listed = "; ".join(map(str, places))
        super().__init__(f'the sound "{name}" is in use: choose another one there first: {listed}')


@dataclass(frozen=True, slots=True)
class Uploaded:
    """The bytes of a sound: what `recordings.shelf.Shelf.add` says of them."""

    sha256: str
    size_bytes: int
    duration_ms: int


async def add_audio(session: AsyncSession, account: str, name: str, sound: Uploaded) -> str:
    """Give an account a sound, and give its id (`aud_...`). Raises `AudioRefused`."""
    id_ = new_id("aud")
    row = Audio(
        id=id_,
        account_id=account,
        name=_checked(name),
        sha256=sound.sha256,
        size_bytes=sound.size_bytes,
        duration_ms=sound.duration_ms,
    )
    try:
        async with session.begin_nested():
            session.add(row)
    except IntegrityError:
        raise _taken(name) from None
    await bump_epoch(session)
    return id_


async def list_audios(session: AsyncSession, account: str) -> list[Audio]:
    """Give the sounds of an account, by name."""
    rows = await session.scalars(select(Audio).where(Audio.account_id == account).order_by(Audio.name))
    return list(rows)


async def names(session: AsyncSession, account: str) -> dict[str, str]:
    """Give the sha256 of each sound of an account, by its name and by its id: what flows may name."""
    known: dict[str, str] = {}
    for row in await list_audios(session, account):
        known |= {row.id: row.sha256, row.name: row.sha256}
    return known


async def rename_audio(session: AsyncSession, account: str, audio: str, name: str) -> None:
    """Call a sound otherwise. Raises `NotStored`, `AudioRefused`, `AudioInUse` when flows know it by its name."""
    row = await _row(session, account, audio)
    if row.name == name:
        return
    if places := await _places(session, account, {row.name}):
        raise AudioInUse(row.name, places)
    try:
        async with session.begin_nested():
            await session.execute(update(Audio).where(Audio.id == row.id).values(name=_checked(name)))
    except IntegrityError:
        raise _taken(name) from None
    await bump_epoch(session)


async def replace_audio(session: AsyncSession, account: str, audio: str, sound: Uploaded) -> None:
    """Give a sound other bytes, in every flow that names it, drafts and published ones. Raises `NotStored`."""
    row = await _row(session, account, audio)
    row.sha256, row.size_bytes, row.duration_ms = sound.sha256, sound.size_bytes, sound.duration_ms
    await session.flush()
    await bump_epoch(session)


async def remove_audio(session: AsyncSession, account: str, audio: str) -> None:
    """Take a sound from its account; its bytes go with the next sweep of the shelf.

    Raises `NotStored`, and `AudioInUse` while a draft or a published flow names it.
    """
    row = await _row(session, account, audio)
    if places := await _places(session, account, {row.name, row.id}):
        raise AudioInUse(row.name, places)
    await session.execute(delete(Audio).where(Audio.account_id == account, Audio.id == row.id))
    await bump_epoch(session)


async def audio_uses(session: AsyncSession, account: str, audio: str) -> list[Place]:
    """Give every place where flows name a sound, by its id or its name. Raises `NotStored`."""
    row = await _row(session, account, audio)
    return await _places(session, account, {row.name, row.id})


async def shelved(session: AsyncSession) -> set[str]:
    """Give the sha256 of every sound of every account: what a sweep of the shelf must leave."""
    return set(await session.scalars(select(Audio.sha256).distinct()))


async def _row(session: AsyncSession, account: str, audio: str) -> Audio:
    row: Audio | None = await session.scalar(
        select(Audio).where(Audio.account_id == account, Audio.id == audio).with_for_update()
    )
    if row is None:
        raise NotStored(f"there is no sound {audio} in this account: it may have been removed")
    return row


async def _places(session: AsyncSession, account: str, called: set[str]) -> list[Place]:
    published = (FlowVersion.flow_id == Flow.id) & (FlowVersion.sha256 == Flow.published_version)
    rows = await session.execute(
        select(Flow.key, Flow.draft, FlowVersion.document)
        .join(FlowVersion, published, isouter=True)
        .where(Flow.account_id == account, Flow.deleted_at.is_(None))
        .order_by(Flow.key)
    )
    found = []
    for key, draft, running in rows:
        for version, stored in (("draft", draft), ("published", running)):
            for state, field, audio in audio_places(document.parse(stored)) if stored is not None else ():
                if audio in called:
                    found.append(Place(key, version, state, field))
    return found


def _checked(name: str) -> str:
    try:
        if not name or not name.isprintable() or (name.startswith(ID_BEGINS) and len(name) == LENGTH):
            raise ValueError
        return AudioPrompt(audio=name).audio
    except (ValidationError, ValueError):
        raise AudioRefused(
            f"a sound cannot be called {name[:60]!r}: give it a name such as audio/welcome.wav, without .. and :"
        ) from None


def _taken(name: str) -> AudioRefused:
    return AudioRefused(
        f'the account has another sound called "{name}": choose another name, or replace that one'
    )
