"""Finished recordings on Asterisk: read them, delete them, and find out how long they are.

The events of Asterisk do not suffice for that. They give whole seconds; after a recording that silence ended these
are wrong (one second too many, and silence left out); and when a bridge is destroyed, the event of its recording is
sometimes lost altogether. The file is always right.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from flowengine.ari.client import AriClient, AriRefused, AriResponse
from flowengine.ari.names import sides_of
from flowengine.ari.translate import NOT_FOUND
from flowengine.call import commands
from flowengine.call.commands import SwitchCommand
from flowengine.ports import RecordingMissing

WAV_HEADER_BYTES: Final = 44
WAV_BYTES_A_MS: Final = 16
"""Asterisk's format `wav`: 16-bit mono at 8 kHz."""


async def read(client: AriClient, name: str) -> AsyncIterator[bytes]:
    """A finished recording as WAV, in pieces. Raises `RecordingMissing`, and `AriError` without Asterisk."""
    try:
        async for piece in client.download(f"recordings/stored/{name}/file"):
            yield piece
    except AriRefused as refusal:
        if refusal.status == NOT_FOUND:
            raise RecordingMissing(f"Asterisk has no finished recording {name}") from None
        raise


async def delete(client: AriClient, name: str) -> bool:
    """Delete a finished recording; False for one that is not there. Raises `AriError`."""
    return await is_there(client.send("DELETE", f"recordings/stored/{name}", lane=name))


async def is_stored(client: AriClient, name: str) -> bool:
    """Whether there is such a finished recording. Raises `AriError`."""
    return await is_there(client.send("GET", f"recordings/stored/{name}", lane=name))


def names(name: str, made_by: SwitchCommand | None) -> tuple[str, ...]:
    """What a recording is called on Asterisk: one name, or two if its sides are kept apart."""
    return sides_of(name) if isinstance(made_by, commands.Record) and made_by.sides else (name,)


async def is_there_as_a_whole(client: AriClient, name: str, made_by: SwitchCommand | None) -> bool:
    """Whether a recording that was to have two sides has one, for nobody was let listen. Raises `AriError`."""
    if names(name, made_by) == (name,):
        return False
    return await runs(client, name) or await is_stored(client, name)


async def runs(client: AriClient, name: str) -> bool:
    """Whether a recording is still being made. Raises `AriError`."""
    return await is_there(client.send("GET", f"recordings/live/{name}", lane=name))


async def length_ms(client: AriClient, name: str) -> int:
    """How long a finished recording is, by its file. Raises `RecordingMissing` and `AriError`."""
    size = 0
    async for piece in read(client, name):
        size += len(piece)
    return max(0, size - WAV_HEADER_BYTES) // WAV_BYTES_A_MS


async def is_there(answer: "asyncio.Future[AriResponse]") -> bool:
    """Whether a request found its thing; False for 404. Raises `AriError` for any other failure."""
    try:
        await answer
    except AriRefused as refusal:
        if refusal.status == NOT_FOUND:
            return False
        raise
    return True
