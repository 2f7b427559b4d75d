"""Keeps Asterisk's SIP accounts what the database says: after each connect, and after each change."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import structlog

from flowengine.ari.devices import DeviceProvisioner, DeviceSpec, LineSettings
from flowengine.ari.errors import AriError
from flowengine.ari.switch import AriSwitch
from flowengine.store.database import Database
from flowengine.store.devices import SipAccount, sip_accounts

log = structlog.get_logger(__name__)


def spec_of(account: SipAccount) -> DeviceSpec:
    """An account as Asterisk is to have it."""
    return DeviceSpec(name=account.endpoint.removeprefix("PJSIP/"), digest=account.digest, kind=account.kind)


@contextlib.asynccontextmanager
async def keeping(
    database: Database, switch: AriSwitch, line: LineSettings
) -> AsyncIterator[Callable[[], None]]:
    """Reconcile in the background for as long as the context is open; gives what asks for it."""
    asked = asyncio.Event()
    provisioner = DeviceProvisioner(switch.client, line)

    async def wanted() -> list[DeviceSpec]:
        async with database.reading() as session:
            return [spec_of(account) for account in await sip_accounts(session)]

    async def keep() -> None:
        while True:
            await asked.wait()
            asked.clear()
            try:
                report = await provisioner.reconcile(wanted)
            except AriError as error:
                log.warning("SIP accounts not reconciled, again at the next connect", problem=str(error))
                continue
            except Exception:
                log.exception("SIP accounts not reconciled")
                continue
            if report.created or report.updated or report.removed or report.refused:
                log.info(
                    "SIP accounts reconciled",
                    created=len(report.created),
                    updated=len(report.updated),
                    removed=len(report.removed),
                    refused=list(report.refused),
                )

    switch.on_ready = asked.set
    task = asyncio.create_task(keep(), name="sip accounts")
    try:
        yield asked.set
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
