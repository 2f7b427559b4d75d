"""Commands about flow documents: check and schema."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from flowengine.cli.screen import PROBLEMS, UNREADABLE, CannotRead, fail, read_input, say, say_json

FlowFile = Annotated[
    Path, typer.Argument(metavar="FLOW", help="A flow document (JSON); - reads standard input.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    app.command()(check)
    app.command()(schema)


def check(flow: FlowFile, as_json: AsJson = False) -> None:
    """Name everything that keeps a flow from being published.

    Exit 0: publishable (warnings may be there). 1: problems. 2: not a JSON document, or no file at all.
    """
    from flowengine.flow.document import Invalid, Unreadable, load
    from flowengine.flow.graph import problems

    try:
        found = problems(load(read_input(flow)))
    except (CannotRead, Unreadable) as error:
        why = str(error) if isinstance(error, CannotRead) else f"{flow}: {error}"
        if as_json:
            say_json({"problems": [], "unreadable": why})
            raise typer.Exit(UNREADABLE) from None
        fail(why)
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
    """Print the JSON Schema of flow documents, or keep the generated files in step with the code.

    Exit 0: fine. 1: --check found files that differ. 2: the files cannot be written.
    """
    from flowengine.flow import schema as generated

    if write and is_check:
        fail("--check and --write exclude each other: choose one")
    if write:
        stale = generated.stale_schemas()
        try:
            generated.write_schemas()
        except OSError as error:
            fail(f"{error.filename}: cannot be written ({error.strerror}): run this in a checkout")
        for path in stale:
            say(f"written: {path}")
    elif is_check:
        drifted = generated.stale_schemas()
        for path in drifted:
            say(f"{path}: differs from the code; run `flowengine schema --write`", "error")
        raise typer.Exit(PROBLEMS if drifted else 0)
    else:
        say_json(generated.flow_schema())
