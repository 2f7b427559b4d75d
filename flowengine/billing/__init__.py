"""Prepaid money: what a call, a number and a plan cost, and when it is owed.

The arithmetic is pure, with whole numbers only: `money` and `currencies`; `rates`, `number_fees` and `plans` say what
things cost, `increments` and `periods` when it is owed, `validity` which price holds; `decks`, with `csv_table` and
`csv_cells`, reads prices; `spans` are what reports are about. Whatever keeps money or charges it stands above them.
"""
