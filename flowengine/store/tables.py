"""The tables: one class each, no relationships, for every query says itself what it joins.

Rules kept by the database and not by care: an E.164 number and a device endpoint exist once; names are unique
within their account; and a row can only point at rows of its own account, since the references carry
`account_id` along. Instants (`*_at` of calls and the journal) are BIGINT microseconds since the Unix epoch, UTC;
times for people are `UtcDateTime`.
"""

from datetime import UTC, datetime
from typing import Annotated, Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from flowengine.store.types import UtcDateTime

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
"""Names of constraints, so that a migration can name what it changes."""

Id = Annotated[str, mapped_column(String(40), primary_key=True)]
Ref = Annotated[str, mapped_column(String(40))]
Name = Annotated[str, mapped_column(String(200))]
Code = Annotated[str, mapped_column(String(40))]
Sha256 = Annotated[str, mapped_column(String(64))]
Instant = Annotated[int, mapped_column(BigInteger)]
Json = Annotated[dict[str, Any], mapped_column(JSON)]
Moment = Annotated[datetime, mapped_column(UtcDateTime)]


def _now() -> datetime:
    return datetime.now(UTC)


class Base(DeclarativeBase):
    """What all tables share."""

    metadata = MetaData(naming_convention=NAMES)


def _account() -> Mapped[str]:
    return mapped_column(String(40), ForeignKey("accounts.id"))


def _own(table: str, column: str, *, cascade: bool = False) -> ForeignKeyConstraint:
    """Refer to a row of the same account, and by it to the account; with `cascade` this row goes with that one."""
    ondelete = "CASCADE" if cascade else None
    return ForeignKeyConstraint(
        ["account_id", column], [f"{table}.account_id", f"{table}.id"], ondelete=ondelete
    )


class Account(Base):
    """A company. `key` is its name in account files."""

    __tablename__ = "accounts"

    id: Mapped[Id]
    key: Mapped[Code] = mapped_column(String(63), unique=True)
    name: Mapped[Name]
    country: Mapped[str] = mapped_column(String(2))
    """ISO 3166: the country in which its numbers are read."""
    language: Mapped[Code]
    time_zone: Mapped[str] = mapped_column(String(64))
    currency: Mapped[str] = mapped_column(String(3))
    wrap_up_s: Mapped[int] = mapped_column(server_default=text("0"))
    """How long an agent has after a talk to write things down."""
    pause_after_misses: Mapped[int] = mapped_column(server_default=text("0"))
    """So many unanswered offers in a row pause an agent; 0: never."""
    created_at: Mapped[Moment] = mapped_column(UtcDateTime, default=_now)


class Flow(Base):
    """A call flow: its draft, and which of its versions takes calls. Deleted ones stay for the history."""

    __tablename__ = "flows"
    __table_args__ = (
        UniqueConstraint("account_id", "id"),
        Index(
            None,
            "account_id",
            "key",
            unique=True,
            sqlite_where=text("deleted_at IS NULL"),
            postgresql_where=text("deleted_at IS NULL"),
        ),
    )

    id: Mapped[Id]
    account_id: Mapped[str] = _account()
    key: Mapped[str] = mapped_column(String(63))
    name: Mapped[Name]
    description: Mapped[str] = mapped_column(Text)
    enabled: Mapped[bool]
    draft: Mapped[Json]
    draft_revision: Mapped[int]
    """Counts the saves of the draft: who saves must name the revision it read."""
    published_version: Mapped[str | None] = mapped_column(String(64))
    """sha256 of a row of `flow_versions`; no foreign key, for the two tables would need each other first."""
    created_at: Mapped[Moment] = mapped_column(UtcDateTime, default=_now)
    updated_at: Mapped[Moment] = mapped_column(UtcDateTime, default=_now, onupdate=_now)
    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class FlowVersion(Base):
    """A published document. Never changed and never deleted: a call can be replayed as long as it is kept."""

    __tablename__ = "flow_versions"
    __table_args__ = (_own("flows", "flow_id"),)

    flow_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    account_id: Mapped[Ref]
    document: Mapped[Json]
    message: Mapped[str] = mapped_column(Text)
    published_at: Mapped[Moment] = mapped_column(UtcDateTime, default=_now)


class Number(Base):
    """A purchased number, attached to at most one flow."""

    __tablename__ = "numbers"
    __table_args__ = (
        CheckConstraint("type IN ('local', 'mobile', 'toll_free')", name="type"),
        _own("flows", "flow_id"),
    )

    id: Mapped[Id]
    account_id: Mapped[str] = _account()
    e164: Mapped[str] = mapped_column(String(16), unique=True)
    country: Mapped[str] = mapped_column(String(3))
    """ISO 3166, or 001 for a number of no country."""
    type: Mapped[str] = mapped_column(String(16))
    flow_id: Mapped[str | None] = mapped_column(String(40), index=True)
    created_at: Mapped[Moment] = mapped_column(UtcDateTime, default=_now)


