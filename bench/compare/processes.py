"""What processes cost, read from /proc: processor time and memory, and what the machine does besides."""

import os
from pathlib import Path
from typing import Final

_TICK_S: Final = 1 / os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """Seconds of processor time a process has used until now, all its threads; 0 when it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_S


def memory_kb(pid: int) -> float:
    """Memory that a process keeps for itself (anonymous, resident) in kB."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("RssAnon:"):
            return float(line.split()[1])
    return 0.0


def machine_s() -> float:
    """Seconds of processor time that everything on this machine has used."""
    with Path("/proc/stat").open(encoding="ascii") as stat:
        user, nice, system, _idle, _wait, irq, soft, steal = map(int, stat.readline().split()[1:9])
    return (user + nice + system + irq + soft + steal) * _TICK_S


def descendants(pid: int) -> list[int]:
    """A process and all that came from it."""
    found = [pid]
    for each in found:
        for task in Path(f"/proc/{each}/task").glob("*/children"):
            try:
                found += map(int, task.read_text(encoding="ascii").split())
            except (FileNotFoundError, ProcessLookupError):
                continue
    return found


class Strangers:
    """How much of the machine others use meanwhile, in cores: what this benchmark did not start."""

    def __init__(self) -> None:
        self._ours = self._family()
        self._all = machine_s()

    def cores(self, seconds: float) -> float:
        """Since this was made, `seconds` ago. A process of ours that has ended in between counts by its parent."""
        return max(0.0, (machine_s() - self._all) - (self._family() - self._ours)) / seconds

    @staticmethod
    def _family() -> float:
        mine = os.getpid()
        waited = os.times()
        return sum(map(cpu_s, descendants(mine))) + waited.children_user + waited.children_system
