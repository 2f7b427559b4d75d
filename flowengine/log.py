"""Structured logs, for this engine's own words and for those of the libraries under it.

No digits a caller pressed and no whole telephone number ever goes into one. So tracebacks show no values of variables,
and libraries are heard from warnings on only.
"""

import logging
import sys
from contextlib import suppress
from typing import Any, Final, Literal, TextIO

import structlog
from structlog.typing import Processor

_SHARED: Final[tuple[Processor, ...]] = (
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
)


class _Stream:
    """Standard error, or nothing once nobody reads it any more: a lost log must not end a call."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with suppress(OSError, ValueError):  # a broken pipe; a closed file
            self._stream.write(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()


def configure(level: str = "info", form: Literal["auto", "json", "text"] = "auto") -> None:
    """Set logging up for a process: readable on a terminal, JSON lines elsewhere, to standard error.

    Args:
        level: the least that is logged: debug, info, warning or error.
        form: auto is text on a terminal and JSON elsewhere.
    """
    on_terminal = sys.stderr.isatty()
    text = form == "text" or (form == "auto" and on_terminal)
    rendering: list[Processor] = (
        [structlog.dev.ConsoleRenderer(colors=on_terminal, exception_formatter=structlog.dev.plain_traceback)]
        if text
        else [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ]
    )
    stream: Any = _Stream(sys.stderr)
    structlog.configure(
        processors=[*_SHARED, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    libraries = logging.StreamHandler(stream)
    libraries.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*_SHARED, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[libraries], force=True)
    logging.captureWarnings(True)
