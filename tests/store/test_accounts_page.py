"""The page about accounts says what is so: its example can be applied, and its codes are those of the code."""

import re
from pathlib import Path

from flowengine.store.account_file import read_account_file
from flowengine.store.account_model import CODES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "accounts.md").read_text()


def test_the_example_is_an_account_file() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    state = read_account_file(example.encode(), ROOT / "schemas" / "examples").state
    assert {number: of.flow for number, of in state.numbers.items()} == {
        "+815055550100": "main-line",
        "+81355550101": None,
    }
    assert state.flows["main-line"].published is not None
    assert not state.flows["after-hours"].enabled


def test_the_codes_on_the_page_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", PAGE.partition("| code |")[2], re.MULTILINE)
    assert dict(rows) == CODES
