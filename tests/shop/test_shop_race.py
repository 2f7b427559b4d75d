"""Many processes buy, use, refund and correct at once, and some are killed: what comes out was known beforehand."""

import pytest

from tests.shop.shop_race import check, race


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["postgres", "sqlite"])
def test_processes_trade_with_the_same_accounts_and_some_are_killed(
    kind: str, request: pytest.FixtureRequest
) -> None:
    url: str = request.getfixturevalue(f"{kind}_url")
    went = race(url, 2, 60 if kind == "postgres" else 25, kills=2, within_s=200)
    assert went.killed > 0
    assert sum(bought for bought, *_ in went.expected) > 0
    check(went)
