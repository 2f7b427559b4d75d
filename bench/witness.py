"""What it costs Asterisk to write down the end of each call, by the ways there are, and how fast that is read back.

The same short call (answer, 0.1 s, the caller hangs up) by SIPp with each way in turn; none is the baseline. Counted is
Asterisk's processor time for a call, from its own process. The ways:

- `hangup handler, file`: what the engine uses (`[witness]` in `flowengine/ari/asterisk_conf/extensions.conf`);
- `hangup handler, AstDB`: a row for each channel in Asterisk's own database, which ARI could read one by one;
- `CEL` and `CDR`: Asterisk's event and call records, as CSV.

A hangup handler that runs a program (`System(echo ...)`) is left out: it took 39 ms a call and the node with it.
Needs Asterisk (`make asterisk`) and SIPp.
"""

import asyncio
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from bench import Result
from flowengine.ari.client import AriClient, AriSettings
from flowengine.ari.node import AsteriskNode, NodeError, local_settings
from flowengine.ari.witness import Witness, segment_of
from flowengine.clock import SystemClock

ROUNDS = 7
CALLS = 250
CALLS_A_SECOND = 60
LINES_IN_A_ROW = 5_000
"""As the dialplan below counts."""
LINES = 50_000
"""Of a ten-minute file on a node with 40 calls a second, two legs each."""
LEGS = 200
"""In calls when the engine died."""

NONE = "no witness"
WAYS = (NONE, "hangup handler, file", "hangup handler, AstDB", "CEL", "CDR")
PLAN = """
[from-trunk]
exten => 99,1,Answer()
 same => n,Wait(5)
exten => 100,1,NoOp()
 same => n,Goto(99,1)
exten => 101,1,Set(CHANNEL(hangup_handler_wipe)=witness,s,1)
 same => n,Goto(99,1)
exten => 102,1,Set(CHANNEL(hangup_handler_wipe)=to-astdb,s,1)
 same => n,Goto(99,1)
exten => 103,1,Set(witness=witness)
 same => n,Goto(105,1)
exten => 104,1,Set(witness=nothing)
 same => n,Goto(105,1)
exten => 105,1,Answer()
 same => n,Set(i=0)
 same => n(again),Gosub(${witness},s,1)
 same => n,Set(i=$[${i} + 1])
 same => n,GotoIf($[${i} < 5000]?again)
 same => n,Hangup()

[nothing]
exten => s,1,Return()

[to-astdb]
exten => s,1,Set(DB(ended/${UNIQUEID})=${STRFTIME(,UTC,%Y%m%dT%H%M%S.%6q)} ${HANGUPCAUSE})
 same => n,Return()
"""
RECORDS = {
    "cel_custom": "${CSV_QUOTE(${eventtype})},${CSV_QUOTE(${eventtime})},${CSV_QUOTE(${CHANNEL(uniqueid)})}",
    "cdr_custom": "${CSV_QUOTE(${CDR(uniqueid)})},${CSV_QUOTE(${CDR(answer,u)})},${CSV_QUOTE(${CDR(end,u)})}",
}


def measure() -> list[Result]:
    """Measure on an Asterisk of its own, in a temporary folder."""
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        return asyncio.run(_measure(folder))
    except NodeError as problem:
        print(f"witness not measured: {problem}", file=sys.stderr)
        return []
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _measure(folder: Path) -> list[Result]:
    if shutil.which("sipp") is None:
        raise NodeError("sipp is not installed: apt-get install sip-tester")
    async with AsteriskNode(local_settings(folder, rtp_ports=6_000)) as node:
        await _prepare(node)
        cost: dict[str, list[float]] = {way: [] for way in WAYS}
        await _cost_us(node, NONE)  # warm
        for _ in range(ROUNDS):
            for way in WAYS:
                await _choose(node, way)
                cost[way].append(await _cost_us(node, way))
        await _choose(node, NONE)
        results = [
            Result(
                f"witness: Asterisk's time a call, {way}",
                median(cost[way]),
                "us/call",
                "none",
                median([with_ / without for with_, without in zip(cost[way], cost[NONE], strict=True)]),
            )
            for way in WAYS
        ]
        line = median(
            [await _in_a_row_us(node, "103") - await _in_a_row_us(node, "104") for _ in range(ROUNDS)]
        )
        share = line / median(cost[NONE])
        results.append(Result("witness: one line alone, by file", line, "us", "a call", share))
        return [*results, await _reading(node)]


