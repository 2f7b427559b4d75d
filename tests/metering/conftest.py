"""The databases of the store's tests are those of the meter, too."""

from tests.store.conftest import database, postgres, postgres_url, sqlite_template, sqlite_url, url

__all__ = ["database", "postgres", "postgres_url", "sqlite_template", "sqlite_url", "url"]
