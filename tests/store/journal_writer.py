"""A process that writes journals until it is killed, and says on stdout which rows it was told are safe."""

import asyncio
import os
import sys
from itertools import count

from flowengine.call.events import DigitPressed
from flowengine.store.database import open_database
from flowengine.store.journal import DatabaseJournal


async def write(journal: DatabaseJournal, call: str, account: str, flow: str, version: str) -> None:
    await journal.open(call, account, flow, version, 0)
    for seq in count():
        await journal.append(call, seq, DigitPressed(seq, "caller", "5"), "0123456789abcdef")
        os.write(1, f"{call} {seq}\n".encode())


async def main(url: str, account: str, flow: str, version: str) -> None:
    async with open_database(url) as database, DatabaseJournal(database) as journal:
        await asyncio.gather(*(write(journal, f"cal_{n}", account, flow, version) for n in range(20)))


asyncio.run(main(*sys.argv[1:]))
