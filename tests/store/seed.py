"""An account with one published flow, one user, one group and one number, for tests of calls."""

from typing import Any, NamedTuple

from flowengine.call.events import CallArrived
from flowengine.call.record import CallRecord
from flowengine.flow import document
from flowengine.store import flows, tables
from flowengine.store.database import Database
from flowengine.store.ids import new_id

NOON = 1_790_000_000_000_000


class Seed(NamedTuple):
    account: str
    flow: str
    version: str


def flow(name: str = "Message line", **more: Any) -> document.Flow:
    message = {"type": "voicemail", "prompt": {"say": "Please leave a message."}}
    return document.parse(
        {"format": "flowengine/1", "name": name, "start": "message", "states": {"message": message}, **more}
    )


async def seed(database: Database, key: str = "demo", number: str = "+815055550100") -> Seed:
    """Store the account and give its ids."""
    account, user, group = new_id("acc"), new_id("usr"), new_id("grp")
    async with database.writing() as session:
        session.add(
            tables.Account(
                id=account,
                key=key,
                name="Demo",
                country="JP",
                language="en-US",
                time_zone="Asia/Tokyo",
                currency="JPY",
            )
        )
        await session.flush()
        session.add(tables.User(id=user, account_id=account, name="hanako", display_name="Hanako"))
        session.add(tables.Group(id=group, account_id=account, name="sales", description=""))
        flow_id = await flows.create_flow(session, account, "message-line", flow())
        version = await flows.publish(session, account, flow_id, flow())
        session.add(
            tables.Device(
                id=new_id("dev"), account_id=account, user_id=user, endpoint=f"PJSIP/{key}", position=0
            )
        )
        session.add(tables.GroupMember(account_id=account, group_id=group, user_id=user, position=0))
        session.add(
            tables.Number(
                id=new_id("num"), account_id=account, e164=number, country="JP", type="local", flow_id=flow_id
            )
        )
    return Seed(account, flow_id, version)


def arrived(seed: Seed, at: int = NOON) -> CallArrived:
    return CallArrived(at, "+815055550100", "+819055550199", seed.version)


def record(seed: Seed, at: int = NOON) -> CallRecord:
    return CallRecord(
        number="+815055550100",
        caller="+819055550199",
        version=seed.version,
        arrived_at=at,
        answered_at=at + 1,
        ended_at=at + 2,
        disposition="message",
        end_reason="completed",
        agents=(),
        path=(),
        recordings=(),
        faults=(),
    )
