"""Centres of every kind, drawn at random: whatever the plan, everything ends, and nobody is idle while others wait."""

from random import Random
from typing import Any

import pytest

from flowengine.flow.document import (
    Flow,
    GroupTransfer,
    Ivr,
    Prompt,
    Say,
    UserTransfer,
    Voicemail,
    WaitingLine,
)
from simulator import centre
from simulator.centre import ACCOUNT, run_once
from simulator.centre_plan import CentrePlan
from simulator.phones import seconds
from simulator.run import Simulation
from tests.simulator.engine import flow_of

Look = tuple[tuple[str, ...], list[str]]
"""Who waits in the line of the group, and which of its members are free."""


def any_flow(luck: Random, first_agent: str) -> Flow:
    notice: Prompt | None = luck.choice([None, Say(say="Everybody is busy, please hold the line.")])
    line = WaitingLine(
        max_waiting=luck.choice([1, 3, 50]),
        music_cycles=luck.choice([1, 6, 50]),
        notice=notice,
        announce_position=luck.random() < 0.3,
        announce_wait=luck.random() < 0.3,
    )
    group = GroupTransfer(
        group="line",
        ringing=luck.choice(["parallel", "sequential"]),
        ring_timeout_s=luck.choice([5, 20]),
        queue=luck.choice([line, line, None]),
        record=luck.random() < 0.3,
        connections={"timeout": luck.choice(["message", None]), "busy": "message", "unavailable": None},
    )
    boss = UserTransfer(
        user=first_agent,
        ring_timeout_s=luck.choice([5, 20]),
        queue=line,
        connections={"timeout": luck.choice(["team", "message"]), "busy": "message"},
    )
    menu = Ivr(prompt=Say(say="One or two?"), connections={"1": "team", "2": "boss", "timeout": "team"})
    return flow_of(menu=menu, team=group, boss=boss, message=Voicemail(prompt=Say(say="Leave a message.")))


def any_plan(luck: Random, agents: int) -> CentrePlan:
    talks: list[object] = [100, {"exponential_s": 100}, {"lognormal_s": 100, "sd_s": 200}]
    kinds = {
        "a": {
            "keys": luck.choice(["1", "2", ""]),
            "patience": luck.choice(["infinite", {"exponential_s": 60}, {"lognormal_s": 30, "sd_s": 30}]),
        },
        "b": {"keys": "1", "patience": {"exponential_s": 100}, "share": 0.5},
    }
    team = {
        "count": agents,
        "talk": luck.choice(talks),
        "answer_delay": luck.choice([0, 3, {"exponential_s": 4}, {"exponential_s": 15}]),
        "shifts": luck.choice([[], ["00:10-00:50", "01:10-02:40"], ["00:30-02:00"]]),
    }
    return CentrePlan.model_validate(
        {
            "seed": luck.randrange(1_000),
            "days": 3 / 24,
            "replications": 1,
            "arrivals": {"per_hour": luck.choice([0.6, 0.9, 1.3]) * agents * 36},
            "wrap_up_s": luck.choice([0, 20]),
            "switch_delay_s": luck.choice([0, 0.001, 0.2]),
            "calls": kinds,
            "agents": {"line": team},
        }
    )


@pytest.mark.parametrize("seed", range(24))
def test_everything_ends_and_nobody_is_idle(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    luck = Random(seed)
    agents = luck.choice([1, 2, 4])
    plan = any_plan(luck, agents)
    looks: list[Look] = []

    class Watched(Simulation):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.look(None)

        def look(self, _: object) -> None:
            free = [user for user in plan.users if self.desk.agent(ACCOUNT, user).state == "available"]
            looks.append((self.desk.waiting, free))
            if len(looks) < 3_000:
                self.world.after(seconds(3.7), self.look, None)

    monkeypatch.setattr(centre, "Simulation", Watched)
    run = run_once(plan, any_flow(luck, next(iter(plan.users))))
    assert run.leaks == ()
    assert len(run.calls) > 20 * agents
    first = next(iter(plan.users))  # rung by the group and by name: everybody who waits would have them
    assert not [look for look in looks if look[0] and first in look[1]]
