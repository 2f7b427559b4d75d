"""What callers hear and what is kept of them, and what admins are told."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Index, String, Text, UniqueConstraint, false, text, true
from sqlalchemy.orm import Mapped, mapped_column

from flowengine.store.tables.base import (
    Base,
    Code,
    Id,
    Instant,
    Json,
    Moment,
    Ref,
    Sha256,
    account_ref,
    now,
    own,
)
from flowengine.store.types import UtcDateTime


class Audio(Base):
    """A sound which a company uploaded. Flows name it by id, or by `name`; the bytes lie in the shelf by sha256."""

    __tablename__ = "audios"
    __table_args__ = (UniqueConstraint("account_id", "id"), UniqueConstraint("account_id", "name"))

    id: Mapped[Id]
    account_id: Mapped[str] = account_ref()
    name: Mapped[str] = mapped_column(String(400))
    sha256: Mapped[Sha256]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    duration_ms: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[Moment] = mapped_column(UtcDateTime, default=now)


class Recording(Base):
    """A recording, from the moment its call is done with it. It stays as the proof when its sound is deleted.

    `short_id` is the call's own id of it, so keeping twice is keeping once.
    """

    __tablename__ = "recordings"
    __table_args__ = (
        own("calls", "call_id"),
        UniqueConstraint("call_id", "short_id"),
        CheckConstraint("status IN ('expected', 'kept', 'lost', 'deleted')", name="status"),
        Index(None, "account_id", "created_at"),
        Index(
            "ix_recordings_expected",
            "owner",
            sqlite_where=text("status = 'expected'"),
            postgresql_where=text("status = 'expected'"),
        ),
        Index(
            "ix_recordings_deleted_with_sound",
            "deleted_at",
            sqlite_where=text("status = 'deleted' AND path <> ''"),
            postgresql_where=text("status = 'deleted' AND path <> ''"),
        ),
    )

    id: Mapped[Id]
    account_id: Mapped[Ref]
    call_id: Mapped[Ref]
    short_id: Mapped[Code]
    status: Mapped[str] = mapped_column(String(16), server_default="kept")
    """expected: on the switch, shall be kept; kept; lost: nothing to keep; deleted: was kept."""
    owner: Mapped[str] = mapped_column(String(100), server_default=text("''"))
    """The engine on whose switch it was made."""
    purpose: Mapped[Code]
    state: Mapped[str] = mapped_column(String(64))
    """The state of the flow that made it."""
    user_name: Mapped[str] = mapped_column(String(100))
    """Name of the user who talked, or whose message it is; "" when nobody's."""
    duration_ms: Mapped[int] = mapped_column(BigInteger)
    """As the switch told while it is expected, as measured when it is kept."""
    limit_ms: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """It is cut there; 0: nowhere."""
    channels: Mapped[int] = mapped_column(server_default=text("1"))
    complete: Mapped[bool] = mapped_column(server_default=true())
    """Nothing is missing: its switch did not die, and there was room for all of it."""
    ran_out: Mapped[bool] = mapped_column(server_default=false())
    """It was cut because the storage plan was used up."""
    problem: Mapped[str] = mapped_column(Text, server_default=text("''"))
    """Why it is lost."""
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[Sha256]
    path: Mapped[str] = mapped_column(String(400))
    """Below the folder of the library; "" when there is no sound of it."""
    heard: Mapped[bool]
    transcript: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[Moment] = mapped_column(UtcDateTime, default=now)
    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    deleted_by: Mapped[str] = mapped_column(String(100), server_default=text("''"))
    """Who deleted its sound: a user's name, or "retention"."""


class Notification(Base):
    """Something the admins of an account are told once; `key` says what, so that it is told once."""

    __tablename__ = "notifications"
    __table_args__ = (
        UniqueConstraint("account_id", "key"),
        Index(None, "account_id", "at"),
        Index(
            "ix_notifications_waiting",
            "next_try_at",
            sqlite_where=text("delivered_at IS NULL"),
            postgresql_where=text("delivered_at IS NULL"),
        ),
    )

    id: Mapped[Id]
    account_id: Mapped[str] = account_ref()
    key: Mapped[str] = mapped_column(String(200))
    kind: Mapped[Code]
    """Such as storage_80, voicemail, credits_low."""
    at: Mapped[Instant]
    data: Mapped[Json]
    delivered_at: Mapped[int | None] = mapped_column(BigInteger)
    tries: Mapped[int] = mapped_column(server_default=text("0"))
    next_try_at: Mapped[Instant]
    problem: Mapped[str] = mapped_column(Text, server_default=text("''"))
    """Why the last try failed."""
