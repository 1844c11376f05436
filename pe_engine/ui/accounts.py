"""Names and passwords of those who may use the page, and the sessions of those who logged in."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import secrets
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from pe_engine.errors import ConfigError

SESSION_SECONDS = 7 * 24 * 3600
MAX_SESSIONS_OF_ONE = 20
WINDOW_SECONDS = 60
FAILURES_KEPT = 1000
ATTEMPTS_AT_ONCE = 16
MAX_DELAYS = 5
MIN_PASSWORD = 12
"""Characters; with as few guesses as there may be at once, nobody guesses a longer one."""


def read_accounts(texts: Sequence[str]) -> dict[str, str]:
    """Passwords by name, each text being ``name:password``.

    Raises:
        ConfigError: a text is not of that form, a name comes twice or a password is short; it
            never says the password.
    """
    accounts: dict[str, str] = {}
    for text in texts:
        name, colon, password = text.partition(":")
        if not (name.strip() and colon and password):
            raise ConfigError("An account is given as name:password, with neither of them empty.")
        if name.strip() in accounts:
            raise ConfigError(f"The account {name.strip()!r} is given twice. Leave one out.")
        if len(password) < MIN_PASSWORD:
            raise ConfigError(
                f"The password of the account {name.strip()!r} has {len(password)} characters, and "
                f"others may guess as long as they like. Take one of at least {MIN_PASSWORD}."
            )
        accounts[name.strip()] = password
    return accounts


class Accounts:
    """Who may log in. Only digests of passwords are kept, under a key of this process."""

    def __init__(self, passwords: dict[str, str]) -> None:
        self._key = secrets.token_bytes(32)
        self._digests = {name: self._digest(password) for name, password in passwords.items()}
        self._nobody = secrets.token_bytes(32)

    def check(self, name: str, password: str) -> bool:
        """Whether they fit; in the same time for a name that there is not."""
        expected = self._digests.get(name.strip(), self._nobody)
        return hmac.compare_digest(self._digest(password), expected)

    def _digest(self, password: str) -> bytes:
        return hmac.new(self._key, password.encode("utf-8", "surrogatepass"), "sha256").digest()


class Sessions:
    """Who is logged in, by a random token; the server keeps only hashes of tokens, in memory."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._held: dict[bytes, tuple[str, float]] = {}  # the oldest first

    def begin(self, name: str) -> str:
        """A new token for ``name``; the oldest of too many sessions of theirs ends."""
        token = secrets.token_hex(32)
        self._held[_hash(token)] = (name, self._clock() + SESSION_SECONDS)
        own = [known for known, (whose, _) in self._held.items() if whose == name]
        for oldest in own[:-MAX_SESSIONS_OF_ONE]:
            del self._held[oldest]
        return token

    def name(self, token: str) -> str | None:
        """Whose session it is; None where there is none (any more)."""
        name, ends = self._held.get(_hash(token), ("", 0.0))
        if not name:
            return None
        if self._clock() >= ends:
            self.end(token)
            return None
        return name

    def end(self, token: str) -> None:
        self._held.pop(_hash(token), None)


class Attempts:
    """Attempts to log in: those of one network wait for each other, and failed ones take longer.

    Nobody is locked out: a right password passes, from elsewhere at once, and from the network of
    somebody who guesses after theirs.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed: deque[tuple[float, str]] = deque(maxlen=FAILURES_KEPT)
        self._asking: Counter[str] = Counter()
        self._places: dict[str, asyncio.Semaphore] = {}

    @asynccontextmanager
    async def place(self, address: str) -> AsyncIterator[None]:
        """One of the network's ``ATTEMPTS_AT_ONCE``, in the order in which they were asked for."""
        whose = network(address)
        self._asking[whose] += 1
        places = self._places.setdefault(whose, asyncio.Semaphore(ATTEMPTS_AT_ONCE))
        try:
            async with places:
                yield
        finally:
            self._asking[whose] -= 1
            if not self._asking[whose]:
                del self._asking[whose], self._places[whose]

    def failed(self, address: str) -> int:
        """Note a failure; how many delays it takes, from 1 to ``MAX_DELAYS``."""
        while self._failed and self._failed[0][0] <= self._clock() - WINDOW_SECONDS:
            self._failed.popleft()
        self._failed.append((self._clock(), network(address)))
        own = sum(place == network(address) for _, place in self._failed)
        return min(own, MAX_DELAYS)


def network(address: str) -> str:
    """What one sender can have many addresses of: an IPv6 network of 64 bits; else the address."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return address
    if known.version == 4:
        return address
    return str(ipaddress.ip_network((int(known), 64), strict=False))


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
