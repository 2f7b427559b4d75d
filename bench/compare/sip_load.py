"""Callers by SIPp: one process, as many calls as wanted a second, with RTP in both directions.

SIPp sends the RTP that it hears back to where it came from, so each call carries voice both ways. A digit is a SIP
INFO, which needs no raw sockets; digits in RTP are pressed by the measured callers (`bench.compare.probe`).
"""

import asyncio
import csv
import shutil
import socket
from asyncio.subprocess import DEVNULL
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

DRAIN_S: Final = 15.0
"""How long the last calls of a run may take, in seconds."""

_COMMON: Final = """Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:+15550100@[local_ip]:[local_port]>;tag=[pid]x[call_number]
To: <sip:[number]@[remote_ip]>[peer_tag_param]
Call-ID: [call_id]
Max-Forwards: 70
"""
# A call is right when it is answered, and hung up by the other side 0.8 to 2 s after the digit: the second prompt
# takes one. A BYE before that finds the caller in a pause, where SIPp takes it for a failure.
SCENARIO: Final = f"""<?xml version="1.0" encoding="UTF-8"?>
<scenario name="menu">
<send retrans="500"><![CDATA[
INVITE sip:[number]@[remote_ip]:[remote_port] SIP/2.0
{_COMMON}CSeq: 1 INVITE
Contact: <sip:+15550100@[local_ip]:[local_port]>
Content-Type: application/sdp
Content-Length: [len]

v=0
o=caller 1 1 IN IP4 [local_ip]
s=call
c=IN IP4 [media_ip]
t=0 0
m=audio [media_port] RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=ptime:20
]]></send>
<recv response="100" optional="true"/>
<recv response="180" optional="true"/>
<recv response="183" optional="true"/>
<recv response="200" rrs="true" timeout="8000"/>
<send><![CDATA[
ACK [next_url] SIP/2.0
{_COMMON}CSeq: 1 ACK
Content-Length: 0

]]></send>
<pause milliseconds="1300"/>
<send retrans="500"><![CDATA[
INFO [next_url] SIP/2.0
{_COMMON}CSeq: 2 INFO
Content-Type: application/dtmf-relay
Content-Length: [len]

Signal=5
Duration=100
]]></send>
<recv response="200" timeout="2000"/>
<pause milliseconds="800"/>
<recv request="BYE" timeout="1200"/>
<send><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0

]]></send>
</scenario>
"""


class SippUnusable(RuntimeError):
    """SIPp is missing or does not run; the message says what to do."""


@dataclass(frozen=True, slots=True)
class SipRun:
    """What SIPp counted."""

    right: int
    wrong: int
    retransmissions: int
    took_s: float


async def load(port: int, number: str, rate: float, calls: int) -> SipRun:
    """Make so many calls, so many a second, to an extension of the Asterisk at a port. Raises SippUnusable."""
    program = shutil.which("sipp")
    if program is None:
        raise SippUnusable("sipp is not installed: apt-get install sip-tester")
    with TemporaryDirectory(prefix="sipp-") as name:
        folder = Path(name)
        (folder / "menu.xml").write_text(SCENARIO, encoding="utf-8")
        loop = asyncio.get_running_loop()
        began = loop.time()
        process = await asyncio.create_subprocess_exec(
            *(program, f"127.0.0.1:{port}", "-sf", "menu.xml", "-key", "number", number),
            *(
                "-i",
                "127.0.0.1",
                "-p",
                str(_free_port()),
                "-mi",
                "127.0.0.1",
                "-mp",
                str(_free_port() // 2 * 2),
            ),
            *("-r", f"{rate:g}", "-rp", "1000", "-m", str(calls), "-l", str(calls), "-rtp_echo"),
            *("-trace_stat", "-stf", "stat.csv", "-fd", "1", "-nostdin", "-skip_rlimit"),
            *("-trace_err", "-error_file", "errors.log", "-buff_size", "1000000"),
            cwd=folder,
            env={"TERM": "dumb", "PATH": "/usr/bin:/bin"},
            stdin=DEVNULL,
            stdout=DEVNULL,
            stderr=DEVNULL,
        )
        try:
            async with asyncio.timeout(calls / rate + DRAIN_S):
                status = await process.wait()
        except TimeoutError:
            status = None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        took_s = loop.time() - began
        if status not in (0, 1, None):
            log = folder / "errors.log"
            said = log.read_text(errors="replace")[-500:] if log.exists() else ""
            raise SippUnusable(f"sipp ended with {status}: {said}")
        return _counted(folder / "stat.csv", calls, took_s)


def _counted(file: Path, calls: int, took_s: float) -> SipRun:
    with file.open(encoding="utf-8") as lines:
        last = list(csv.DictReader(lines, delimiter=";"))[-1]
    right = int(last["SuccessfulCall(C)"])
    return SipRun(right, calls - right, int(last["Retransmissions(C)"]), took_s)


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
