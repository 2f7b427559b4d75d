"""Benchmarks: `python -m bench [NAME...]` measures and prints a table.

Each module here has a `measure()` that gives results. A figure means little on an unknown machine, so each comes
with a baseline measured in the same run, and the ratio to it is what may be compared between machines and days.
"""

from collections.abc import Callable
from statistics import median
from time import process_time
from typing import NamedTuple


class Result(NamedTuple):
    """One line of the table."""

    what: str
    value: float
    unit: str
    baseline: str = ""
    ratio: float | None = None
    """Value by the baseline's value."""
    note: str = ""


def median_rate(work: Callable[[], int], rounds: int = 5) -> float:
    """How much of its work a function does in a second of one core's time: the median of some rounds.

    Processor time and not the clock's, so that a busy machine measures like an idle one. `work` returns how much it
    did.
    """
    rates = []
    for _ in range(rounds):
        began = process_time()
        done = work()
        rates.append(done / (process_time() - began))
    return median(rates)
