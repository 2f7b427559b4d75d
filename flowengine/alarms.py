"""What is wrong now and needs a person: raised once, shown until it is over, and told in the log both times."""

from collections.abc import Mapping

import structlog

log = structlog.get_logger(__name__)


class Alarms:
    """Alarms by code, such as `recordings_volume`; the texts say what is wrong and what to do."""

    def __init__(self) -> None:
        self._standing: dict[str, str] = {}

    @property
    def standing(self) -> Mapping[str, str]:
        """What is wrong now: code -> text, the oldest first."""
        return self._standing

    def raise_(self, code: str, text: str) -> None:
        """Raise an alarm; one that stands already is only told anew when its text has changed."""
        if self._standing.get(code) != text:
            self._standing[code] = text
            log.error("alarm", alarm=code, problem=text)

    def clear(self, code: str) -> None:
        """What was wrong is over."""
        if self._standing.pop(code, None) is not None:
            log.info("alarm over", alarm=code)
