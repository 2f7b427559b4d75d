"""A simulation in a few words: a flow, some telephones, and callers with their scripts."""

from collections.abc import Mapping, Sequence

from flowengine.flow.document import Flow, State
from flowengine.routing.directory import Catalog, PublishedFlow, User
from simulator.phones import AgentPhone, Behaviour, Caller, Step, seconds
from simulator.run import RunningCall, Simulation
from simulator.sounds import Sounds
from simulator.world import World

NUMBER = "+815055550100"

Phones = Mapping[str, Sequence[Behaviour]]


def flow_of(**states: State) -> Flow:
    """A flow of these states; the first is the start."""
    return Flow(format="flowengine/1", name="Test", start=next(iter(states)), states=states)


def answers(after_s: float = 3.0, talks_s: float | None = None) -> Behaviour:
    return Behaviour(
        answers_after_us=seconds(after_s), talks_us=None if talks_s is None else seconds(talks_s)
    )


class Engine:
    """A simulated installation. Users are the names of `phones`, each with the one telephone PJSIP/name."""

    def __init__(
        self,
        flow: Flow,
        phones: Phones | None = None,
        groups: Mapping[str, tuple[str, ...]] | None = None,
        *,
        latency_us: int = 1_000,
        key_us: int = 100_000,
        missing: Sequence[str] = (),
        journaling: bool = True,
    ) -> None:
        phones = phones or {}
        self.flow = flow
        self.world = World(Sounds(missing=missing), latency_us=latency_us, key_us=key_us)
        self.start = self.world.now
        self.phones = {name: AgentPhone(self.world, f"PJSIP/{name}", does) for name, does in phones.items()}
        catalog = Catalog(
            numbers={NUMBER: PublishedFlow("flow", "acc", "v1", flow), "+815055550199": None},
            users={"acc": {name: User(name, (f"PJSIP/{name}",)) for name in phones}},
            groups={"acc": dict(groups or {})},
        )
        self.simulation = Simulation(catalog, self.world, journaling=journaling)

    def call(self, *script: Step, at_s: float = 0.0, number: str = NUMBER) -> Caller:
        """Plan a call; it is made when time passes."""
        caller = Caller(self.world, script)

        def dial(_: object) -> None:
            caller.call(number, "+819055550123")

        self.world.after(seconds(at_s), dial, None)
        return caller

    def run(self) -> list[RunningCall]:
        """Let everything happen; returns the calls in the order in which they ended, with nothing left behind."""
        self.world.run()
        assert self.simulation.leaks() == (), self.story()
        return self.simulation.done

    def story(self) -> str:
        """Every event and what it led to, for a test that failed."""
        lines = [str(self.simulation.leaks()), self.flow.pretty()]
        for call in [*self.simulation.done, *self.simulation.running.values()]:
            lines.append(call.id)
            lines += [f"  {(each.event.at - self.start) / 1e6:.3f} {each}" for each in call.journal]
        return "\n".join(lines)


def path(call: RunningCall) -> list[str]:
    """`state:outcome` of each visit."""
    assert call.record is not None
    return [f"{visit.state}:{visit.outcome}" for visit in call.record.path]
