"""What can be asked of the exchange: one module a resource of ARI, and all their tables together."""

from typing import Final

from simulator.fake_ari.operations import (
    applications,
    asterisk,
    bridges,
    channel_media,
    channel_variables,
    channels,
    device_states,
    dialling,
    endpoints,
    events,
    playbacks,
    recordings,
    sounds,
)
from simulator.fake_ari.rest import Table

_ROWS_OF_CHANNELS_TOO: Final = (dialling, channel_media, channel_variables)  # imported for their rows

TABLES: Final[tuple[Table, ...]] = (
    asterisk.TABLE,
    endpoints.TABLE,
    channels.TABLE,
    bridges.TABLE,
    recordings.TABLE,
    sounds.TABLE,
    playbacks.TABLE,
    device_states.TABLE,
    events.TABLE,
    applications.TABLE,
)
"""The one table: it routes requests and makes the documents under `api-docs`."""
