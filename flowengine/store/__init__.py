"""What outlives the process: accounts, flows and their versions, the journal, the history.

Plain functions by topic, each taking a session; the caller opens the transaction (`database.Database`). Every
row and every query is bound to an account. SQLite by default, PostgreSQL by its URL; the tests run on both.
"""
