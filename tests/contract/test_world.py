"""The contract, in virtual time."""

import asyncio

import pytest

from tests.contract.cases import CASES, Case
from tests.contract.rig import Ran, verify
from tests.contract.world_rig import WorldRig


@pytest.fixture(scope="module")
def rig() -> WorldRig:
    return WorldRig()


@pytest.fixture(scope="module")
def ran(rig: WorldRig) -> dict[str, Ran]:
    return asyncio.run(rig.run(CASES))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case, ran: dict[str, Ran]) -> None:
    verify(case, ran[case.name])


def test_nothing_is_left(rig: WorldRig, ran: dict[str, Ran]) -> None:
    assert len(ran) == len(CASES)
    assert asyncio.run(rig.leaks()) == []