async def _prepare(node: AsteriskNode) -> None:
    """Our dialplan, and the record modules with their folders, which Asterisk does not make."""
    etc, log = node.settings.directory / "etc", node.settings.directory / "log"
    plan = etc / "extensions.conf"
    endpoint = etc / "pjsip.conf"
    plan.write_text(plan.read_text().replace("[from-trunk]\n", PLAN.lstrip() + "\n[unused]\n"))
    # The endpoint's own handler would be part of every way.
    endpoint.write_text(endpoint.read_text().replace("set_var =", ";"))
    await node.cli("module reload res_pjsip.so")
    await node.cli("dialplan reload")
    for module, line in RECORDS.items():
        (log / module.replace("_", "-")).mkdir(exist_ok=True)
        (etc / f"{module}.conf").write_text(f"[mappings]\nended.csv => {line}\n")
    for module in ("func_db", "func_cdr", "res_cdrel_custom", "res_clioriginate"):
        await node.cli(f"module load {module}.so")


async def _choose(node: AsteriskNode, way: str) -> None:
    etc = node.settings.directory / "etc"
    for name, more in (("cel", "events = ANSWER,HANGUP\n"), ("cdr", "")):
        enabled = "yes" if name.upper() == way else "no"
        (etc / f"{name}.conf").write_text(f"[general]\nenable = {enabled}\n{more}")
        await node.cli(f"module reload {name}")
        await node.cli(f"module unload {name}_custom.so")
        if enabled == "yes":
            await node.cli(f"module load {name}_custom.so")


async def _cost_us(node: AsteriskNode, way: str) -> float:
    """Asterisk's processor time for one call, in microseconds."""
    number = {"hangup handler, file": "101", "hangup handler, AstDB": "102"}.get(way, "100")
    written, before = await _written(node, way), _ticks(node.pid)
    sipp = await asyncio.create_subprocess_exec(
        *("sipp", f"127.0.0.1:{node.settings.sip_port}", "-sn", "uac", "-s", number, "-i", "127.0.0.1"),
        *("-r", str(CALLS_A_SECOND), "-m", str(CALLS), "-d", "100", "-nostdin", "-skip_rlimit"),
        cwd=node.settings.directory,
        env={"TERM": "dumb", "PATH": os.environ.get("PATH", "")},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(60):
        failed = await sipp.wait()
    if failed:
        raise NodeError(f"not every call went well with {way}: SIPp ended with {failed}")
    await asyncio.sleep(0.3)  # what is written behind the call's back
    spent = _ticks(node.pid) - before
    if way != NONE and await _written(node, way) < written + CALLS:
        raise NodeError(f"{way} did not write down every call: nothing was measured")
    return spent * 1e6 / os.sysconf("SC_CLK_TCK") / CALLS


async def _written(node: AsteriskNode, way: str) -> int:
    """How many lines or rows that way has left so far."""
    if way.endswith("AstDB"):
        return int((await node.cli("database show ended")).rpartition(" results")[0].rpartition("\n")[2])
    root = node.settings.directory
    files = {"CEL": "log/cel-custom/*", "CDR": "log/cdr-custom/*"}.get(
        way, "spool/recording/flowengine-ended-*"
    )
    return sum(path.read_text().count("\n") for path in root.glob(files))


async def _in_a_row_us(node: AsteriskNode, number: str) -> float:
    """Asterisk's processor time for one turn of a loop in the dialplan: with the handler's lines, or without."""
    before = _ticks(node.pid)
    await node.cli(f"channel originate Local/{number}@from-trunk application Wait 30")
    async with asyncio.timeout(60):
        await asyncio.sleep(0.3)
        while "\n0 active channels" not in "\n" + await node.cli("core show channels count"):  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.2)
    return (_ticks(node.pid) - before) * 1e6 / os.sysconf("SC_CLK_TCK") / LINES_IN_A_ROW


def _ticks(pid: int | None) -> int:
    """Processor time of a process so far, its kernel's included (proc(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


async def _reading(node: AsteriskNode) -> Result:
    """How long an engine that is back takes to learn when its calls ended."""
    clock, settings = SystemClock(), node.settings
    folder = settings.spool / "recording"
    for path in folder.glob("flowengine-ended-*"):
        path.unlink()
    now = clock.now()
    stamp = segment_of(now)[-12:] + "959.000000"
    lines = [f"{stamp[:-10]}000.{number:06d} bench-1.{number} 16 Up\n" for number in range(LINES)]
    (folder / f"{segment_of(now)}.ulaw").write_text("".join(lines))
    account = AriSettings(
        app=settings.app, username=settings.ari_user, password=settings.ari_password, url=settings.ari_url
    )
    wanted = [f"bench-1.{number}" for number in range(0, LINES, LINES // LEGS)]
    took = []
    async with AriClient(account, lambda _event: None) as client:
        await client.wait_ready(10)
        for _ in range(ROUNDS):
            began = time.perf_counter()
            found = await Witness(client, clock).ended(wanted, now - 60_000_000)
            took.append(time.perf_counter() - began)
            if len(found) != len(wanted):
                raise NodeError(f"{len(wanted) - len(found)} ends were not found")
    return Result(f"witness: {LEGS} ends found among {LINES:,}", median(took) * 1e3, "ms")
