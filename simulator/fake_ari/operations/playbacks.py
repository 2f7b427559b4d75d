"""Playbacks: sounds that are queued or playing."""

from typing import Final

from simulator.fake_ari.exchange import Exchange
from simulator.fake_ari.playing import OPERATIONS
from simulator.fake_ari.rest import DONE, Answer, Ask, Parameter, Table, path

TABLE: Final = Table("playbacks", "Sounds being played")
PLAYBACK: Final = path("playbackId", "Id of the playback")
MISSING: Final = {404: "There is no such playback (any more)"}


@TABLE.operation(
    "GET", "/playbacks/{playbackId}", "get", "One playback", PLAYBACK, returns="Playback", errors=MISSING
)
async def get(exchange: Exchange, ask: Ask) -> Answer:
    """Show one."""
    return Answer(exchange.player.find(ask.text("playbackId")).json())


@TABLE.operation("DELETE", "/playbacks/{playbackId}", "stop", "Stop a playback", PLAYBACK, errors=MISSING)
async def stop(exchange: Exchange, ask: Ask) -> Answer:
    """Cut one short."""
    exchange.player.stop(ask.text("playbackId"))
    return DONE


@TABLE.operation(
    "POST",
    "/playbacks/{playbackId}/control",
    "control",
    "Pause, go on, or go to another place of the sound",
    PLAYBACK,
    Parameter("operation", "What to do", required=True, allowed=OPERATIONS),
    errors=MISSING | {400: "There is no such operation", 409: "Nothing is playing at the moment"},
)
async def control(exchange: Exchange, ask: Ask) -> Answer:
    """Do it."""
    exchange.player.control(ask.text("playbackId"), ask.text("operation"))
    return DONE
