"""``python -m pe_engine.audit.probe WORK CHECK AUDIT ...``: audits of the package that this is part
of, each up to the first failure of a check that says CHECK.

Prints, as JSON, for the checks that did not hold what was checked and measured. A fault that is no
finding ends the process with a traceback, which nobody can take for an audit that noticed it.
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
    "replay of a stop": lambda work: replay.audit(work, [replay.QUICK_STOPPED]),
    "replay with look-ahead": lambda work: replay.audit(work, [replay.QUICK_AHEAD]),
}


def main(arguments: Sequence[str]) -> int:
    """Returns 0: what was found is in what was printed."""
    work, check, *names = arguments
    failed = []
    for name in names:
        for finding in AUDITS[name](Path(work) / name.replace(" ", "-")):
            if not finding.held:
                failed.append((finding.checked, finding.figure))
                if check in finding.checked:
                    break
    print(json.dumps(failed))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
