"""A simulated month: what the statement and the reports say is what a second reckoning of the calls says."""

import csv
import io

from flowengine.billing.exchange import exchange_rates
from flowengine.billing.money import parse_credits
from flowengine.billing.statements import write_csv
from flowengine.shop.statement_html import statement_html
from flowengine.store import ledger
from flowengine.store.database import Database
from tests.shop.month import compare, simulate

CALLS = 3_000
"""`python -m tests.shop.month URL` does it with 100,000."""
EURO = exchange_rates("EUR=0.92")["EUR"]


async def test_the_statement_of_a_month_is_what_its_calls_come_to(database: Database) -> None:
    month, shop = await simulate(database, CALLS)
    compare(month, CALLS)
    async with database.reading() as session:
        assert await ledger.derive(session, shop.account) == []
    out = io.StringIO()
    write_csv(month.statement, EURO, out)
    rows = list(csv.DictReader(io.StringIO(out.getvalue())))
    money = {(row["section"], row["item"]): parse_credits(row["credits"], signed=True) for row in rows}
    assert money["balance", "opening"] == month.statement.opening
    assert money["balance", "closing"] == month.statement.closing
    entries = [parse_credits(row["credits"], signed=True) for row in rows if row["section"] == "entries"]
    assert month.statement.opening + sum(entries) == month.statement.closing
    assert "Statement 2027-03" in statement_html(month.statement, EURO)
