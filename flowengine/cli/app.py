"""The command line put together: one file a topic, heavy things imported by the command that needs them.

Exit codes, the same for every command: 0 fine, 1 problems were found (and named), 2 the input or the arguments
cannot be read, 3 something this machine should have is missing or does not work.
"""

import io
import sys

import typer

from flowengine.cli import (
    accounts,
    audio,
    calls,
    credits,
    flows,
    invoice,
    live,
    numbers,
    plan,
    rates,
    reconcile,
    recordings,
    service,
    sound,
    storage,
    voicemail,
)
from flowengine.cli.sections import Sections

app = typer.Typer(
    name="flowengine",
    cls=Sections,
    help="Answers calls the way you drew it. Exit codes: 0 fine, 1 problems found, 2 unreadable input, "
    "3 something missing on this machine.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
flows.add_to(app)
calls.add_to(app)
sound.add_to(app)
accounts.add_to(app)
audio.add_to(app)
recordings.add_to(app)
voicemail.add_to(app)
storage.add_to(app)
rates.add_to(app)
numbers.add_to(app)
credits.add_to(app)
plan.add_to(app)
invoice.add_to(app)
reconcile.add_to(app)
service.add_to(app)
live.add_to(app)


def main() -> None:
    """Run the command line. What this terminal cannot show is written as an escape instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app()
