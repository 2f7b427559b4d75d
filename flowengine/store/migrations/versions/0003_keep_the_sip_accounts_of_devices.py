"""Devices whose SIP account the engine writes into Asterisk: what lets them register there."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("devices") as table:
        table.add_column(sa.Column("kind", sa.String(16), nullable=False, server_default="sip"))
        table.add_column(sa.Column("digest", sa.String(32), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("devices") as table:
        table.drop_column("digest")
        table.drop_column("kind")
