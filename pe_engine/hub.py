"""Files from the Hugging Face hub: from its cache, else downloaded; and why that cannot be."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

TIMEOUT = 10.0
"""Seconds after which a server that does not answer counts as out of reach."""


def is_name(text: str) -> bool:
    """Whether a model on the hub may be called ``text``, such as "owner/model"."""
    return re.fullmatch(r"[\w.-]{1,96}(/[\w.-]{1,96})?", text, re.ASCII) is not None


class Refused(Exception):
    """Why files could not be had, and what would help: two clauses without a full stop."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


def cached(repository: str, names: Sequence[str], revision: str | None = None) -> Path | None:
    """The folder of the files if all are on this machine."""
    from huggingface_hub import try_to_load_from_cache

    paths = [try_to_load_from_cache(repository, name, revision=revision) for name in names]
    return Path(paths[0]).parent if all(isinstance(path, str) for path in paths) else None


def reachable() -> bool:
    """Whether the hub answers: one quick try, where the library goes on for half a minute."""
    from huggingface_hub import constants, get_session
    from huggingface_hub.utils import httpx

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        get_session().head(constants.ENDPOINT, timeout=TIMEOUT)
    except httpx.TransportError:
        return False
    return True


def download(repository: str, names: Sequence[str], revision: str | None = None) -> Path:
    """The folder of the files.

    Raises:
        Refused: with the reason.
    """
    from huggingface_hub import constants, errors, hf_hub_download
    from huggingface_hub.utils import httpx

    host = constants.ENDPOINT.partition("//")[2]
    if constants.HF_HUB_OFFLINE:
        raise Refused("HF_HUB_OFFLINE forbids the download", "Unset HF_HUB_OFFLINE")
    if not reachable():
        raise unreachable(host)
    try:
        paths = [hf_hub_download(repository, name, revision=revision) for name in names]
    except errors.GatedRepoError as error:
        raise Refused(
            "its owner asks you to accept a licence",
            f"Accept it on {host}/{repository} and log in with 'hf auth login'",
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise Refused(
            f"{host} has no such model, or it is private",
            "Check its name and log in with 'hf auth login'",
        ) from error
    except (httpx.TransportError, errors.LocalEntryNotFoundError) as error:
        raise unreachable(host) from error
    except errors.EntryNotFoundError as error:
        raise Refused(
            f"on {host} it has no {' or '.join(names)}", "Choose a model of the right kind"
        ) from error
    except (errors.HfHubHTTPError, errors.XetDownloadError) as error:
        raise Refused(f"{host} does not give it out", "Try again later") from error
    except OSError as error:
        raise not_stored(error) from error
    return Path(paths[0]).parent


def unreachable(host: str) -> Refused:
    return Refused(f"{host} cannot be reached from here", "Connect to the internet")


def not_stored(error: OSError) -> Refused:
    return Refused(
        f"it could not be stored ({error.strerror or type(error).__name__})",
        "Make room on the disk or choose another cache with HF_HOME and TORCH_HOME",
    )
