"""Proof of life: a file whose time says when this engine was last at work, for the next one to know what is certain.

What a call was told well before that instant has reached the switch; only what was said in the last moments may have
been lost. Without the file, everything a call said last counts as one of those moments.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from flowengine.call.events import Instant

log = structlog.get_logger(__name__)

FILE: Final = "alive"
EVERY_S: Final = 0.25


def last_alive(file: Path) -> Instant | None:
    """When the engine that kept this file was last at work; None if nobody knows."""
    try:
        return file.stat().st_mtime_ns // 1_000
    except OSError:
        return None


async def prove_life(file: Path, is_prompt: Callable[[], bool], after_s: float) -> None:
    """Keep the file for ever, from `after_s` seconds on, while `is_prompt` says that what is said is done at once."""
    await asyncio.sleep(after_s)
    failing = False
    while True:
        if is_prompt():
            try:
                file.touch()  # noqa: ASYNC240 - a few microseconds on a local disk: not worth a thread
                failing = False
            except OSError as error:
                if not failing:
                    log.warning("no proof of life", problem=str(error))
                failing = True
        await asyncio.sleep(EVERY_S)
