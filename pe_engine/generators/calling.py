"""Calls to a service: several at once, repeated while it may yet answer, and what its noes mean."""

from __future__ import annotations

import email.utils
import math
import random
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pe_engine.errors import GeneratorError, Interrupted

if TYPE_CHECKING:
    import tenacity

FIRST_WAIT = 1.0
"""Seconds: the first wait is drawn from 0 to this, and each later one from twice as much."""

LONGEST_WAIT = 120.0
"""Seconds that a service may ask for before a call is repeated."""

STOP_LATENCY = 0.1
"""Seconds until a stop is heeded."""

PASSING = (408, 409, 425, 429)
"""HTTP statuses after which the same call may succeed; so do those from 500 on."""

KEPT = "What has been paid for is kept: resume the run to go on."

_NO_CREDIT = re.compile(r"insufficient.quota|billing.(hard|not)|exceeded your (current|monthly)")
_REFUSED_PROMPT = re.compile(r"moderat|content.(policy|filter)|safety|nsfw")


class Passing(Exception):
    """A call failed in a way that may pass: the message continues "the last time because".

    Attributes:
        wait: seconds that the service asks for, or None.
    """

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclass(frozen=True)
class Refusal:
    """An HTTP error as a service gave it.

    Attributes:
        service: its name for people.
        status: HTTP status.
        headers: of the answer, to be looked up in lower case.
        words: the service's own, with its code for the error; "" for none. Never shown whole.
    """

    service: str
    status: int
    headers: Mapping[str, str]
    words: str

    def problem(self, key_name: str, key: str, prompt: str) -> Exception:
        """``Passing``, or a GeneratorError that says what to do.

        Args:
            key_name: where the user has put the key.
            key: never to be shown.
            prompt: what was asked for.
        """
        told, status = self.words.lower(), self.status
        if status == 402 or _NO_CREDIT.search(told):
            return GeneratorError(
                f"{self.service} says that your account has no credit left. Add some there."
            )
        if status in PASSING or status >= 500:
            return self._passing()
        if status == 401:  # its words often hold a part of the key
            return GeneratorError(f"{self.service} does not accept your key. Check {key_name}.")
        said = self._said(key)
        if _REFUSED_PROMPT.search(told):
            return GeneratorError(
                f"{self.service} refuses the prompt {prompt!r} by its rules on content{said}. "
                "Start a run with another prompt, class name or model."
            )
        if status == 403:
            return GeneratorError(
                f"{self.service} does not let your account do this{said}. Check there that it may "
                f"use this model, and that {key_name} belongs to it."
            )
        if status == 404:
            return GeneratorError(
                f"{self.service} has no such model or address{said}. Check the generator's options."
            )
        return GeneratorError(
            f"{self.service} refuses the call with HTTP status {status}{said}. Check the "
            "generator's options."
        )

    def _passing(self) -> Exception:
        seconds = asked_wait(self.headers)
        if seconds is not None and seconds > LONGEST_WAIT:
            return GeneratorError(
                f"{self.service} is overloaded or limits your account: it asks to wait "
                f"{seconds:,.0f} seconds, and {LONGEST_WAIT:.0f} are the most that a run waits. "
                "Go on later, with a lower concurrency if you start anew."
            )
        return Passing(f"it answered with HTTP status {self.status}", seconds)

    def _said(self, key: str) -> str:
        words = self.words.replace(key, "...") if key else self.words
        plain = " ".join("".join(c if c.isprintable() else " " for c in words).split())
        return f" ({plain[:200].rstrip('.')})" if plain else ""


def asked_wait(headers: Mapping[str, str]) -> float | None:
    """Seconds until a call may be repeated: ``Retry-After`` as seconds or a date (RFC 9110,
    10.2.3), or the more exact ``Retry-After-Ms`` of some services; None if nothing is asked."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "nan")) * unit
        except ValueError:
            continue
        if not math.isnan(seconds):
            return max(0.0, seconds)
    try:
        date = email.utils.parsedate_to_datetime(headers.get("retry-after", ""))
    except ValueError:
        return None
    return max(0.0, date.timestamp() - time.time())


class Callers:
    """Threads that call a service.

    Args:
        service: its name for people.
        concurrency: calls under way at most.
        attempts: how often a call is made before it has failed.
    """

    def __init__(self, service: str, concurrency: int, attempts: int) -> None:
        self._service = service
        self._attempts = attempts
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="service")

    def all(self, calls: Sequence[Callable[[], None]], stop: threading.Event) -> None:
        """Make every call.

        A call raises ``Passing`` to be made again. Where one has failed for good, or once ``stop``
        is set, those under way are let finish, but no other is begun or repeated.

        Raises:
            GeneratorError: the first of those that have failed, with what to do.
            Interrupted: ``stop`` was set before all calls were made.
        """
        failures: list[Passing | GeneratorError] = []
        end = threading.Event()
        begun = [self._pool.submit(self._patiently, c, stop, end, failures) for c in calls]
        rest = set(begun)
        try:
            while rest and not stop.is_set():
                done, rest = wait(rest, STOP_LATENCY, FIRST_EXCEPTION)
                for one in done:
                    one.result()  # a fault of this program, if there is one
        finally:
            end.set()  # also if this thread is interrupted
        made = [one.result() for one in begun]  # waits for those that are under way
        if all(made):
            return
        if stop.is_set():
            raise Interrupted
        sentence = str(failures[0])
        if isinstance(failures[0], Passing):
            sentence = (
                f"{self._service} gave no image in {self._attempts} attempts, the last time "
                f"because {sentence}. Try again later."
            )
        raise GeneratorError(f"{sentence} {KEPT}")

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _patiently(
        self,
        call: Callable[[], None],
        stop: threading.Event,
        end: threading.Event,
        failures: list[Passing | GeneratorError],
    ) -> bool:
        """Whether the call was made; ``end`` ends waits, and is set here where it fails."""
        import tenacity

        def unless_ended() -> bool:
            if stop.is_set() or end.is_set():
                return False
            call()
            return True

        repeated = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Passing),
            wait=_pause,
            sleep=tenacity.sleep_using_event(end),
            stop=tenacity.stop_after_attempt(self._attempts) | tenacity.stop_when_event_set(end),
            reraise=True,
        )
        try:
            return repeated(unless_ended)
        except (Passing, GeneratorError) as error:
            if not end.is_set():  # else it would have been repeated
                failures.append(error)
            end.set()  # here, before this thread takes up another call
            return False


def _pause(state: tenacity.RetryCallState) -> float:
    """Seconds: what the service asks for, a little spread so that calls do not come back all at
    once, or else exponential back-off with full jitter."""
    import tenacity

    asked = state.outcome.exception().wait
    if asked is None:
        return tenacity.wait_random_exponential(FIRST_WAIT, max=LONGEST_WAIT / 4)(state)
    return asked * random.uniform(1, 1.1)
