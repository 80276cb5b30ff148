"""How findings are told: the verdict first, then the next step, then the rest."""

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .announcer import Announcer

if TYPE_CHECKING:
    from hookloop.doctor import Finding

__all__ = ["print_findings"]


def print_findings(findings: Sequence["Finding"], *, healthy: str, as_json: bool) -> int:
    """
    Print *findings*, or *healthy* where there are none; return the exit code.

    0: nothing is wrong. 1: something is.
    """
    verdict = findings[0].what if findings else healthy
    if as_json:
        _print_json(findings, verdict)
        return int(bool(findings))
    announcer = Announcer(as_json=False)
    if not findings:
        announcer.fact("healthy", verdict)
        return 0
    for number, finding in enumerate(findings):
        certainty = finding.certainty.name.lower()
        announcer.fact(
            "verdict" if number == 0 else "also", finding.what, f"({certainty}: {finding.code})"
        )
        announcer.fact("next", f"{finding.next_step}.")
        announcer.note("")
    return 1


def _print_json(findings: Sequence["Finding"], verdict: str) -> None:
    told = {
        "healthy": not findings,
        "verdict": verdict,
        "findings": [
            {
                "code": finding.code,
                "certainty": finding.certainty.name.lower(),
                "what": finding.what,
                "next": finding.next_step,
            }
            for finding in findings
        ],
    }
    sys.stdout.write(json.dumps(told) + "\n")
