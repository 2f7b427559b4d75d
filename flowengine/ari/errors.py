"""What can go wrong between this engine and Asterisk, for callers that must tell one from another.

    AriError
      AriUnavailable   no connection, or it was lost: the request may or may not have been carried out
      AriTimeout       connected, but no answer in time: likewise
      AriRefused       Asterisk answered with a status of 400 or above: it was not carried out

Ids of channels, playbacks, recordings and bridges are chosen by this engine, so a request that may have been
carried out can be sent again and does not happen twice.
"""


class AriError(Exception):
    """Any failure of a request to Asterisk."""


class AriUnavailable(AriError):
    """There is no connection to Asterisk, or it was lost before the answer came."""


class AriTimeout(AriError):
    """Asterisk did not answer within the time the caller gave."""


class AriRefused(AriError):
    """Asterisk refused: `status` is HTTP's (404 no such thing, 409 wrong state), `reason` its own words."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"Asterisk refused the request with status {status}: {reason}")
        self.status = status
        self.reason = reason
