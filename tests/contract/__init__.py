"""One suite, three switches: the world in process, the fake ARI, and a real Asterisk with SIP callers and agents."""
