"""flowengine against Asterisk's own ways to run a menu, on this machine and in one run.

The Asterisk dialplan, a FastAGI server, two bare ARI loops of sixty lines and the whole engine each answer, play one
second, take a key, play one second and hang up, with SIPp and RTP and with Local channels. Measured are the highest
rate at which every call goes right, how long a caller waits for the answer and from the digit to what follows it,
processor time by call, and memory by live call. Trials are interleaved, figures are medians of five, and a figure
whose runs differ by more than a tenth is refused. docs/speed.md explains how to read it.

`python -m bench.compare` runs all of it, for about an hour, and `--help` tells what can be chosen;
`python -m bench compare` takes a short look.
"""

from collections.abc import Iterator

from bench import Result


def measure() -> Iterator[Result]:
    """For `python -m bench`: a look of some minutes, on SIP alone."""
    from bench.compare.report import results
    from bench.compare.run import Plan, measured

    yield from results(measured(Plan(lines=("sip",), rounds=2, seconds=4.0, steps=(100,))))
