"""The desk in memory keeps the contract of desks."""

import pytest

from flowengine.routing.desk import MemoryDesk
from tests.routing.desk_contract import DeskContract, Floor, catalog


class TestMemoryDesk(DeskContract):
    @pytest.fixture
    def floor(self) -> Floor:
        async def settled() -> None:
            """It answers at once."""

        made = Floor()
        made.desk, made.settle = MemoryDesk(made.outlets(), catalog()), settled
        return made
