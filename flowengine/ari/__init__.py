"""Everything that knows Asterisk: the ARI client, its messages, and the switch built on them."""
