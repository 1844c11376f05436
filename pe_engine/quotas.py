"""How many runs a server takes."""

from __future__ import annotations

from dataclasses import dataclass
from threading import TIMEOUT_MAX

from pe_engine.errors import RunError


@dataclass(frozen=True)
class Quota:
    """How many runs there may be.

    Attributes:
        waiting: runs before a new one, the current one included.
        live: of one owner, waiting or running.
        kept: of one owner, in all.
        seconds: that one run may keep the others waiting.
    """

    waiting: int = 1000
    live: int = 1000
    kept: int = 100_000
    seconds: float = TIMEOUT_MAX

    def check_live(self, everybodys: int, own: int) -> None:
        """Raises RunError where one more run of an owner would be too many to wait or run."""
        if everybodys >= self.waiting:
            raise RunError(
                f"{everybodys} runs are waiting already, the most this server takes. Try again "
                "when one of them has ended."
            )
        if own >= self.live:
            raise RunError(
                f"You have {own} runs waiting or running, the most this server takes of one "
                "person. Stop one, or wait until it ends."
            )

    def check_kept(self, own: int) -> None:
        """Raises RunError where one more run of an owner would be too many to keep."""
        if own >= self.kept:
            raise RunError(
                f"You have {self.kept} runs here, the most this server keeps for one person. "
                "Download and delete one first."
            )


SHARED_QUOTA = Quota(waiting=16, live=2, kept=50)
