"""Recordings: those being made, and those that are stored."""

from typing import Final

from simulator.fake_ari.exchange import Exchange
from simulator.fake_ari.recording import Stored
from simulator.fake_ari.rest import DONE, Answer, Ask, Parameter, Refused, Table, path

TABLE: Final = Table("recordings", "Recordings")
NAME: Final = path("recordingName", "Name of the recording")
MISSING: Final = {404: "There is no such recording"}
NOT_YET: Final = MISSING | {409: "It has not begun"}


@TABLE.operation(
    "GET", "/recordings/stored", "listStored", "All stored recordings", returns="List[StoredRecording]"
)
async def every(exchange: Exchange, _: Ask) -> Answer:
    """Show all."""
    return Answer([each.json() for each in exchange.recorder.stored.values()])


@TABLE.operation(
    "GET",
    "/recordings/stored/{recordingName}",
    "getStored",
    "One stored recording",
    NAME,
    returns="StoredRecording",
    errors=MISSING,
)
async def get_stored(exchange: Exchange, ask: Ask) -> Answer:
    """Show one."""
    return Answer(exchange.recorder.find(ask.text("recordingName")).json())


@TABLE.operation(
    "GET",
    "/recordings/stored/{recordingName}/file",
    "getStoredFile",
    "The sound itself, as a WAV file",
    NAME,
    returns="binary",
    errors=MISSING,
)
async def get_file(exchange: Exchange, ask: Ask) -> Answer:
    """Send the file."""
    stored = exchange.recorder.find(ask.text("recordingName"))
    return Answer(pieces=stored.file(), length=stored.size, content_type="audio/wav")


@TABLE.operation(
    "DELETE",
    "/recordings/stored/{recordingName}",
    "deleteStored",
    "Delete a stored recording",
    NAME,
    errors=MISSING,
)
async def delete_stored(exchange: Exchange, ask: Ask) -> Answer:
    """Delete one."""
    del exchange.recorder.stored[exchange.recorder.find(ask.text("recordingName")).name]
    return DONE


@TABLE.operation(
    "POST",
    "/recordings/stored/{recordingName}/copy",
    "copyStored",
    "Copy a stored recording",
    NAME,
    Parameter("destinationRecordingName", "Name of the copy", required=True),
    returns="StoredRecording",
    errors=MISSING | {400: "The copy has no name", 409: "There is a recording of that name"},
)
async def copy(exchange: Exchange, ask: Ask) -> Answer:
    """Copy one."""
    source = exchange.recorder.find(ask.text("recordingName"))
    name = ask.text("destinationRecordingName")
    if not name:
        raise Refused(400, "Invalid destination recording name", "Bad request")
    if name in exchange.recorder.stored:
        raise Refused(409, "A recording with the same name already exists on the system")
    made = exchange.recorder.stored[name] = Stored(name, source.format, source.segments)
    return Answer(made.json())


@TABLE.operation(
    "GET",
    "/recordings/live/{recordingName}",
    "getLive",
    "One recording being made",
    NAME,
    returns="LiveRecording",
    errors=MISSING,
)
async def get_live(exchange: Exchange, ask: Ask) -> Answer:
    """Show one."""
    return Answer(exchange.recorder.live(ask.text("recordingName")).json())


@TABLE.operation(
    "DELETE",
    "/recordings/live/{recordingName}",
    "cancel",
    "Stop a recording and throw it away",
    NAME,
    errors=MISSING,
)
async def cancel(exchange: Exchange, ask: Ask) -> Answer:
    """Throw one away."""
    exchange.recorder.stop(ask.text("recordingName"), throw_away=True)
    return DONE


@TABLE.operation(
    "POST",
    "/recordings/live/{recordingName}/stop",
    "stop",
    "Stop a recording and store it",
    NAME,
    errors=MISSING,
)
async def stop(exchange: Exchange, ask: Ask) -> Answer:
    """Complete one."""
    exchange.recorder.stop(ask.text("recordingName"), throw_away=False)
    return DONE


@TABLE.operation(
    "POST",
    "/recordings/live/{recordingName}/pause",
    "pause",
    "Keep what comes now out of the recording",
    NAME,
    errors=NOT_YET,
)
async def pause(exchange: Exchange, ask: Ask) -> Answer:
    """Pause one."""
    exchange.recorder.pause(ask.text("recordingName"), paused=True)
    return DONE


@TABLE.operation(
    "DELETE",
    "/recordings/live/{recordingName}/pause",
    "unpause",
    "Take what comes into the recording again",
    NAME,
    errors=NOT_YET,
)
async def unpause(exchange: Exchange, ask: Ask) -> Answer:
    """Go on with one."""
    exchange.recorder.pause(ask.text("recordingName"), paused=False)
    return DONE


@TABLE.operation(
    "POST",
    "/recordings/live/{recordingName}/mute",
    "mute",
    "Record silence from now on",
    NAME,
    errors=NOT_YET,
)
async def mute(exchange: Exchange, ask: Ask) -> Answer:
    """Mute one."""
    exchange.recorder.mute(ask.text("recordingName"), muted=True)
    return DONE


@TABLE.operation(
    "DELETE",
    "/recordings/live/{recordingName}/mute",
    "unmute",
    "Record what is said again",
    NAME,
    errors=NOT_YET,
)
async def unmute(exchange: Exchange, ask: Ask) -> Answer:
    """Unmute one."""
    exchange.recorder.mute(ask.text("recordingName"), muted=False)
    return DONE
