"""The desk: who can be rung, and who waits."""

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column

from flowengine.store.tables.base import Base, Code, Instant, Ref, account_ref


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
    account_id: Mapped[str] = account_ref()
    event: Mapped[bytes] = mapped_column(LargeBinary)
    """JSON, as msgspec writes the event."""
