"""Calls, and every event of them."""

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from flowengine.store.tables.base import Base, Id, Instant, Ref, Sha256, own


class Call(Base):
    """A call, running (`disposition` is null) or done. Pinned to the version it began with."""

    __tablename__ = "calls"
    __table_args__ = (
        UniqueConstraint("account_id", "id"),
        own("flows", "flow_id"),
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
    channel: Mapped[str | None] = mapped_column(String(200))
    """What the switch calls the caller's leg, by which a restarted engine finds it again."""
    owner: Mapped[str | None] = mapped_column(String(40))
    """The engine that runs it."""


class JournalRow(Base):
    """One event of a call as it was fed to its machine, and the digest of what the machine said."""

    __tablename__ = "journal"
    __table_args__ = (own("calls", "call_id"), {"sqlite_with_rowid": False})

    call_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    account_id: Mapped[Ref]
    at: Mapped[Instant]
    event: Mapped[bytes] = mapped_column(LargeBinary)
    """JSON, as msgspec writes the event."""
    digest: Mapped[str] = mapped_column(String(16))
