"""Run the benchmarks named, or all of them, and print one table."""

import platform
import sys
from importlib import import_module
from pkgutil import iter_modules

import bench
from bench import Result


def main(names: list[str]) -> int:
    """Measure and print; 2 when a name is no benchmark."""
    known = sorted(module.name for module in iter_modules(bench.__path__) if module.name != "__main__")
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}: choose from {', '.join(known)}", file=sys.stderr)
        return 2
    results: list[Result] = []
    for name in names or known:
        print(f"measuring {name} ...", file=sys.stderr)
        results += import_module(f"bench.{name}").measure()
    print(f"Python {platform.python_version()} on {platform.machine()}")
    for what, value, unit, baseline, ratio, note in results:
        against = f"{ratio:8.4f} x {baseline}" if ratio is not None else ""
        print(f"{what:<58} {value:>12,.0f} {unit:<12} {against:<36} {note}".rstrip())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
