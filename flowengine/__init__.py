"""flowengine: executes the call flow an admin drew, against live Asterisk channels or in virtual time."""

__version__ = "0.1.0"
