"""Runs the migrations on the connection and in the transaction of `flowengine.store.migrate`."""

from typing import Any, Literal

from alembic import context

from flowengine.store.tables import Base
from flowengine.store.types import UtcDateTime


def render_item(kind: str, thing: Any, _: object) -> str | Literal[False]:
    """Write our own column types as plain ones: a migration must not change when the code does."""
    if kind == "type" and isinstance(thing, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    render_item=render_item,
    compare_type=True,
    transactional_ddl=False,  # the caller has begun, and commits
)
context.run_migrations()
