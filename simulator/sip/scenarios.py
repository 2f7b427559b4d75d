"""The two SIPp scenarios: a caller and a phone.

Why here: each is one fixed script with branches; which branch is taken, and when, the test decides by requests
with own methods that only SIPp sees (`wire.py`): XCANCEL, XBYE, XANSWER, XREJECT486 and so on.
"""

from __future__ import annotations

from collections.abc import Iterable

REJECTIONS = (403, 480, 486, 503, 603)
"""The statuses a phone can be told to reject with."""
_FAILURES = (
    400,
    401,
    403,
    404,
    405,
    408,
    410,
    415,
    480,
    481,
    484,
    486,
    488,
    500,
    501,
    502,
    503,
    504,
    600,
    603,
    606,
)

_SDP = """v=0
o=phone 1 1 IN IP4 127.0.0.1
s=call
c=IN IP4 127.0.0.1
t=0 0
m=audio [media] RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
a=ptime:20
a=sendrecv"""

_SAME = "[last_Via:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\n[last_CSeq:]"


def _send(message: str, attributes: str = "") -> str:
    return f"<send {attributes}><![CDATA[\n{message}\nContent-Length: [len]\n\n]]></send>"


def _send_sdp(message: str, attributes: str = "") -> str:
    typed = f"{message}\nContent-Type: application/sdp\nContent-Length: [len]"
    return f"<send {attributes}><![CDATA[\n{typed}\n\n{_SDP}\n]]></send>"


def _scenario(name: str, steps: Iterable[str]) -> str:
    body = "\n".join(steps)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="{name}">\n{body}\n</scenario>\n'


def caller() -> str:
    """One call: ring until an answer, a failure or XCANCEL; talk until BYE or XBYE."""
    uri = "sip:[number]@127.0.0.1:[asterisk]"
    ours = "From: <sip:[from]@127.0.0.1>;tag=caller[pid]"
    via = (
        "Via: SIP/2.0/UDP 127.0.0.1:[wire];rport;branch=z9hG4bK[pid]"  # CANCEL needs the branch of its INVITE
    )
    common = f"{ours}\nCall-ID: [call_id]\nMax-Forwards: 70"
    established = f"{common}\nTo: <{uri}>[peer_tag_param]\n[routes]"
    return _scenario(
        "caller",
        (
            _send_sdp(
                f"INVITE {uri} SIP/2.0\n{via}invite\n{common}\nTo: <{uri}>\nCSeq: 1 INVITE\n"
                "Contact: <sip:[from]@127.0.0.1:[wire]>",
                'retrans="500"',
            ),
            '<label id="1"/>',
            *(f'<recv response="{status}" optional="true" next="1"/>' for status in (100, 180, 183)),
            '<recv request="XCANCEL" optional="true" next="2"/>',
            *(f'<recv response="{status}" optional="true" next="3"/>' for status in _FAILURES),
            '<recv response="200" rrs="true"/>',
            _send(f"ACK [next_url] SIP/2.0\n{via}ack\n{established}\nCSeq: 1 ACK"),
            '<recv request="XBYE" optional="true" next="4"/>',
            '<recv request="BYE"/>',
            _send(f"SIP/2.0 200 OK\n{_SAME}", 'next="5"'),
            '<label id="2"/>',
            _send(
                f"CANCEL {uri} SIP/2.0\n{via}invite\n{common}\nTo: <{uri}>\nCSeq: 1 CANCEL", 'retrans="500"'
            ),
            '<recv response="487" optional="true" next="3"/>',
            '<recv response="200"/>',
            '<recv response="487"/>',
            '<label id="3"/>',
            _send(
                f"ACK {uri} SIP/2.0\n{via}invite\n{common}\nTo: <{uri}>[peer_tag_param]\nCSeq: 1 ACK",
                'next="5"',
            ),
            '<label id="4"/>',
            _send(f"BYE [next_url] SIP/2.0\n{via}bye\n{established}\nCSeq: 2 BYE", 'retrans="500"'),
            '<recv response="200"/>',
            '<label id="5"/>',
        ),
    )


def phone() -> str:
    """Many calls: ring at once; XANSWER, XREJECT... or CANCEL ends the ringing, BYE or XBYE the talk."""
    contact = "Contact: <sip:[name]@127.0.0.1:[wire]>"
    # The control requests repeat the INVITE's headers, so [last_...] is right in every branch.
    reply = "[last_Via:]\n[last_From:]\n[last_To:];tag=phone[pid]x[call_number]\n[last_Call-ID:]\n"
    steps = [
        '<recv request="INVITE" rrs="true"><action><ereg regexp="[0-9]+" search_in="hdr" header="CSeq:" '
        'check_it="true" assign_to="1"/></action></recv>',
        _send(f"SIP/2.0 180 Ringing\n{reply}CSeq: [$1] INVITE\n{contact}"),
        '<recv request="XANSWER" optional="true" next="10"/>',
        *(f'<recv request="XREJECT{status}" optional="true" next="{status}"/>' for status in REJECTIONS),
        '<recv request="CANCEL"/>',
        _send(f"SIP/2.0 200 OK\n{reply}CSeq: [$1] CANCEL"),
        _send(f"SIP/2.0 487 Request Terminated\n{reply}CSeq: [$1] INVITE", 'retrans="500"'),
        '<recv request="ACK" next="30"/>',
        '<label id="10"/>',
        _send_sdp(f"SIP/2.0 200 OK\n{reply}CSeq: [$1] INVITE\n{contact}", 'retrans="500"'),
        '<recv request="ACK"/>',
        '<recv request="XBYE" optional="true" next="20"/>',
        '<recv request="BYE"/>',
        _send(f"SIP/2.0 200 OK\n{_SAME}", 'next="30"'),
        '<label id="20"/>',
        _send(
            "BYE [next_url] SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:[wire];rport;branch=[branch]\n"
            "[last_From:]\n[last_To:]\n[last_Call-ID:]\nCSeq: 1 BYE\nMax-Forwards: 70",
            'retrans="500"',
        ),
        '<recv response="200" next="30"/>',
    ]
    for status in REJECTIONS:
        steps += [
            f'<label id="{status}"/>',
            _send(f"SIP/2.0 {status} Rejected\n{reply}CSeq: [$1] INVITE", 'retrans="500"'),
            '<recv request="ACK" next="30"/>',
        ]
    return _scenario("phone", [*steps, '<label id="30"/>'])


def register() -> str:
    """Register [name] for [expires] seconds, with the digest credentials of SIPp's options -au and -ap."""
    common = (
        "REGISTER sip:127.0.0.1:[asterisk] SIP/2.0\n"
        "Via: SIP/2.0/UDP 127.0.0.1:[wire];rport;branch=[branch]\n"
        "From: <sip:[name]@127.0.0.1>;tag=register[pid]\nTo: <sip:[name]@127.0.0.1>\nCall-ID: [call_id]\n"
        "Contact: <sip:[name]@127.0.0.1:[wire]>\nExpires: [expires]\nMax-Forwards: 70"
    )
    return _scenario(
        "register",
        (
            _send(f"{common}\nCSeq: 1 REGISTER", 'retrans="500"'),
            '<recv response="401" auth="true"/>',
            _send(
                f"{common}\nCSeq: 2 REGISTER\n[authentication]",
                'retrans="500"',
            ),
            '<recv response="200"/>',
        ),
    )
