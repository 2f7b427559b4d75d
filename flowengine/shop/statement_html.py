"""A statement as one page of HTML: nothing outside of it is needed, it prints well, and it is Japanese or English."""

from html import escape
from typing import Final

from flowengine.billing.currencies import ExchangeRate, shown_in
from flowengine.billing.money import MicroCredits, format_credits
from flowengine.billing.statements import Statement

_STYLE: Final = """
body { font: 14px/1.5 system-ui, "Hiragino Sans", "Noto Sans CJK JP", sans-serif; color: #1a1a1a; margin: 2.5rem auto;
  max-width: 46rem; padding: 0 1rem }
h1 { font-size: 1.5rem; margin: 0 } h2 { font-size: 1.05rem; margin: 2rem 0 .4rem }
p { margin: .2rem 0; color: #555 }
table { border-collapse: collapse; width: 100% }
th, td { border-bottom: 1px solid #ddd; padding: .35rem .5rem; text-align: left }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
tr.sum td { font-weight: 600; border-top: 2px solid #1a1a1a }
@media print { body { margin: 0; max-width: none } h2 { break-after: avoid } tr { break-inside: avoid } }
"""

_WORDS: Final = {
    "en": {
        "title": "Statement",
        "to": "to",
        "draft": "This month is not final yet.",
        "time": "Days are those of the time zone",
        "rate": "One credit is shown as",
        "item": "Item",
        "many": "Entries",
        "credits": "Credits",
        "opening": "Balance at the beginning",
        "closing": "Balance at the end",
        "owed": "Calls that could not be paid yet",
        "calls": "Calls by rate",
        "increments": "Increments",
        "fees": "Monthly fees",
        "inbound": "Inbound",
        "outbound": "Outbound",
        "purchase": "Credits bought",
        "refund": "Refunded",
        "adjustment": "Adjusted",
        "minute": "Calls",
        "minute_back": "Calls, given back",
        "unpaid": "Calls, not paid",
        "arrears": "Calls of before, paid now",
        "number_fee": "Monthly fee of a number",
        "setup_fee": "Setup of a number",
        "plan_fee": "Recording storage plan",
        "plan_credit": "Recording storage plan, credited",
        "none": "Nothing in this month.",
    },
    "ja": {
        "title": "ご利用明細",
        "to": "〜",
        "draft": "この月の明細はまだ確定していません。",
        "time": "日付のタイムゾーン:",
        "rate": "1クレジットの換算額:",
        "item": "項目",
        "many": "件数",
        "credits": "クレジット",
        "opening": "月初の残高",
        "closing": "月末の残高",
        "owed": "未払いの通話料",
        "calls": "料金別の通話",
        "increments": "課金単位数",
        "fees": "月額料金",
        "inbound": "着信",
        "outbound": "発信",
        "purchase": "クレジットの購入",
        "refund": "返金",
        "adjustment": "調整",
        "minute": "通話",
        "minute_back": "通話(返却)",
        "unpaid": "通話(未払い)",
        "arrears": "未払い通話料の精算",
        "number_fee": "電話番号の月額料金",
        "setup_fee": "電話番号の初期費用",
        "plan_fee": "録音データ用ストレージ",
        "plan_credit": "録音データ用ストレージ(充当)",
        "none": "この月の記録はありません。",
    },
}


def statement_html(statement: Statement, rate: ExchangeRate) -> str:
    """The page, in the account's language; amounts in credits and in the currency of `rate`."""
    language = "ja" if statement.language.partition("-")[0] == "ja" else "en"
    page = _Page(language, rate)
    days = f"{statement.first.isoformat()} {page.word('to')} {statement.last.isoformat()}"
    lines = [page.row(page.word("opening"), "", statement.opening, is_sum=True)]
    lines += [page.row(page.word(each.kind), str(each.many), each.amount) for each in statement.lines]
    lines += [page.row(page.word("closing"), "", statement.closing, is_sum=True)]
    if statement.owed:
        lines.append(page.row(page.word("owed"), "", -statement.owed))
    calls = [
        page.row(f"{page.word(each.direction)} {each.key}", str(each.many), each.amount)
        for each in statement.calls
    ]
    fees = [
        page.row(f"{page.word(each.kind)} {each.subject}", str(each.many), each.amount)
        for each in statement.fees
    ]
    title = f"{page.word('title')} {statement.first:%Y-%m}"
    return "\n".join(
        [
            "<!doctype html>",
            f'<html lang="{language}"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)} {escape(statement.name)}</title><style>{_STYLE}</style></head><body>",
            f"<h1>{escape(title)}</h1>",
            f"<p>{escape(statement.name)} ({escape(statement.account)})</p><p>{escape(days)}</p>",
            *([] if statement.is_final else [f"<p><strong>{escape(page.word('draft'))}</strong></p>"]),
            page.table(page.word("many"), lines),
            f"<h2>{escape(page.word('calls'))}</h2>",
            page.table(page.word("increments"), calls),
            f"<h2>{escape(page.word('fees'))}</h2>",
            page.table(page.word("many"), fees),
            f"<p>{escape(page.word('time'))} {escape(statement.zone)}. {escape(page.price_of_one())}</p>",
            "</body></html>",
            "",
        ]
    )


class _Page:
    """Words in a language, and amounts in a currency."""

    def __init__(self, language: str, rate: ExchangeRate) -> None:
        self._words = _WORDS[language]
        self._rate = rate

    def word(self, key: str) -> str:
        """What people call it; a kind of entry that has no word is called by its name."""
        return self._words.get(key, key)

    def price_of_one(self) -> str:
        return f"{self.word('rate')} {shown_in(1_000_000, self._rate)} {self._rate.currency}."

    def row(self, item: str, many: str, amount: MicroCredits, *, is_sum: bool = False) -> str:
        kind = ' class="sum"' if is_sum else ""
        return (
            f'<tr{kind}><td>{escape(item)}</td><td class="n">{escape(many)}</td>'
            f'<td class="n">{format_credits(amount)}</td><td class="n">{shown_in(amount, self._rate)}</td></tr>'
        )

    def table(self, many: str, rows: list[str]) -> str:
        if not rows:
            return f"<p>{escape(self.word('none'))}</p>"
        names = [many, self.word("credits"), self._rate.currency]
        head = "".join(f'<th class="n">{escape(name)}</th>' for name in names)
        return f"<table><tr><th>{escape(self.word('item'))}</th>{head}</tr>{''.join(rows)}</table>"
