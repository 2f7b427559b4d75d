"""A call as a pure function of its journal: events in, commands out, nothing else."""
