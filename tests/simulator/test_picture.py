"""Pictures and tables: well formed, in proportion, and the same for the same values."""

import re
from collections.abc import Sequence
from math import inf, nan
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.picture import COLOURS, HEIGHT, WIDTH, Curve, Dots, Panel, svg, table

SVG = "{http://www.w3.org/2000/svg}"


def drawn(*panels: Panel) -> ElementTree.Element:
    return ElementTree.fromstring(svg(panels, title="A & B", description="<what>"))


def circles(root: ElementTree.Element) -> list[tuple[float, float]]:
    return [(float(each.attrib["cx"]), float(each.attrib["cy"])) for each in root.iter(f"{SVG}circle")]


def of_dots(*points: tuple[float, float, float], log_y: bool = False) -> Panel:
    return Panel("t", "x", "y", dots=[Dots("d", points)], log_y=log_y)


def test_words_are_escaped_and_read_out() -> None:
    root = drawn(Panel("a < b", "x", "y", [Curve("c & d", [(0, 0), (1, 1)])]))
    texts = [each.text for each in root.iter()]
    assert {"A & B", "<what>", "a < b", "c & d"} <= set(texts)
    assert root.attrib["aria-labelledby"] == "t d"


def test_panels_stand_side_by_side_and_share_colours() -> None:
    first = Panel("1", "x", "y", [Curve("a", [(0, 0), (1, 1)]), Curve("b", [(0, 1), (1, 2)])])
    second = Panel("2", "x", "y", [Curve("b", [(0, 1), (1, 2)])])
    root = drawn(first, second)
    assert root.attrib["viewBox"] == f"0 0 {2 * WIDTH} {HEIGHT}"
    strokes = [each.attrib["stroke"] for each in root.iter(f"{SVG}path") if each.attrib["stroke"] in COLOURS]
    assert strokes == [COLOURS[0], COLOURS[1], COLOURS[1]]


def test_linear_and_logarithmic_places() -> None:
    (_, low), (_, middle), (_, high) = circles(drawn(of_dots((0, 0, 0), (1, 5, 0), (2, 10, 0))))
    assert low - middle == pytest.approx(middle - high)
    (_, low), (_, middle), (_, high) = circles(drawn(of_dots((0, 1, 0), (1, 10, 0), (2, 100, 0), log_y=True)))
    assert low - middle == pytest.approx(middle - high)


def test_error_bars_end_at_the_axis() -> None:
    text = svg([of_dots((0, 1, 5), (1, 10, inf), log_y=True)], title="", description="")
    bars = re.findall(r'<path d="M[0-9.]+ ([0-9.]+)V([0-9.]+)M', text)
    assert len(bars) == 1  # how far the second may be off is unknown
    assert all(0 < float(end) < HEIGHT for end in bars[0])


def test_an_axis_can_be_given_its_span() -> None:
    wide = Panel("t", "x", "y", dots=[Dots("d", [(12, 1, 0)])], x_range=(0, 24))
    texts = [each.text for each in drawn(wide).iter(f"{SVG}text")]
    assert {"0", "25"} <= set(texts)


VALUES = st.one_of(st.floats(-1e9, 1e9), st.just(nan))


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e9, 1e9), st.floats(0, 1e9))))
def test_everything_stays_in_the_frame(points: Sequence[tuple[float, float, float]]) -> None:
    for x, y in circles(drawn(of_dots(*points))):
        assert 0 <= x <= WIDTH
        assert 0 <= y <= HEIGHT


def test_the_same_values_give_the_same_text() -> None:
    panel = of_dots((0.1, 0.2, 0.05), (0.3, 0.7, 0.1))
    assert svg([panel], title="t", description="d") == svg([panel], title="t", description="d")


def test_tables_stand_straight() -> None:
    assert table(["name", "n"], [["ann", "5"], ["bobby", "12"]]) == (
        "name    n\n-----  --\nann     5\nbobby  12\n"
    )
