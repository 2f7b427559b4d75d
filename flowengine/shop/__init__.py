"""Everything of prepaid money that is not the metering of running calls: numbers, plans, purchases, statements.

For whoever shows or changes it (a command line, an API), these are the functions, with `database` an open `Database`,
`shop` a `NumberShop`, `checkout` a `Checkout`; money is micro-credits, ids are those of accounts (`acc_...`):

| to | call |
| --- | --- |
| import a list of numbers | `shop.import_list(stream)`; `shop.refresh()` asks a carrier that has its own |
| find numbers for sale | `offered.kinds(session, country)`, `offered.search(session, country=, ...)` |
| show a price, then buy | `shop.quote(e164)`, `shop.buy(account, e164, price, key, by)` |
| list, attach, detach | `numbers.list_numbers(session, account)`, `numbers.attach(session, account, e164, flow)` |
| give a number up | `shop.release(account, e164)` |
| show the plan | `plan_sales.view_plan(session, account, now)` |
| change the plan | `plan_sales.quote_plan(session, account, code, now, fees)`, then `choose_plan(..., by, now, fees)` |
| stay on the plan | `plan_sales.cancel_plan_change(session, account)` |
| show a price of credits, then buy | `checkout.quote(account, amount)`, `checkout.buy(account, amount, ...)` |
| take a provider's webhook | `checkout.told(webhook)` |
| book, or give up, a payment by hand | `checkout.book(purchase, reference, by)`, `checkout.give_up(...)` |
| show the purchases | `purchases.history(session, account, after)` |
| refund, correct | `corrections.refund(...)`, `corrections.adjust(...)` |
| say what happens without credits | `credit_terms.set_policy(session, account, refuse_when_empty=, ...)` |
| set auto-recharge | `recharge.configure(session, account, below, amount, by, now)`, `recharge.view(...)` |
| show the balance | `credit_reports.standing(session, account)` |
| show what was bought and used | `credit_reports.used(session, account, span)`, `used_by_day(...)`, `used_by(...)` |
| state a month | `statements.statement(session, account, year, month, now)` |
| write it down | `billing.statements.write_csv(...)`, `statement_html.statement_html(statement, rate)` |

Modules are of `flowengine.store` unless they are of this package; what reads takes a session of `Database.reading`,
what writes (`quote_plan`, `view_plan`, `recharge.view` too, for they lock the till) one of `Database.writing`, best by
`ledger.transact`. `selling` (in `watch`) looks after all of it while an engine runs.
"""
