"""Who gets the call: numbers to flows, users to devices, members to ring waves, callers to waiting lines."""
