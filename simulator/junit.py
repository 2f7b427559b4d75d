"""Scenario results as a JUnit XML file, the form in which CI systems show tests."""

import re
from collections.abc import Sequence
from typing import Final
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from simulator.play import ScenarioResult

_NOT_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters XML 1.0 cannot hold."""


def junit_xml(results: Sequence[ScenarioResult]) -> str:
    """One test case a scenario; a failed one carries its differences, and each its timeline as output."""
    failed = sum(not result.ok for result in results)
    took_s = sum(result.took_s for result in results)
    totals = {"tests": str(len(results)), "failures": str(failed), "errors": "0", "time": f"{took_s:.3f}"}
    root = Element("testsuites", {"name": "flowengine simulate", **totals})
    suite = SubElement(root, "testsuite", {"name": "scenarios", **totals})
    for result in results:
        case = SubElement(
            suite,
            "testcase",
            name=_clean(result.name),
            classname=_clean(result.flow.name or "flow"),
            file=_clean(result.file),
            time=f"{result.took_s:.3f}",
        )
        if not result.ok:
            first = SubElement(case, "failure", message=_clean(str(result.failures[0])), type="expectation")
            first.text = _clean("\n".join(map(str, result.failures)))
        SubElement(case, "system-out").text = _clean(result.timeline())
    indent(root)
    return tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _clean(text: str) -> str:
    return _NOT_XML.sub("?", text)
