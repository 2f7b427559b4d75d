"""The contract on the simulated world, in process and in virtual time."""

from collections.abc import Iterable

from flowengine.call.causes import USER_BUSY
from flowengine.call.events import PauseAsked
from simulator import phones
from simulator.phones import AgentPhone, Caller
from simulator.run import Simulation
from simulator.sounds import Sounds
from simulator.things import Leg
from simulator.world import World
from tests.contract import cases
from tests.contract.cases import TONE_S, TONES, Case, Does, Step
from tests.contract.rig import Phone, Placed, Ran, catalog, place

STATUS = {1: 404, 17: 486, 19: 480, 20: 480, 127: 487}
"""What Asterisk makes of a cause before the answer (docs/asterisk-notes.md)."""
START_S = 5.0


class WorldRig:
    """Each case in a world of its own."""

    def __init__(self) -> None:
        self._leaks: list[str] = []

    async def run(self, cases: Iterable[Case]) -> dict[str, Ran]:
        """Play them one after another; virtual time costs nothing."""
        return {placed.case.name: self._run(placed) for placed in place(cases)}

    async def leaks(self) -> list[str]:
        """What all the worlds had left over."""
        return self._leaks

    def _run(self, placed: Placed) -> Ran:
        case = placed.case
        world = World(Sounds({f"audio:{name}.wav": TONE_S for name in TONES}))
        people = {
            name: _Agent(
                world, placed.users[name].endpoints[0], _behaviour(does), not isinstance(does, cases.Absent)
            )
            for name, does in case.agents.items()
        }
        simulation = Simulation(catalog([placed]), world)
        simulation.storage_full = not case.room
        caller = _Caller(world, _script(case.steps))
        caller.call(placed.number, "+819011112222")
        if case.pause is not None:
            for at_s, paused in zip(case.pause, (True, False), strict=True):
                world.after(phones.seconds(at_s), _pause, (simulation, paused))
        world.run()
        self._leaks += [f"{case.name}: {leak}" for leak in simulation.leaks()]
        call = simulation.done[0] if simulation.done else None
        kept = [command for _, command in simulation.kept]
        return Ran(
            record=call.record if call else None,
            status=200 if caller.was_answered else STATUS[caller.cause or 0],
            heard=frozenset(sound.removeprefix("audio:").removesuffix(".wav") for sound in caller.sounds),
            ended_by="caller" if caller.left else "switch",
            phones={name: person.seen for name, person in people.items()},
            messages_s=tuple(
                min(each.duration_ms / 1000, each.limit_s) for each in kept if each.purpose == "voicemail"
            ),
            talks_s=tuple(each.duration_ms / 1000 for each in kept if each.purpose == "talk"),
            crash=call.machine.crash if call else "",
        )


def _pause(what: tuple[Simulation, bool]) -> None:
    simulation, paused = what
    for call in list(simulation.running):
        simulation.happened(call, PauseAsked(simulation.world.now, paused))


class _Caller(Caller):
    """A caller who remembers who ended the call."""

    was_answered = False
    left = False

    def answered(self, leg: Leg) -> None:
        self.was_answered = True
        super().answered(leg)

    def over(self, leg: Leg, cause: int) -> None:
        self.left = not leg.leaving
        super().over(leg, cause)


class _Agent(AgentPhone):
    """An agent's telephone that counts."""

    def __init__(self, world: World, endpoint: str, behaviour: phones.Behaviour, registered: bool) -> None:
        super().__init__(world, endpoint, (behaviour,), registered)
        self.seen = Phone()

    def rings(self, leg: Leg) -> None:
        self.seen.rang += 1
        super().rings(leg)

    def over(self, leg: Leg, cause: int) -> None:
        self.seen.cancelled += leg.leaving and not leg.up
        super().over(leg, cause)


def _script(steps: tuple[Step, ...]) -> list[phones.Step]:
    script: list[phones.Step] = []
    if not any(isinstance(step, cases.Cancel) for step in steps):
        script.append(phones.Answered())
    for step in steps:
        match step:
            case cases.Wait(seconds):
                script.append(phones.Wait(phones.seconds(seconds)))
            case cases.Press(keys):
                script.append(phones.Press(keys))
            case cases.Speak(seconds):
                script.append(phones.Speak(phones.seconds(seconds)))
            case cases.HangUp():
                script.append(phones.HangUp())
            case cases.Cancel(after_s):
                script += [phones.Wait(phones.seconds(after_s)), phones.HangUp()]
    return script


def _behaviour(does: Does) -> phones.Behaviour:
    match does:
        case cases.Answers(after_s, talks_s):
            return phones.Behaviour(
                answers_after_us=phones.seconds(after_s),
                talks_us=None if talks_s is None else phones.seconds(talks_s),
            )
        case cases.Rejects(486):
            return phones.Behaviour(declines_after_us=100_000, cause=USER_BUSY)
        case cases.Rejects():
            return phones.Behaviour(declines_after_us=100_000)
        case cases.Rings() | cases.Absent():
            return phones.SILENT
