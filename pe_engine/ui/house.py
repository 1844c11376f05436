"""The rules of one server: for whom it is, what it takes from them, and what it tells them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pe_engine.build import continue_run
from pe_engine.data import LOCAL_LIMITS, SHARED_LIMITS, Limits
from pe_engine.jobs import SHARED_QUOTA, Quota
from pe_engine.runner import Driver
from pe_engine.timing import duration
from pe_engine.ui.caps import DEMO_CAPS, SHARED_CAPS, Caps


@dataclass(frozen=True)
class House:
    """How a server is run.

    Attributes:
        owner: whoever looks owns the machine and the images.
        open: visitors come in without a login, from anywhere.
        limits: on the private data sets.
        caps: on uploads and on what one run asks for.
        quota: on the number of runs.
        notices: sentences at the head of the page.
        keeps_features: private features wait on disk until a run is done, whatever its settings.
        driver: what makes the events of a run; see ``Run``.
    """

    owner: bool = False
    open: bool = False
    limits: Limits = SHARED_LIMITS
    caps: Caps = SHARED_CAPS
    quota: Quota = SHARED_QUOTA
    notices: tuple[str, ...] = ()
    keeps_features: bool = False
    driver: Driver = continue_run


LOCAL = House(owner=True, limits=LOCAL_LIMITS, caps=Caps(), quota=Quota())
SHARED = House()


def demo(caps: Caps = DEMO_CAPS) -> House:
    """A server that anybody may try without a login, within narrow bounds."""
    quota = Quota(waiting=8, live=1, kept=5, seconds=caps.run_seconds)
    limits = replace(SHARED_LIMITS, members=caps.files)
    said = (
        "This is a shared demo. Do not upload images that you may not share. One run at a time, "
        f"of at most {caps.samples:,} samples, {caps.iterations} iterations, look-ahead "
        f"{caps.lookahead} and {duration(caps.run_seconds)}; uploads of at most "
        f"{caps.bytes // 2**20} MB. Runs are deleted after {caps.kept_seconds / 3600:g} hours."
    )
    return House(open=True, limits=limits, caps=caps, quota=quota, notices=(said,))
