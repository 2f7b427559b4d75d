"""The contract, on the fake ARI."""

import time

import pytest
import pytest_asyncio

from tests.contract.cases import CASES, Case
from tests.contract.fake_rig import FakeRig
from tests.contract.rig import Ran, verify

pytestmark = [pytest.mark.timeout(60), pytest.mark.asyncio(loop_scope="module")]

LONGEST_S = 20.0


@pytest.fixture(scope="module")
def rig() -> FakeRig:
    return FakeRig()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ran(rig: FakeRig) -> dict[str, Ran]:
    began = time.monotonic()
    results = await rig.run(CASES)
    assert time.monotonic() - began < LONGEST_S
    return results


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_case(case: Case, ran: dict[str, Ran]) -> None:
    verify(case, ran[case.name])


async def test_nothing_is_left(rig: FakeRig, ran: dict[str, Ran]) -> None:
    assert len(ran) == len(CASES)
    assert await rig.leaks() == []
