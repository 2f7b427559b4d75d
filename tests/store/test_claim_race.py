"""Processes race for the last agent: nobody claims them twice, and nobody waits in vain."""

import os

import pytest

from tests.store.claim_race import race

ROUNDS = int(os.environ.get("FLOWENGINE_CLAIM_ROUNDS", "500"))
"""20,000 are for a quiet machine: `python -m tests.store.claim_race`."""
WITHIN_S = 60 + ROUNDS * 0.05


@pytest.mark.timeout(WITHIN_S + 60)
def test_two_processes_claim_the_last_agent_on_postgresql(postgres_url: str) -> None:
    figures = race(postgres_url, ROUNDS, within_s=WITHIN_S)
    assert (figures.doubles, figures.lost) == (0, 0), figures
    assert figures.claims >= ROUNDS
    assert figures.after_waiting > ROUNDS / 10, "they were in each other's way"


def test_two_processes_claim_the_last_agent_on_sqlite(sqlite_url: str) -> None:
    figures = race(sqlite_url, 300, in_line=False)
    assert (figures.doubles, figures.lost) == (0, 0), figures
    assert figures.claims >= 300
