"""What came out, for a terminal, for programs, and for a CI system."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit
from xml.etree import ElementTree as Xml

from .verdicts import Clause, Finding, Verdict, conforms, printable

__all__ = ["MARKS", "as_json", "as_junit", "summary"]

MARKS: Final = {
    Verdict.PASS: "pass",
    Verdict.FAIL: "FAIL",
    Verdict.NOTE: "note",
    Verdict.NOT_APPLICABLE: "n/a ",
    Verdict.NOT_REACHED: "----",
}
"""Four letters each, for the one line of a clause."""


def summary(findings: Sequence[Finding]) -> str:
    """The count of each verdict in words."""
    counts = Counter(finding.verdict for finding in findings)
    words = {
        Verdict.PASS: "kept",
        Verdict.FAIL: "broken",
        Verdict.NOTE: "noted",
        Verdict.NOT_APPLICABLE: "not applicable",
        Verdict.NOT_REACHED: "not reached",
    }
    told = [f"{counts[verdict]} {word}" for verdict, word in words.items() if counts[verdict]]
    return f"{len(findings)} clauses: {', '.join(told)}"


def as_json(url: str, findings: list[Finding], seconds: float) -> dict[str, Any]:
    """Everything as one object."""
    return {
        "url": _shown(url),
        "ok": conforms(findings),
        "seconds": round(seconds, 3),
        "clauses": [
            {
                **clause_json(each.clause),
                "verdict": each.verdict.value,
                "evidence": each.evidence,
                "seconds": round(each.seconds, 4),
            }
            for each in findings
        ],
    }


def clause_json(clause: Clause) -> dict[str, str]:
    """One clause without a verdict."""
    return {
        "id": clause.id,
        "section": clause.section,
        "level": clause.level,
        "sentence": clause.sentence,
        "cure": clause.cure,
    }


def as_junit(url: str, findings: Sequence[Finding], seconds: float) -> bytes:
    """JUnit XML: a broken clause is a failure, one not reached an error; notes are skipped."""
    counts = Counter(each.verdict for each in findings)
    skipped = counts[Verdict.NOT_APPLICABLE] + counts[Verdict.NOTE]
    suite = Xml.Element(
        "testsuite",
        name="earhook conform",
        hostname=_shown(url),
        tests=str(len(findings)),
        failures=str(counts[Verdict.FAIL]),
        errors=str(counts[Verdict.NOT_REACHED]),
        skipped=str(skipped),
        time=f"{seconds:.3f}",
    )
    for each in findings:
        suite.append(_case(each))
    root = Xml.Element("testsuites")
    root.append(suite)
    Xml.indent(root)
    whole: bytes = Xml.tostring(root, encoding="utf-8", xml_declaration=True)
    return whole


def _case(finding: Finding) -> Xml.Element:
    clause = finding.clause
    case = Xml.Element(
        "testcase",
        classname=f"conform.{clause.family}",
        name=f"{clause.id}: {clause.sentence}",
        time=f"{finding.seconds:.3f}",
    )
    evidence = finding.evidence
    kinds = {
        Verdict.FAIL: "failure",
        Verdict.NOT_REACHED: "error",
        Verdict.NOTE: "skipped",
        Verdict.NOT_APPLICABLE: "skipped",
    }
    if finding.verdict is Verdict.PASS:
        Xml.SubElement(case, "system-out").text = evidence
        return case
    child = Xml.SubElement(case, kinds[finding.verdict], message=evidence)
    if finding.verdict in {Verdict.FAIL, Verdict.NOTE}:
        child.text = f"{clause.section}: {clause.cure}"
    return case


def _shown(url: str) -> str:
    """The URL without its query, which may hold what is not for reports."""
    return printable(urlsplit(url)._replace(query="", fragment="").geturl())
