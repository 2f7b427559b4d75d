"""The golden journals as scripts. `python -m tests.call.record_histories` records those that are not there yet.

A journal once recorded is never recorded again: it stands for the calls that are in the field. When the engine is
meant to change its mind, delete the file, record it anew, and say why in the commit.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from flowengine.call import events
from flowengine.call.causes import CALL_REJECTED, NORMAL, SUBSCRIBER_ABSENT, USER_BUSY
from flowengine.call.trace import dump, record
from flowengine.flow.document import Audio, Flow, GroupTransfer, Ivr, UserTransfer, Voicemail, WaitingLine
from tests.call.driving import Driven, agent, announcement, drive, flow, say, with_goodbye

FOLDER: Final = Path(__file__).parents[1] / "histories"

LINE = WaitingLine(max_waiting=5, notice=say("Please hold."), music=Audio(audio="aud_music"), music_cycles=3)
TO_BOX: dict[str, str | None] = dict.fromkeys(("timeout", "unavailable", "busy"), "box")

MAIN_LINE: Final[Flow] = with_goodbye(
    flow(
        menu=Ivr(
            prompt=say("Sales 1, support 2."), connections={"1": "sales", "2": "more", "timeout": "box"}
        ),
        more=Ivr(prompt=say("Urgent 1."), attempts=2, connections={"1": "urgent", "invalid": "hours"}),
        sales=GroupTransfer(group="sales", record=True, connections=TO_BOX),
        urgent=GroupTransfer(group="support", ringing="sequential", ring_timeout_s=15.0, connections=TO_BOX),
        hours=announcement("We are here from nine to five.", "box"),
        box=Voicemail(prompt=say("Leave a message."), max_duration_s=60.0, connections={"timeout": "thanks"}),
        thanks=announcement("Thank you."),
    ),
    "Goodbye.",
)
DIRECT_LINE: Final[Flow] = flow(
    boss=UserTransfer(user="hanako", ring_timeout_s=25.0, record=True, queue=LINE, connections=TO_BOX),
    box=Voicemail(prompt=say("Leave a message."), beep=False),
)
RECORDED_LINE: Final[Flow] = flow(
    boss=UserTransfer(
        user="hanako",
        record=True,
        recording_sides="apart",
        recording_notice=say("This call is recorded."),
    )
)
AKI, BEN, CHIE = agent("aki"), agent("ben", 2), agent("chie")


def keys_in_one_breath_to_a_recorded_talk() -> Driven:
    call = drive(MAIN_LINE, responsive=False).arrives().presses("1").answered()
    call.offered(AKI, BEN, busy=1).waits(0.2).rings("aki", "ben", "ben-2").waits(3)
    call.picks_up("ben-2").picks_up("aki").ends("aki", NORMAL).ends("ben", 26).waits(61.5)
    call.ends("ben-2", NORMAL).recorded(61_500).waits(0.02)
    return call.hangs_up()


def one_by_one_to_a_message() -> Driven:
    call = drive(MAIN_LINE).arrives().waits(1).presses("21")
    call.offered(AKI, unreachable=1).rings("aki").waits(15)
    call.offered(BEN).rings("ben", "ben-2").waits(2).ends("ben", CALL_REJECTED)
    call.offered(CHIE).ends("chie", USER_BUSY).offered(unreachable=1)
    return call.prompt_ends().prompt_ends().waits(8).recorded(7_900, talking_ms=6_000).prompt_ends()


def wrong_keys_to_the_limit_of_a_message() -> Driven:
    call = drive(MAIN_LINE, responsive=False).arrives().answered().presses("9").prompt_ends().presses("2")
    call.presses("5#").prompt_ends().prompt_ends(ok=False).prompt_ends().presses("1").waits(60)
    return call.recorded(60_000).prompt_ends().hangs_up()


def silence_in_every_way() -> Driven:
    call = drive(MAIN_LINE).arrives().prompt_ends().waits(5).prompt_ends().prompt_ends()
    return call.waits(5.1).recorded(5_100, talking_ms=0).prompt_ends()


def a_turn_in_the_waiting_line() -> Driven:
    call = drive(DIRECT_LINE).arrives().offered(busy=1).has_place(2).prompt_ends().waits(20).prompt_ends()
    call.waits(4).offered(agent("hanako")).rings("hanako").waits(6).picks_up("hanako").waits(130)
    return call.hangs_up()


def the_line_takes_too_long() -> Driven:
    call = drive(DIRECT_LINE).arrives().offered(busy=1).has_place(1)
    for _ in range(4):
        call.waits(20).prompt_ends()
    return call.prompt_ends().waits(3).hangs_up()


def a_full_line_and_a_short_message() -> Driven:
    call = drive(DIRECT_LINE, responsive=False).arrives().offered(busy=1).line_is_full().answered()
    return call.prompt_ends().waits(0.4).hangs_up().recorded(400)


def the_caller_gives_up_while_three_telephones_ring() -> Driven:
    call = drive(MAIN_LINE, responsive=False).arrives().answered().presses("1").offered(AKI, BEN)
    call.rings("aki", "ben").waits(9).hangs_up(SUBSCRIBER_ABSENT)
    return call.ends("aki", NORMAL).ends("ben-2", NORMAL).waits(10)


def no_credit_in_a_talk() -> Driven:
    call = drive(DIRECT_LINE).arrives().offered(agent("hanako", 2)).rings("hanako").picks_up("hanako")
    call.waits(59.9)
    return call.happens(events.CallKilled(call.now, "no_credit"))


def a_lost_switch() -> Driven:
    call = drive(DIRECT_LINE).arrives().offered(agent("hanako")).rings("hanako").picks_up("hanako").waits(12)
    return call.happens(events.CallKilled(call.now, "switch_lost"))


def late_repeated_and_from_the_past() -> Driven:
    """What once went wrong: a repeated offer gave a talking agent back, a line became full behind its caller."""
    call = drive(DIRECT_LINE, responsive=False).arrives().offered(busy=1).has_place(1).answered()
    call.happens(events.LineFull(call.now, "line-2")).offered(agent("hanako", 2)).rings("hanako", "hanako-2")
    call.happens(call.journal[-3]).picks_up("hanako").happens(call.journal[-4]).picks_up("hanako-2")
    call.happens(events.DigitPressed(call.now - 5_000_000, "caller", "1")).ends("hanako-2", 26).waits(3)
    call.happens(events.LegHungUp(call.now, "leg-99", NORMAL)).ends("hanako", NORMAL)
    return call.recorded(3_000).hangs_up().hangs_up()


def no_room_for_a_message() -> Driven:
    """The storage plan is used up before the caller can speak; a second answer of the plan changes nothing."""
    call = drive(MAIN_LINE, room=None).arrives().prompt_ends().waits(5).waits(0.1).room_is(False)
    call.happens(events.RoomReserved(call.now, "rec-3", True))
    return call.prompt_ends().prompt_ends()


def a_talk_paused_cut_and_short_of_credit() -> Driven:
    """Told of the recording, kept with its sides apart, paused twice, cut by the plan, and the credit ends."""
    call = drive(RECORDED_LINE, room=None).arrives().waits(3).prompt_ends().offered(agent("hanako"))
    call.rings("hanako").waits(4).pause().picks_up("hanako").waits(0.1).room_is(True).waits(2).pause(False)
    call.waits(30).pause().waits(10).pause(False).pause(False).waits(20).room_runs_out().waits(40)
    return call.credit_runs_out().waits(2).credit_runs_out().waits(58).ends("hanako", NORMAL).waits(0.2)


HISTORIES: Final[tuple[Callable[[], Driven], ...]] = (
    keys_in_one_breath_to_a_recorded_talk,
    one_by_one_to_a_message,
    wrong_keys_to_the_limit_of_a_message,
    silence_in_every_way,
    a_turn_in_the_waiting_line,
    the_line_takes_too_long,
    a_full_line_and_a_short_message,
    the_caller_gives_up_while_three_telephones_ring,
    no_credit_in_a_talk,
    a_lost_switch,
    late_repeated_and_from_the_past,
    no_room_for_a_message,
    a_talk_paused_cut_and_short_of_credit,
)


def main() -> None:
    for script in HISTORIES:
        path = FOLDER / f"{script.__name__.replace('_', '-')}.jsonl"
        if not path.exists():
            call = script()
            assert call.is_over(), path.name
            path.write_text(dump(record(call.machine.flow, script.__name__, call.journal)))


if __name__ == "__main__":
    main()
