"""Commands that run calls without a telephone: simulate, replay and centre."""

import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flowengine.cli.flows import AsJson, FlowFile
from flowengine.cli.screen import PROBLEMS, fail, read_bytes, say, say_json, write_text

if TYPE_CHECKING:
    from flowengine.call.trace import Trace
    from simulator.play import ScenarioResult


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    app.command()(simulate)
    app.command()(replay)
    app.command()(centre)


def simulate(
    flow: FlowFile,
    scenarios: Annotated[list[Path], typer.Argument(metavar="SCENARIO", help="Scenario files (YAML).")],
    as_json: AsJson = False,
    junit: Annotated[Path | None, typer.Option(help="Also write a JUnit report here.")] = None,
    traces: Annotated[
        Path | None, typer.Option(help="Also write a trace of every call into this folder.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Leave out the timelines.")] = False,
) -> None:
    """Play scenarios against a flow in virtual time.

    Exit 0: everything was as expected. 1: an expectation failed, or the flow could not be published. 2: unreadable.
    """
    from flowengine.flow.document import Invalid, Unreadable
    from simulator.junit import junit_xml
    from simulator.play import BadFlow
    from simulator.scenario_file import BadScenario

    try:
        results = _play(flow, scenarios)
    except BadScenario as error:
        fail(str(error))
    except Unreadable as error:
        fail(f"{flow}: {error}")
    except Invalid as error:
        fail(f"{flow}: {error}", PROBLEMS)
    except BadFlow as error:
        fail(str(error), PROBLEMS)
    if junit is not None:
        write_text(junit, junit_xml(results))
    if traces is not None:
        for place, result in enumerate(results, start=1):
            for trace in result.traces():
                write_text(
                    traces / f"{place}-{_file_name(result.name)}-{trace.call}.jsonl", _text(trace, result)
                )
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


def _play(flow_file: Path, scenario_files: list[Path]) -> "list[ScenarioResult]":
    """Play each scenario; raises for the flow first, and then for all scenarios at once."""
    from flowengine.flow.document import load
    from flowengine.flow.graph import problems
    from simulator.play import BadFlow, play
    from simulator.scenario_file import BadScenario, ScenarioProblem, load_scenario

    flow = load(read_bytes(flow_file))
    if errors := [problem for problem in problems(flow) if problem.severity == "error"]:
        raise BadFlow(str(flow_file), errors)
    scenarios = []
    bad: list[ScenarioProblem] = []
    for path in scenario_files:
        try:
            scenarios.append((load_scenario(path), path))
        except BadScenario as error:
            bad += error.problems
    if bad:
        raise BadScenario(bad)
    return [play(flow, scenario, file=str(path)) for scenario, path in scenarios]


def _text(trace: "Trace", result: "ScenarioResult") -> str:
    from flowengine.call.trace import dump

    try:
        return dump(trace)
    except UnicodeEncodeError:
        fail(f"{result.file}: holds half of a surrogate pair (an escape such as \\ud800): correct it")


def _file_name(title: str) -> str:
    """A title as a part of a file's name, whatever somebody called their scenario."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60] or "scenario"


def replay(
    traces: Annotated[
        list[Path], typer.Argument(metavar="TRACE", help="Traces (JSON Lines) of real or simulated calls.")
    ],
    flow: Annotated[
        Path | None, typer.Option(help="What would this flow have done with these calls?")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run recorded calls again; report where one first differs, or what a changed flow would have done.

    Exit 0: every call came out the same. 1: one differs, or its answer is unknown; or the flow is not valid.
    2: unreadable.
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


def centre(
    plan: Annotated[Path, typer.Argument(help="A plan of a contact centre (YAML).")],
    as_json: AsJson = False,
    svg: Annotated[Path | None, typer.Option(help="Also draw a day of it, as SVG, here.")] = None,
) -> None:
    """Live through days of a whole contact centre: service level, waits, who hangs up, how busy agents are.

    Exit 0: done. 2: the plan or its flow cannot be read. 1: the flow cannot be published.
    """
    from flowengine.flow.document import Invalid, Unreadable
    from simulator.centre_file import run_file
    from simulator.centre_report import day_picture, report
    from simulator.play import BadFlow
    from simulator.scenario_file import BadScenario

    if not plan.is_file():
        fail(f"{plan}: there is no such file")
    try:
        result = run_file(plan)
    except (BadScenario, Unreadable) as error:
        fail(str(error))
    except (BadFlow, Invalid) as error:
        fail(str(error), PROBLEMS)
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")
    if svg is not None:
        write_text(svg, day_picture(result))
    if as_json:
        say_json(result.to_json())
    else:
        say(report(result).rstrip())
