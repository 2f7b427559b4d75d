"""Commands about flow documents: check and schema."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from flowengine.cli.screen import PROBLEMS, UNREADABLE, fail, read_bytes, say, say_json

FlowFile = Annotated[Path, typer.Argument(help="A flow document (JSON); - reads standard input.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    app.command()(check)
    app.command()(schema)


def check(flow: FlowFile, as_json: AsJson = False) -> None:
    """Name everything that keeps a flow from being published.

    Exit 0: publishable (warnings may be there), 1: problems, 2: not a JSON document.
    """
    from flowengine.flow.document import Invalid, Unreadable, load
    from flowengine.flow.graph import problems

    try:
        found = problems(load(read_bytes(flow)))
    except Unreadable as error:
        if as_json:
            say_json({"problems": [], "unreadable": str(error)})
            raise typer.Exit(UNREADABLE) from None
        fail(f"{flow}: {error}")
    except Invalid as error:
        found = error.problems
    errors = sum(problem.severity == "error" for problem in found)
    if as_json:
        say_json({"problems": [asdict(problem) for problem in found]})
    else:
        for problem in found:
            say(
                f"{problem.severity}: {problem.pointer or '/'}: {problem.message} [{problem.code}]",
                problem.severity,
            )
        warnings = len(found) - errors
        count = f"{errors} error{'s' * (errors != 1)}, {warnings} warning{'s' * (warnings != 1)}"
        say(
            f"{flow}: {'publishable' if not errors else 'cannot be published'} ({count})",
            "error" if errors else "ok",
        )
    raise typer.Exit(PROBLEMS if errors else 0)


def schema(
    is_check: Annotated[
        bool, typer.Option("--check", help="Exit 1 if the committed files have drifted.")
    ] = False,
    write: Annotated[bool, typer.Option("--write", help="Write the generated files anew.")] = False,
) -> None:
    """Print the JSON Schema of flow documents, or keep the generated files in step with the code."""
    from flowengine.flow import schema as generated

    if write:
        for path in generated.stale_schemas():
            say(f"written: {path}")
        generated.write_schemas()
    elif is_check:
        drifted = generated.stale_schemas()
        for path in drifted:
            say(f"{path}: differs from the code; run `flowengine schema --write`", "error")
        raise typer.Exit(PROBLEMS if drifted else 0)
    else:
        say_json(generated.flow_schema())
