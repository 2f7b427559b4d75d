"""The desk: agents, devices in reach, waiting lines and their reports, turns on their way, policies of accounts."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "agents",
        sa.Column("account_id", sa.String(length=40), nullable=False),
        sa.Column("user_name", sa.String(length=100), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("wish", sa.String(length=16), nullable=False),
        sa.Column("in_reach", sa.Boolean(), nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.Column("call_id", sa.String(length=40), nullable=False),
        sa.Column("for_kind", sa.String(length=16), nullable=True),
        sa.Column("for_name", sa.String(length=100), nullable=True),
        sa.Column("lease", sa.BigInteger(), nullable=False),
        sa.Column("misses", sa.Integer(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_agents_account_id")),
        sa.PrimaryKeyConstraint("account_id", "user_name", name=op.f("pk_agents")),
    )
    op.create_index(op.f("ix_agents_account_id_version"), "agents", ["account_id", "version"], unique=False)

    op.create_table(
        "desk_outbox",
        sa.Column("owner", sa.String(length=100), nullable=False),
        sa.Column("call_id", sa.String(length=40), nullable=False),
        sa.Column("request", sa.String(length=40), nullable=False),
        sa.Column("account_id", sa.String(length=40), nullable=False),
        sa.Column("event", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_desk_outbox_account_id")),
        sa.PrimaryKeyConstraint("owner", "call_id", "request", name=op.f("pk_desk_outbox")),
    )
    op.create_table(
        "desks",
        sa.Column("account_id", sa.String(length=40), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("end_of_line", sa.BigInteger(), nullable=False),
        sa.Column("visits", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_desks_account_id")),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_desks")),
    )
    op.create_table(
        "devices_in_reach",
        sa.Column("account_id", sa.String(length=40), nullable=False),
        sa.Column("endpoint", sa.String(length=100), nullable=False),
        sa.Column("owner", sa.String(length=100), nullable=False),
        sa.Column("in_reach", sa.Boolean(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_devices_in_reach_account_id")),
        sa.PrimaryKeyConstraint("account_id", "endpoint", "owner", name=op.f("pk_devices_in_reach")),
    )
    op.create_index(
        op.f("ix_devices_in_reach_account_id_version"),
        "devices_in_reach",
        ["account_id", "version"],
        unique=False,
    )

    op.create_table(
        "line_visits",
        sa.Column("account_id", sa.String(length=40), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("target", sa.String(length=100), nullable=False),
        sa.Column("call_id", sa.String(length=40), nullable=False),
        sa.Column("request", sa.String(length=40), nullable=False),
        sa.Column("owner", sa.String(length=100), nullable=False),
        sa.Column("joined_at", sa.BigInteger(), nullable=False),
        sa.Column("left_at", sa.BigInteger(), nullable=True),
        sa.Column("left_by", sa.String(length=16), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_line_visits_account_id")),
        sa.PrimaryKeyConstraint("account_id", "seq", name=op.f("pk_line_visits")),
    )
    op.create_index(
        op.f("ix_line_visits_account_id_joined_at"), "line_visits", ["account_id", "joined_at"], unique=False
    )
    op.create_index(
        op.f("ix_line_visits_account_id_version"), "line_visits", ["account_id", "version"], unique=False
    )
    op.create_index(
        "ix_line_visits_waiting",
        "line_visits",
        ["account_id", "seq"],
        unique=False,
        sqlite_where=sa.text("left_by IS NULL"),
        postgresql_where=sa.text("left_by IS NULL"),
    )

    op.add_column(
        "accounts", sa.Column("wrap_up_s", sa.Integer(), server_default=sa.text("0"), nullable=False)
    )
    op.add_column(
        "accounts", sa.Column("pause_after_misses", sa.Integer(), server_default=sa.text("0"), nullable=False)
    )


def downgrade() -> None:
    op.drop_column("accounts", "pause_after_misses")
    op.drop_column("accounts", "wrap_up_s")
    for table in ("line_visits", "devices_in_reach", "desk_outbox", "agents", "desks"):
        op.drop_table(table)
