"""Prepaid money: what a call, a number and a plan cost, and when it is owed.

The modules of arithmetic are pure, with whole numbers only: `money`, `currencies`, `rates`, `increments`, `periods`,
`plans`, `decks` and `deck_cells`. Whatever keeps money or charges it stands above them.
"""
