"""The contract, on a real Asterisk. No Asterisk is a failure here, not a skip."""

import pytest
import pytest_asyncio

from tests.contract.asterisk_rig import AsteriskRig
from tests.contract.cases import CASES, Case
from tests.contract.rig import Ran, verify

pytestmark = [pytest.mark.timeout(240), pytest.mark.asyncio(loop_scope="module")]


@pytest.fixture(scope="module")
def rig() -> AsteriskRig:
    return AsteriskRig()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ran(rig: AsteriskRig) -> dict[str, Ran]:
    return await rig.run(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_case(case: Case, ran: dict[str, Ran]) -> None:
    verify(case, ran[case.name])


async def test_nothing_is_left(rig: AsteriskRig, ran: dict[str, Ran]) -> None:
    assert len(ran) == len(CASES)
    assert await rig.leaks() == []
