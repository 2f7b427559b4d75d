"""A bar of work done, on terminals only, on standard error."""

import sys


class Bar:
    """Shows how many of how many are done, from the first call to the last.

    Args:
        what: is counted, such as "sounds".
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._shown = sys.stderr.isatty()

    def __call__(self, done: int, total: int) -> None:
        """So many of so many."""
        if not self._shown:
            return
        from rich.console import Console
        from rich.progress import Progress

        if not hasattr(self, "_progress"):
            self._progress = Progress(console=Console(stderr=True), transient=True)
            self._task = self._progress.add_task(self._what, total=total)
            self._progress.start()
        self._progress.update(self._task, completed=done, total=total)
        if done >= total:
            self.close()

    def close(self) -> None:
        """Leave the terminal as it was; harmless a second time."""
        if hasattr(self, "_progress"):
            self._progress.stop()
