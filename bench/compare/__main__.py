"""`python -m bench.compare`: one table, one picture, and 1 when a figure had to be refused."""

import argparse
import sys
from pathlib import Path

from bench.compare.contenders import BY_NAME
from bench.compare.ground import NoGround
from bench.compare.plot import svg
from bench.compare.report import text, unsteady
from bench.compare.run import PARTS, Plan, chosen, measured
from bench.compare.sip_load import SippUnusable
from flowengine.ari.node import NodeError

QUICK_S = 4.0


def main(arguments: list[str]) -> int:
    """Measure and print; 0, 1 when figures were refused, 2 when it cannot be run here."""
    given = _parser().parse_args(arguments)
    quick = given.quick
    plan = Plan(
        contenders=chosen(given.contender or []),
        lines=given.line or ("sip", "local"),
        parts=given.part or PARTS,
        rounds=given.rounds or (2 if quick else 5),
        seconds=given.seconds or (QUICK_S if quick else 8.0),
        moderate=given.moderate,
        steps=given.live or ((50, 100) if quick else (100, 500, 2_000)),
    )
    try:
        found = measured(plan)
    except (NoGround, NodeError, SippUnusable) as error:
        print(error, file=sys.stderr)
        return 2
    print(text(found))
    if given.plot is not None:
        given.plot.write_text(svg(found), encoding="utf-8")
    return 1 if unsteady(found) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="two short rounds and few live calls: a look, no figures"
    )
    parser.add_argument(
        "--contender", action="append", choices=list(BY_NAME), help="only this one (again for more)"
    )
    parser.add_argument(
        "--line", action="append", choices=["sip", "local"], help="only SIP, or only Local channels"
    )
    parser.add_argument("--part", action="append", choices=list(PARTS), help="only some of the parts")
    parser.add_argument("--rounds", type=int, help="how often each is measured (5)")
    parser.add_argument("--seconds", type=float, help="how long calls come in a trial (8)")
    parser.add_argument(
        "--moderate", type=float, help="calls a second for the delays (half load of our engine)"
    )
    parser.add_argument(
        "--live", type=int, action="append", help="so many live calls at once (100, 500, 2000)"
    )
    parser.add_argument("--plot", type=Path, help="write the picture here (SVG)")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
