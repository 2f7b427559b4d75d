"""Who is compared, and the dialplan that leads a number to each of them.

All do the same: answer, a prompt of one second, one key, a second prompt of one second, hang up. Each has two numbers:
that menu, and the same with a minute for the key, in which live calls are held to be weighed. All play the same files.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to run the menu."""

    name: str
    label: str
    short: str
    """The extension of the menu."""
    long: str
    """The extension of the menu that waits for a minute."""
    module: str | None = None
    """What runs as a process of its own beside Asterisk; None when nothing does."""


CONTENDERS: Final = (
    Contender("dialplan", "Asterisk dialplan", "1001", "1002"),
    Contender("fastagi", "FastAGI", "2001", "2002", "agi"),
    Contender("bare-http", "bare ARI loop, HTTP", "3001", "3002", "bare_http"),
    Contender("bare-websocket", "bare ARI loop, websocket", "4001", "4002", "bare_websocket"),
    Contender("engine", "flowengine, journal in SQLite", "5001", "5002", "engine"),
    Contender("engine-memory", "flowengine, journal in memory", "6001", "6002", "engine"),
)
BY_NAME: Final = {each.name: each for each in CONTENDERS}

SHORT_NUMBER, LONG_NUMBER = "+815055550101", "+815055550102"
"""The engine's numbers for the two, in the range that nobody has."""


@dataclass(frozen=True, slots=True)
class Sounds:
    """The prompts, as files without their ending, the way Asterisk names them."""

    first: Path
    second: Path


def dialplan(sounds: Sounds, agi_port: int, log: Path) -> str:
    """Lines to be put behind the dialplan of a node.

    Args:
        sounds: what is played.
        agi_port: where the FastAGI server listens.
        log: where the callers on Local channels write a line each.
    """
    # The engine's two are led as its shipped dialplan leads a call, hang-up handler and all.
    engines = "\n".join(
        f"exten => {extension},1,Set(CHANNEL(hangup_handler_push)=witness,s,1)\n"
        f" same => n,Stasis({app},{number})\n same => n,Hangup(42)"
        for app, name in (("bench-engine", "engine"), ("bench-engine-memory", "engine-memory"))
        for extension, number in (
            (BY_NAME[name].short, SHORT_NUMBER),
            (BY_NAME[name].long, LONG_NUMBER),
        )
    )
    return f"""
[from-trunk](+)
exten => 1001,1,Goto(bench-dialplan,short,1)
exten => 1002,1,Goto(bench-dialplan,long,1)
exten => 2001,1,AGI(agi://127.0.0.1:{agi_port}/5000)
 same => n,Hangup(42)
exten => 2002,1,AGI(agi://127.0.0.1:{agi_port}/60000)
 same => n,Hangup(42)
exten => 3001,1,Stasis(bench-bare-http,first,5)
 same => n,Hangup(42)
exten => 3002,1,Stasis(bench-bare-http,first,60)
 same => n,Hangup(42)
exten => 4001,1,Stasis(bench-bare-websocket,first,5)
 same => n,Hangup(42)
exten => 4002,1,Stasis(bench-bare-websocket,first,60)
 same => n,Hangup(42)
{engines}

[bench-dialplan]
exten => short,1,Answer()
 same => n,Background({sounds.first})
 same => n,WaitExten(5)
 same => n,Hangup()
exten => 5,1,Playback({sounds.second})
 same => n,Hangup()
exten => long,1,Answer()
 same => n,Background({sounds.first})
 same => n,WaitExten(60)
 same => n,Hangup()

; The callers on Local channels: they note when they were answered, when the digit ended, and when all was over.
[bench-caller]
exten => press,1,Set(UP=${{STRFTIME(,UTC,%s.%6q)}})
 same => n,Wait(1.2)
 same => n,SendDTMF(5,50,100)
 same => n,Set(PRESSED=${{STRFTIME(,UTC,%s.%6q)}})
 same => n,Wait(4)
 same => n,Hangup()
exten => hold,1,WaitExten(600)
exten => h,1,Set(FILE({log},,,al,u)=${{UNIQUEID}} ${{UP}} ${{PRESSED}} ${{STRFTIME(,UTC,%s.%6q)}})
"""