class User(Base):
    """Somebody who takes calls. Flows name a user by `name`."""

    __tablename__ = "users"
    __table_args__ = (UniqueConstraint("account_id", "id"), UniqueConstraint("account_id", "name"))

    id: Mapped[Id]
    account_id: Mapped[str] = _account()
    name: Mapped[str] = mapped_column(String(100))
    display_name: Mapped[Name]
    created_at: Mapped[Moment] = mapped_column(UtcDateTime, default=_now)


class Device(Base):
    """A telephone of a user, as the switch dials it (`PJSIP/hanako`); `position` orders them."""

    __tablename__ = "devices"
    __table_args__ = (_own("users", "user_id", cascade=True),)

    id: Mapped[Id]
    account_id: Mapped[Ref]
    user_id: Mapped[str] = mapped_column(String(40), index=True)
    endpoint: Mapped[str] = mapped_column(String(100), unique=True)
    position: Mapped[int]
    kind: Mapped[str] = mapped_column(String(16), default="sip", server_default="sip")
    """sip or browser."""
    digest: Mapped[str | None] = mapped_column(String(32))
    """Lets the device register with the account the engine makes; null: an account that is not ours to make."""


class Group(Base):
    """Users who are rung together. Flows name a group by `name`."""

    __tablename__ = "groups"
    __table_args__ = (UniqueConstraint("account_id", "id"), UniqueConstraint("account_id", "name"))

    id: Mapped[Id]
    account_id: Mapped[str] = _account()
    name: Mapped[str] = mapped_column(String(100))
    description: Mapped[str] = mapped_column(Text)
    created_at: Mapped[Moment] = mapped_column(UtcDateTime, default=_now)


class GroupMember(Base):
    """A user in a group; `position` is the order in which the group lists its members."""

    __tablename__ = "group_members"
    __table_args__ = (_own("groups", "group_id", cascade=True), _own("users", "user_id", cascade=True))

    group_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    user_id: Mapped[str] = mapped_column(String(40), primary_key=True, index=True)
    account_id: Mapped[Ref]
    position: Mapped[int]


class Call(Base):
    """A call, running (`disposition` is null) or done. Pinned to the version it began with."""

    __tablename__ = "calls"
    __table_args__ = (
        UniqueConstraint("account_id", "id"),
        _own("flows", "flow_id"),
        ForeignKeyConstraint(["flow_id", "version"], ["flow_versions.flow_id", "flow_versions.sha256"]),
        Index(None, "account_id", "arrived_at"),
        Index(
            "ix_calls_running",
            "id",
            sqlite_where=text("disposition IS NULL"),
            postgresql_where=text("disposition IS NULL"),
        ),
    )

    id: Mapped[Id]
    account_id: Mapped[Ref]
    flow_id: Mapped[Ref]
    version: Mapped[Sha256]
    number: Mapped[str] = mapped_column(String(100))
    caller: Mapped[str] = mapped_column(String(100))
    arrived_at: Mapped[Instant]
    answered_at: Mapped[int | None] = mapped_column(BigInteger)
    ended_at: Mapped[int | None] = mapped_column(BigInteger)
    disposition: Mapped[str | None] = mapped_column(String(16))
    end_reason: Mapped[str | None] = mapped_column(String(40))
    record: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """The whole call record, as `flowengine.call.record` has it."""


class JournalRow(Base):
    """One event of a call as it was fed to its machine, and the digest of what the machine said."""

    __tablename__ = "journal"
    __table_args__ = (_own("calls", "call_id"), {"sqlite_with_rowid": False})

    call_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    account_id: Mapped[Ref]
    at: Mapped[Instant]
    event: Mapped[bytes] = mapped_column(LargeBinary)
    """JSON, as msgspec writes the event."""
    digest: Mapped[str] = mapped_column(String(16))


