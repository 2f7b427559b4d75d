"""What the commands about money share: amounts and numbers as people type them, prices confirmed, refusals told.

Amounts are read digit by digit and written exactly; in JSON they are texts, for a program that reads them as floating
point numbers would lose what is behind the point.
"""

import contextlib
import logging
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

import typer

from flowengine.cli.screen import PROBLEMS, fail
from flowengine.cli.stored import BadWord, Company, Opened, moment, with_database

if TYPE_CHECKING:
    from flowengine.billing.currencies import ExchangeRate
    from flowengine.billing.number_fees import NumberFees
    from flowengine.config import Settings
    from flowengine.store.tables import Account

T = TypeVar("T")

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
By = Annotated[str, typer.Option(help="Who does it; it is kept with the entry.")]
Key = Annotated[
    str | None, typer.Option(help="A key of your own: the same key again does not do it a second time.")
]
Zone = Annotated[str, typer.Option(help="Days and times without an offset are of this time zone.")]
OPERATOR: Final = "operator"
LONGEST_KEY: Final = 100
"""Fits into the key of a ledger entry with what is put before it."""
LONGEST_NAME: Final = 100


class Refused(Exception):
    """What the books do not allow; the message says why, and what would help."""


class Payer(NamedTuple):
    """An account as the till knows it, and what a credit costs in its currency; None: no rate is configured."""

    company: Company
    currency: str
    country: str
    rate: "ExchangeRate | None"

    def shown(self, amount: int) -> str | None:
        """An amount of credits in the account's currency."""
        from flowengine.billing.currencies import shown_in

        return None if self.rate is None else shown_in(amount, self.rate)

    def must_have_rate(self) -> None:
        """Raises `BadWord`: nothing can be sold in the account's currency."""
        if self.rate is None:
            raise BadWord(
                f"there is no exchange rate for {self.currency}: add what one credit costs to"
                f" FLOWENGINE_EXCHANGE_RATES, such as {self.currency}=1.25"
            )

    def both(self, amount: int) -> str:
        """An amount for people: in credits, and in the currency of the account where that is another."""
        shown = self.shown(amount)
        beside = "" if shown is None or self.currency == "USD" else f" ({shown} {self.currency})"
        return f"{exact(amount)} credits{beside}"


def with_books(work: Callable[[Opened], Awaitable[T]]) -> T:
    """As `with_database`, and what the books refuse ends with exit code 1 and the reason.

    Amounts, keys and settings of money that cannot be read end with exit code 2.
    """
    from flowengine.billing.csv_table import BadCsv
    from flowengine.billing.currencies import BadCurrency
    from flowengine.billing.money import BadAmount
    from flowengine.billing.periods import BadZone
    from flowengine.billing.spans import BadSpan
    from flowengine.store.errors import KeyReused, NotEnough
    from flowengine.store.till import ShopRefused

    async def told(here: Opened) -> T:
        try:
            with _quiet():
                return await work(here)
        except ShopRefused as refused:
            raise Refused(f"{refused} [{refused.code}]") from None
        except (KeyReused, NotEnough, BadCsv) as refused:
            raise Refused(str(refused)) from None
        except (BadAmount, BadCurrency, BadSpan, BadZone) as bad:
            raise BadWord(str(bad)) from None

    try:
        return with_database(told)
    except Refused as refused:
        fail(str(refused), PROBLEMS)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Leave out what the services log when all goes well: who sits at a terminal is told by the command."""
    import structlog

    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    try:
        yield
    finally:
        structlog.configure(**before)


async def payer(here: Opened, key: str) -> Payer:
    """The account with this key, at the till. Raises `Unknown`."""
    of = await here.company(key)
    row = await account_row(here, of)
    return Payer(of, row.currency, row.country, exchange(here.settings).get(row.currency))


async def account_row(here: Opened, of: Company) -> "Account":
    """The row of an account."""
    from flowengine.store.tables import Account

    async with here.database.reading() as session:
        return await session.get_one(Account, of.id)


def exact(amount: int) -> str:
    """Micro-credits as an exact decimal text."""
    from flowengine.billing.money import format_credits

    return format_credits(amount)


def credits(text: str, *, signed: bool = False) -> int:
    """An amount of credits as typed, in micro-credits, or the end with exit code 2."""
    from flowengine.billing.money import BadAmount, parse_credits

    try:
        return parse_credits(text, signed=signed)
    except BadAmount as bad:
        fail(str(bad))


def exchange(settings: "Settings") -> "Mapping[str, ExchangeRate]":
    """What a credit costs in each currency."""
    from flowengine.billing.exchange import exchange_rates

    return exchange_rates(settings.exchange_rates)


def number_fees(settings: "Settings") -> "NumberFees":
    """The operator's list of number fees. Raises `BadWord`: the settings name one that cannot be used."""
    from flowengine.billing.csv_table import BadCsv
    from flowengine.shop.fees import load_number_fees

    try:
        return load_number_fees(settings.number_fees_file)
    except OSError as error:
        raise BadWord(
            f"FLOWENGINE_NUMBER_FEES_FILE: {settings.number_fees_file}: cannot be read ({error.strerror})"
        ) from None
    except BadCsv as bad:
        raise BadWord(f"FLOWENGINE_NUMBER_FEES_FILE: {settings.number_fees_file}: {bad}") from None


def telephone(text: str, country: str) -> str:
    """A number in E.164, in whatever spelling it is typed. Raises `BadWord`."""
    from flowengine.store.phone import InvalidNumber, read_number

    try:
        return read_number(text, country).e164
    except InvalidNumber as bad:
        raise BadWord(str(bad)) from None


def confirm(question: str, *, yes: bool) -> None:
    """Go on when a price was confirmed: by --yes, or by a person at a terminal. Ends with exit code 2 or 1."""
    if yes:
        return
    if not sys.stdin.isatty():
        fail(f"{question}? add --yes if that is meant")
    typer.confirm(f"{question}?", abort=True, err=True)


def checked_key(key: str | None) -> str:
    """The key that was given, or a new one. Ends with exit code 2."""
    import secrets

    if key is None:
        return secrets.token_hex(16)
    if not 0 < len(key.strip()) <= LONGEST_KEY:
        fail(f"--key: give 1 to {LONGEST_KEY} characters")
    return key.strip()


def named(option: str, text: str) -> str:
    """A text that stays with an entry: there, and not too long. Ends with exit code 2."""
    if not 0 < len(text.strip()) <= LONGEST_NAME:
        fail(f"{option}: give 1 to {LONGEST_NAME} characters")
    return text.strip()


def instant_of(text: str, zone: ZoneInfo) -> int:
    """An instant as typed. Raises `BadWord`."""
    found = moment(text, zone, datetime.now(UTC))
    assert found is not None, "there is a text"
    return found


def written(at: int, zone: ZoneInfo) -> str:
    """An instant for people."""
    from flowengine.billing.periods import local_time
    from flowengine.cli.columns import local

    return local(local_time(at, zone), zone)


def stamp(at: int | None, zone: ZoneInfo) -> str | None:
    """An instant for programs, with the offset of the zone."""
    from flowengine.billing.periods import local_time
    from flowengine.cli.columns import iso

    return None if at is None else iso(local_time(at, zone), zone)


def plain_lines(text: str) -> str:
    """A text of several lines, each without what would be obeyed by a terminal."""
    from flowengine.cli.columns import plain

    return "\n".join(map(plain, text.split("\n")))


def now() -> int:
    """The time, in microseconds since the Unix epoch."""
    from flowengine.clock import SystemClock

    return SystemClock().now()
