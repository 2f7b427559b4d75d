"""The tables: one class each, no relationships, for every query says itself what it joins.

Rules kept by the database and not by care: an E.164 number and a device endpoint exist once; names are unique
within their account; and a row can only point at rows of its own account, since the references carry
`account_id` along. Instants (`*_at` of calls and the journal) are BIGINT microseconds since the Unix epoch, UTC;
times for people are `UtcDateTime`.
"""

from flowengine.store.tables.accounts import (
    Account,
    CatalogEpoch,
    Device,
    Flow,
    FlowVersion,
    Group,
    GroupMember,
    Number,
    User,
)
from flowengine.store.tables.base import Base
from flowengine.store.tables.calls import Call, JournalRow
from flowengine.store.tables.desk import Desk, DeskAgent, DeskOutbox, DeviceInReach, LineVisit
from flowengine.store.tables.ledger import Hold, LedgerAccount, Transfer
from flowengine.store.tables.money import OfferedNumber, Purchase, RateRow, Subscription
from flowengine.store.tables.sound import Audio, Notification, Recording

__all__ = [
    "Account",
    "Audio",
    "Base",
    "Call",
    "CatalogEpoch",
    "Desk",
    "DeskAgent",
    "DeskOutbox",
    "Device",
    "DeviceInReach",
    "Flow",
    "FlowVersion",
    "Group",
    "GroupMember",
    "Hold",
    "JournalRow",
    "LedgerAccount",
    "LineVisit",
    "Notification",
    "Number",
    "OfferedNumber",
    "Purchase",
    "RateRow",
    "Recording",
    "Subscription",
    "Transfer",
    "User",
]
