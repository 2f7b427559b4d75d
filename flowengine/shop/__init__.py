"""Everything of prepaid money that is not the metering of running calls."""