class Recording(Base):
    """A recording kept in the library. `short_id` is the call's own id of it, so keeping twice is keeping once."""

    __tablename__ = "recordings"
    __table_args__ = (
        _own("calls", "call_id"),
        UniqueConstraint("call_id", "short_id"),
        Index(None, "account_id", "created_at"),
    )

    id: Mapped[Id]
    account_id: Mapped[Ref]
    call_id: Mapped[Ref]
    short_id: Mapped[Code]
    purpose: Mapped[Code]
    state: Mapped[str] = mapped_column(String(64))
    """The state of the flow that made it."""
    user_name: Mapped[str] = mapped_column(String(100))
    """Name of the user who talked, or whose message it is; "" when nobody's."""
    duration_ms: Mapped[int] = mapped_column(BigInteger)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[Sha256]
    path: Mapped[str] = mapped_column(String(400))
    """Below the folder of the library."""
    heard: Mapped[bool]
    created_at: Mapped[Moment] = mapped_column(UtcDateTime, default=_now)


class CatalogEpoch(Base):
    """One row, counted up with every change of what calls need; engines poll it (`catalog.watch`)."""

    __tablename__ = "catalog_epoch"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    epoch: Mapped[int] = mapped_column(BigInteger)


class Desk(Base):
    """The desk of an account, one row: who changes its agents or lines locks this row first, and counts it up.

    Rows of the desk carry the `version` of their last change, so a process that knows the desk up to some version
    reads no more than what is newer.
    """

    __tablename__ = "desks"

    account_id: Mapped[str] = mapped_column(String(40), ForeignKey("accounts.id"), primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger)
    end_of_line: Mapped[int] = mapped_column(BigInteger)
    """The last place given in the line of agents."""
    visits: Mapped[int] = mapped_column(BigInteger)
    """The last number given to a visit of a waiting line."""


class DeskAgent(Base):
    """A user as the desk has them (`flowengine.routing.agents.Agent`), by name: a talk outlives the user's row."""

    __tablename__ = "agents"
    __table_args__ = (Index(None, "account_id", "version"),)

    account_id: Mapped[str] = mapped_column(String(40), ForeignKey("accounts.id"), primary_key=True)
    user_name: Mapped[str] = mapped_column(String(100), primary_key=True)
    state: Mapped[str] = mapped_column(String(16))
    wish: Mapped[str] = mapped_column(String(16))
    in_reach: Mapped[bool]
    place: Mapped[int] = mapped_column(BigInteger)
    call_id: Mapped[Ref]
    """The call worked for, or ""."""
    for_kind: Mapped[str | None] = mapped_column(String(16))
    for_name: Mapped[str | None] = mapped_column(String(100))
    """Whom that call asked for."""
    lease: Mapped[Instant]
    misses: Mapped[int]
    since: Mapped[Instant]
    version: Mapped[int] = mapped_column(BigInteger)


class DeviceInReach(Base):
    """What an engine's switch said last about a device: it can be rung there (`in_reach`), or not any more."""

    __tablename__ = "devices_in_reach"
    __table_args__ = (Index(None, "account_id", "version"),)

    account_id: Mapped[str] = mapped_column(String(40), ForeignKey("accounts.id"), primary_key=True)
    endpoint: Mapped[str] = mapped_column(String(100), primary_key=True)
    owner: Mapped[str] = mapped_column(String(100), primary_key=True)
    """The engine that said so."""
    in_reach: Mapped[bool]
    since: Mapped[Instant]
    version: Mapped[int] = mapped_column(BigInteger)


class LineVisit(Base):
    """A caller's stay in a waiting line. While they wait, `left_by` is null; then it says how it ended."""

    __tablename__ = "line_visits"
    __table_args__ = (
        Index(None, "account_id", "version"),
        Index(None, "account_id", "joined_at"),
        Index(
            "ix_line_visits_waiting",
            "account_id",
            "seq",
            sqlite_where=text("left_by IS NULL"),
            postgresql_where=text("left_by IS NULL"),
        ),
    )

    account_id: Mapped[str] = mapped_column(String(40), ForeignKey("accounts.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """The order of joining in the whole account."""
    kind: Mapped[str] = mapped_column(String(16))
    target: Mapped[str] = mapped_column(String(100))
    call_id: Mapped[Ref]
    request: Mapped[Code]
    owner: Mapped[str] = mapped_column(String(100))
    """The engine that runs the call."""
    joined_at: Mapped[Instant]
    left_at: Mapped[int | None] = mapped_column(BigInteger)
    left_by: Mapped[str | None] = mapped_column(String(16))
    version: Mapped[int] = mapped_column(BigInteger)


class DeskOutbox(Base):
    """A turn for a caller of another engine: `owner` takes it from here. A place in a line has one turn at most."""

    __tablename__ = "desk_outbox"

    owner: Mapped[str] = mapped_column(String(100), primary_key=True)
    call_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    request: Mapped[str] = mapped_column(String(40), primary_key=True)
    account_id: Mapped[str] = _account()
    event: Mapped[bytes] = mapped_column(LargeBinary)
    """JSON, as msgspec writes the event."""
