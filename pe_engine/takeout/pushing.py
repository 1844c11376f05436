"""A release to the Hugging Face Hub, as a data set of its own under the owner's account.

The token is the visitor's: it is used for this one push and kept nowhere. What went wrong is said
in words of our own, never in those of an error, which could repeat what was sent.
"""

from __future__ import annotations

import re
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from pe_engine.boundary import Outgoing
from pe_engine.errors import ConfigError, Interrupted, PEError
from pe_engine.takeout.choice import Choice
from pe_engine.takeout.package import number_of_files, write_folder

NAME = re.compile(r"\w[\w.-]{0,95}(/\w[\w.-]{0,95})?", re.ASCII)
TOKEN = re.compile(r"[!-~]{8,400}")
FILES_AT_ONCE = 50  # between two looks at whether to stop
MAX_PUSHES = 4
TOKENS_PAGE = "huggingface.co/settings/tokens"
REFUSALS = {
    401: f"The Hub does not know this token. Make one that may write, at {TOKENS_PAGE}.",
    403: f"This token may not write there. Make one that may, at {TOKENS_PAGE}, or choose a name "
    "of your own account.",
    409: "There is a data set of that name already, and nothing is overwritten. Choose another "
    "name.",
    429: "The Hub asks to wait before more is sent. Try again in a while.",
}
NO_HUB = "The Hub cannot be reached from here. Connect to the internet, then try again."


class PushError(PEError):
    """The Hub did not take it; the message says why and what to do."""


@dataclass(frozen=True)
class Target:
    """Where to, and by whose right.

    Attributes:
        name: "name" or "owner/name" of the data set, which must be new.
        token: of an account that may write there; in no text that is made of this.
        endpoint: the Hub's address; None for the usual one.
    """

    name: str
    token: str
    private: bool = True
    endpoint: str | None = None

    def __post_init__(self) -> None:
        """Raises:
        ConfigError: this cannot be a name or a token.
        """
        if not NAME.fullmatch(self.name):
            raise ConfigError(
                "A data set is called NAME or OWNER/NAME, of letters, digits, '-', '_' and '.'. "
                "Type it again."
            )
        if not TOKEN.fullmatch(self.token):
            raise ConfigError(f"Paste a token of your account that may write; see {TOKENS_PAGE}.")

    def __repr__(self) -> str:
        return f"Target({self.name!r})"


@dataclass(frozen=True)
class Push:
    """How far a push is.

    Attributes:
        state: "none", "working", "done", "failed" or "cancelled".
        done, total: files on the Hub, of all.
        url: of the data set once it is done.
        error: one sentence when it failed.
    """

    state: str = "none"
    done: int = 0
    total: int = 0
    url: str = ""
    error: str = ""


class Pushes:
    """One push at a time for each run, each in a thread; safe from any thread."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Push, threading.Event]] = {}
        self._lock = threading.Lock()

    def start(self, key: str, run: Outgoing, choice: Choice, target: Target) -> None:
        """Begin; ``of(key)`` says how far it is.

        Raises:
            ConfigError: one is going on for this run, or too many for others.
        """
        stop = threading.Event()
        with self._lock:
            working = [k for k, (push, _) in self._known.items() if push.state == "working"]
            if key in working:
                raise ConfigError("This run is being sent already. Wait for it, or cancel it.")
            if len(working) >= MAX_PUSHES:
                raise ConfigError("Others are sending to the Hub now. Try again in a while.")
            self._known = {k: self._known[k] for k in working}
            self._known[key] = (Push("working", 0, number_of_files(run)), stop)
        given = (key, run, choice, target, stop)
        threading.Thread(target=self._work, args=given, name="push", daemon=True).start()

    def of(self, key: str) -> Push:
        """How far the push of a run is."""
        with self._lock:
            return self._known[key][0] if key in self._known else Push()

    def cancel(self, key: str) -> Push:
        """Ask it to stop after the files that are on their way."""
        with self._lock:
            if key in self._known:
                self._known[key][1].set()
        return self.of(key)

    def _work(
        self, key: str, run: Outgoing, choice: Choice, target: Target, stop: threading.Event
    ) -> None:
        told: dict[str, str] = {"state": "failed", "error": "The push broke down. Try again."}
        try:
            url = push(run, choice, target, lambda done: self._tell(key, done=done), stop)
            told = {"state": "done", "url": url, "error": ""}
        except Interrupted:
            told = {"state": "cancelled", "error": ""}
        except PEError as error:
            told["error"] = str(error)
        except OSError as error:
            told["error"] = f"A file could not be written: {error.strerror}. Make room on the disk."
        finally:
            self._tell(key, **told)

    def _tell(self, key: str, **changes: object) -> None:
        with self._lock:
            push, stop = self._known[key]
            self._known[key] = (replace(push, **changes), stop)


def push(
    run: Outgoing,
    choice: Choice,
    target: Target,
    tell: Callable[[int], None],
    stop: threading.Event,
) -> str:
    """Make the data set and fill it in one commit; its address.

    Args:
        tell: is given the number of files that are on the Hub.
        stop: once it is set, no more is sent.

    Raises:
        PushError: the Hub cannot be reached or does not take it.
        Interrupted: it was stopped; the data set stays, without a file.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.utils import httpx

    api = HfApi(endpoint=target.endpoint, token=target.token)
    try:
        made = api.create_repo(
            target.name, repo_type="dataset", private=target.private, exist_ok=False
        )
        with tempfile.TemporaryDirectory(prefix="pe-push-") as folder:
            for _ in write_folder(run, choice, Path(folder)):
                _heed(stop)
            _send(api, made.repo_id, Path(folder), tell, stop)
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", 0)
        raise PushError(REFUSALS.get(status, f"The Hub answered {status}. Try later.")) from None
    except (httpx.TransportError, ConnectionError):
        raise PushError(NO_HUB) from None
    except (ValueError, RuntimeError):  # of the libraries, which repeat what was sent or answered
        raise PushError("The Hub did not take the files. Try again later.") from None
    return str(made)


def _send(
    api: object, name: str, folder: Path, tell: Callable[[int], None], stop: threading.Event
) -> None:
    """All files below ``folder`` in one commit, so that nobody finds half a data set."""
    from huggingface_hub import CommitOperationAdd

    files = sorted(path for path in folder.rglob("*") if path.is_file())
    additions = [CommitOperationAdd(p.relative_to(folder).as_posix(), str(p)) for p in files]
    for start in range(0, len(additions), FILES_AT_ONCE):
        _heed(stop)
        batch = additions[start : start + FILES_AT_ONCE]
        api.preupload_lfs_files(name, batch, repo_type="dataset", free_memory=False)
        tell(start + len(batch))
    _heed(stop)
    api.create_commit(
        name, additions, commit_message="Add the synthetic images", repo_type="dataset"
    )


def _heed(stop: threading.Event) -> None:
    if stop.is_set():
        raise Interrupted
