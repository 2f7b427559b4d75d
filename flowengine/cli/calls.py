"""Commands that run calls without a telephone: simulate, replay and say."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from flowengine.cli.flows import AsJson, FlowFile
from flowengine.cli.screen import MISSING, PROBLEMS, fail, read_bytes, say, say_json


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    app.command()(simulate)
    app.command()(replay)
    app.command(name="say")(speak)


def simulate(
    flow: FlowFile,
    scenarios: Annotated[list[Path], typer.Argument(help="Scenario files (YAML).")],
    as_json: AsJson = False,
    junit: Annotated[Path | None, typer.Option(help="Also write a JUnit report here.")] = None,
    traces: Annotated[
        Path | None, typer.Option(help="Also write a trace of every call into this folder.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Leave out the timelines.")] = False,
) -> None:
    """Play scenarios against a flow in virtual time. Exit 1 when an expectation fails."""
    from flowengine.call.trace import dump
    from flowengine.flow.document import Invalid, Unreadable
    from simulator.junit import junit_xml
    from simulator.play import BadFlow, run_files
    from simulator.scenario_file import BadScenario

    try:
        results = run_files(flow, list(scenarios))
    except (BadScenario, Unreadable) as error:
        fail(str(error))
    except (BadFlow, Invalid) as error:
        fail(str(error), PROBLEMS)
    if junit is not None:
        junit.write_text(junit_xml(results), encoding="utf-8")
    if traces is not None:
        traces.mkdir(parents=True, exist_ok=True)
        for result in results:
            for trace in result.traces():
                (traces / f"{result.name}-{trace.call}.jsonl").write_text(dump(trace), encoding="utf-8")
    if as_json:
        say_json([result.to_json() for result in results])
    else:
        for result in results:
            say(f"{'ok' if result.ok else 'FAILED'}  {result.name}", "ok" if result.ok else "error")
            if not quiet:
                say(result.timeline())
            for failure in result.failures:
                say(f"  {failure}", "error")
    raise typer.Exit(0 if all(result.ok for result in results) else PROBLEMS)


def replay(
    traces: Annotated[list[Path], typer.Argument(help="Traces (JSON Lines) of real or simulated calls.")],
    flow: Annotated[
        Path | None, typer.Option(help="What would this flow have done with these calls?")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run recorded calls again; report where one first differs, or what a changed flow would have done.

    Exit 0: every call came out the same. 1: one differs, or its answer is unknown. 2: unreadable.
    """
    from flowengine.call.trace import BadTrace, Trace, read
    from flowengine.cli.reports import against_flow, against_itself

    read_traces: list[tuple[Path, Trace]] = []
    for path in traces:
        try:
            read_traces.append((path, read(read_bytes(path))))
        except BadTrace as error:
            fail(f"{path}: {error}")
    reports = against_itself(read_traces) if flow is None else against_flow(read_traces, flow)
    if as_json:
        say_json([asdict(report) for report in reports])
    else:
        for report in reports:
            say(f"{report.verdict:<9} {report.trace}", "ok" if report.verdict == "same" else "error")
            for line in report.lines:
                say(f"    {line}")
    raise typer.Exit(0 if all(report.verdict == "same" for report in reports) else PROBLEMS)


def speak(
    text: Annotated[str, typer.Argument(help="What to say.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The WAV file to write.")] = Path("said.wav"),
    language: Annotated[str, typer.Option(help="Language tag, such as en-US or ja-JP.")] = "en-US",
    voice: Annotated[str, typer.Option(help="A voice of the speech engine.")] = "",
) -> None:
    """Speak a text into a file exactly as a caller would hear it (8 kHz, mono)."""
    import asyncio
    import shutil
    import tempfile

    from recordings.errors import SoundError
    from recordings.keys import say as say_key
    from recordings.prompts import PromptLibrary
    from recordings.speech import EspeakSpeech

    with tempfile.TemporaryDirectory(prefix="flowengine-say-") as folder:
        try:
            prompts = PromptLibrary(Path(folder), EspeakSpeech())
            rendered = asyncio.run(prompts.render(say_key(text, language, voice)))
        except SoundError as error:
            fail(str(error), MISSING)
        shutil.copyfile(rendered.path, out)
    say(f"{out}: {rendered.duration_ms / 1000:.1f} s")
