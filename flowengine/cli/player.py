"""A sound file to the loudspeaker of whoever types, by whatever player this machine has."""

from pathlib import Path
from typing import Final

from flowengine.cli.screen import MISSING, fail

PLAYERS: Final = (
    ("ffplay", "-nodisp", "-autoexit", "-loglevel", "error"),
    ("aplay", "-q"),
    ("pw-play",),
    ("afplay",),
)
"""Programs that play a WAV file to the loudspeaker, the first that is installed."""
PLAYED: Final = 0.5
"""Of the length of a sound, what a player that plays it takes at least."""
AT_START_S: Final = 15.0
"""What a player may take longer than the sound lasts."""


def play_file(file: Path, seconds: float) -> None:
    """To the loudspeaker, waiting for the end. The player is the user's own and gets their whole environment."""
    import shutil
    import subprocess
    import time

    for program, *options in PLAYERS:
        if found := shutil.which(program):
            begun = time.monotonic()
            try:
                done = subprocess.run(  # noqa: S603 - an argument list, never a shell line
                    [found, *options, str(file.absolute())],
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    check=False,
                    timeout=seconds + AT_START_S,
                )
            except subprocess.TimeoutExpired:
                fail(f"{program}: it did not come to the end of the sound: play {file} by hand", MISSING)
            # ffplay without a sound card ends at once, and well.
            if done.returncode or time.monotonic() - begun < seconds * PLAYED:
                lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["it does not say why"]
                fail(f"{program} cannot play it: {lines[-1]}: carry {file} to a machine with sound", MISSING)
            return
    names = ", ".join(name for name, *_ in PLAYERS)
    fail(f"there is no player here ({names}): install ffmpeg, or carry {file} to another machine", MISSING)
