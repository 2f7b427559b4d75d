"""What can go wrong with the store, as one tree.

    StoreError
    ├── DatabaseRefused        the URL, the folder, the driver or the server: nothing can be opened
    │   └── DatabaseInUse      another engine works on this SQLite file
    ├── SchemaMismatch         the tables are older or newer than this code
    ├── JournalUnavailable     the rows of a batch are not safe: the database failed
    ├── JournalConflict        the call is not open here, or another event has that place in its journal
    ├── JournalUnreadable      a stored event means nothing to this code
    ├── NotStored              what is asked for is not in this account
    ├── DraftChanged           somebody saved the draft in between
    ├── DecksChanged           rate decks were changed by others, again and again, while one was imported
    ├── NotEnough              a balance does not suffice for what was asked of it
    ├── KeyReused              the key of a transfer stands for another transfer
    ├── NotDeletable           a recording has no sound here that could be deleted
    ├── BadCursor              the place in a list is none
    └── AccountRefused         an account file is wrong, or does not fit what is stored

Each message names the thing and the mend, and is fit for a terminal.
"""

from collections.abc import Sequence

from flowengine.flow.problems import Problem


class StoreError(Exception):
    """Anything the store refuses or cannot do."""


class DatabaseRefused(StoreError):
    """The database cannot be opened."""


class DatabaseInUse(DatabaseRefused):
    """Another engine works on this SQLite file."""


class SchemaMismatch(StoreError):
    """The tables of the database are not those of this code."""


class JournalUnavailable(StoreError):
    """The database failed, and the rows of this batch are not known to be safe. A later try may succeed."""


class JournalConflict(StoreError):
    """This row can never be stored: its call is not open, or its place is taken by something else."""


class JournalUnreadable(StoreError):
    """A stored event cannot be read by this version of the code."""


class NotStored(StoreError):
    """There is no such thing in this account."""


class DraftChanged(StoreError):
    """The draft was saved by somebody else since it was read."""


class DecksChanged(StoreError):
    """Others changed rate decks each time that an import was about to be written."""


class NotEnough(StoreError):
    """A balance does not suffice. `free` is what could have been taken of it."""

    def __init__(self, account: str, name: str, asked: int, free: int) -> None:
        """Keep what was asked and what there is, both in the unit of the balance."""
        self.account, self.name, self.asked, self.free = account, name, asked, free
        super().__init__(f"{name} of {account} has {free} free, and {asked} were asked")


class KeyReused(StoreError):
    """The key of a transfer stands for another transfer: whoever chose it has chosen it twice."""


class NotDeletable(StoreError):
    """A recording has no sound here that could be deleted."""


class BadCursor(StoreError):
    """The place in a list where to go on is none that was given out."""


class AccountRefused(StoreError):
    """An account file cannot be applied; `problems` holds every reason at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        """Keep the problems; the text of the exception lists them, one a line."""
        self.problems = list(problems)
        super().__init__("\n".join(f"{p.pointer or '/'}: {p.message}" for p in self.problems))
