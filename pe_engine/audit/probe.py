"""``python -m pe_engine.audit.probe WORK AUDIT ...``: audits of the package that this is part of.

Prints one JSON line for each: its name, and for the checks that did not hold what was checked and
measured. A fault that is no finding ends the process with a traceback, which nobody can take for an
audit that noticed something.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from pe_engine.audit import calibration, committed, noise, replay
from pe_engine.audit.finding import Finding

AUDITS: dict[str, Callable[[Path], Iterable[Finding]]] = {
    calibration.AUDIT: calibration.audit,
    committed.AUDIT: committed.audit,
    noise.AUDIT: noise.audit,
    "replay": lambda work: replay.audit(work, [replay.QUICK]),
    "replay of persons": lambda work: replay.audit(work, [replay.QUICK_PERSONS]),
}


def main(arguments: Sequence[str]) -> int:
    """Returns 0: what was found is in what was printed."""
    work = Path(arguments[0])
    for name in arguments[1:]:
        findings = AUDITS[name](work / name.replace(" ", "-"))
        failed = [(finding.checked, finding.figure) for finding in findings if not finding.held]
        print(json.dumps({"audit": name, "failed": failed}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
