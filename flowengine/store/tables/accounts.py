"""Companies, what they draw and publish, and whom it rings."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Index, String, Text, UniqueConstraint, false, text, true
from sqlalchemy.orm import Mapped, mapped_column

from flowengine.store.tables.base import Base, Code, Id, Json, Moment, Name, Ref, account_ref, now, own
from flowengine.store.types import UtcDateTime


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
    storage_plan: Mapped[Code] = mapped_column(server_default="free")
    """Which plan its recordings are kept on (`flowengine.billing.plans`)."""
    keep_months: Mapped[int] = mapped_column(server_default=text("0"))
    """Recordings are deleted so many months after they were made: 3 or 6; 0: never."""
    refuse_when_empty: Mapped[bool] = mapped_column(server_default=true())
    """New calls are refused when the credit does not pay for their first increment."""
    when_running_out: Mapped[str] = mapped_column(String(16), server_default=text("'finish'"))
    """finish or cut: what becomes of a running call that the credit pays no longer."""
    is_partner: Mapped[bool] = mapped_column(server_default=false())
    """A partner, or attached to one: it has no auto-recharge."""
    recharge_below: Mapped[int | None] = mapped_column(BigInteger)
    """Micro-credits: below this balance `recharge_amount` is bought; null: no auto-recharge."""
    recharge_amount: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[Moment] = mapped_column(UtcDateTime, default=now)


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
    account_id: Mapped[str] = account_ref()
    key: Mapped[str] = mapped_column(String(63))
    name: Mapped[Name]
    description: Mapped[str] = mapped_column(Text)
    enabled: Mapped[bool]
    draft: Mapped[Json]
    draft_revision: Mapped[int]
    """Counts the saves of the draft: who saves must name the revision it read."""
    published_version: Mapped[str | None] = mapped_column(String(64))
    """sha256 of a row of `flow_versions`; no foreign key, for the two tables would need each other first."""
    created_at: Mapped[Moment] = mapped_column(UtcDateTime, default=now)
    updated_at: Mapped[Moment] = mapped_column(UtcDateTime, default=now, onupdate=now)
    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class FlowVersion(Base):
    """A published document. Never changed and never deleted: a call can be replayed as long as it is kept."""

    __tablename__ = "flow_versions"
    __table_args__ = (own("flows", "flow_id"),)

    flow_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    account_id: Mapped[Ref]
    document: Mapped[Json]
    message: Mapped[str] = mapped_column(Text)
    published_at: Mapped[Moment] = mapped_column(UtcDateTime, default=now)


class Number(Base):
    """A purchased number, attached to at most one flow."""

    __tablename__ = "numbers"
    __table_args__ = (
        CheckConstraint("type IN ('local', 'mobile', 'toll_free')", name="type"),
        own("flows", "flow_id"),
    )

    id: Mapped[Id]
    account_id: Mapped[str] = account_ref()
    e164: Mapped[str] = mapped_column(String(16), unique=True)
    country: Mapped[str] = mapped_column(String(3))
    """ISO 3166, or 001 for a number of no country."""
    type: Mapped[str] = mapped_column(String(16))
    flow_id: Mapped[str | None] = mapped_column(String(40), index=True)
    created_at: Mapped[Moment] = mapped_column(UtcDateTime, default=now)


class User(Base):
    """Somebody who takes calls. Flows name a user by `name`."""

    __tablename__ = "users"
    __table_args__ = (UniqueConstraint("account_id", "id"), UniqueConstraint("account_id", "name"))

    id: Mapped[Id]
    account_id: Mapped[str] = account_ref()
    name: Mapped[str] = mapped_column(String(100))
    display_name: Mapped[Name]
    created_at: Mapped[Moment] = mapped_column(UtcDateTime, default=now)


class Device(Base):
    """A telephone of a user, as the switch dials it (`PJSIP/hanako`); `position` orders them."""

    __tablename__ = "devices"
    __table_args__ = (own("users", "user_id", cascade=True),)

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
    account_id: Mapped[str] = account_ref()
    name: Mapped[str] = mapped_column(String(100))
    description: Mapped[str] = mapped_column(Text)
    created_at: Mapped[Moment] = mapped_column(UtcDateTime, default=now)


class GroupMember(Base):
    """A user in a group; `position` is the order in which the group lists its members."""

    __tablename__ = "group_members"
    __table_args__ = (own("groups", "group_id", cascade=True), own("users", "user_id", cascade=True))

    group_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    user_id: Mapped[str] = mapped_column(String(40), primary_key=True, index=True)
    account_id: Mapped[Ref]
    position: Mapped[int]


class CatalogEpoch(Base):
    """One row, counted up with every change of what calls need; engines poll it (`catalog.watch`)."""

    __tablename__ = "catalog_epoch"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    epoch: Mapped[int] = mapped_column(BigInteger)
