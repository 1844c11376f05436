"""How others come in: where the server listens, whom it asks for a login, and its rules."""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import replace
from pathlib import Path

from pe_engine.ui import house as house_rules
from pe_engine.ui.accounts import read_accounts
from pe_engine.ui.house import LOCAL, SHARED, House
from pe_engine.ui.login import PasswordLogin
from pe_engine.ui.security import LOCAL_HOSTS
from pe_engine.ui.space import SpaceLogin, allowed_users

BUCKET = Path("/data")
"""Where a Storage Bucket is to be mounted for this page to keep its runs in it."""

SPACE_HOST, SPACE_PORT = "0.0.0.0", 7860
FORGETFUL = (
    "This Space has no Storage Bucket: when it sleeps or starts anew, all runs are lost. Download "
    "what you want to keep."
)

OF_A_SPACE = ("OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET", "OAUTH_SCOPES", "OPENID_PROVIDER_URL")
"""What Hugging Face sets in a Space whose card says ``hf_oauth: true``."""


def is_space(environment: Mapping[str, str]) -> bool:
    """Whether this is a Hugging Face Space."""
    return bool(environment.get("SPACE_ID"))


def wants_demo(environment: Mapping[str, str]) -> bool:
    """Whether ``PE_DEMO`` says so; a word that is not known must not open the page to all."""
    return environment.get("PE_DEMO", "").strip().lower() in ("1", "true", "yes", "on")


def place(
    host: str | None, port: int | None, environment: Mapping[str, str]
) -> tuple[str, int | None]:
    """Where to listen: as asked for, else where a Space expects it, else this machine only.

    Returns:
        the address, and the port; None for any that is free.
    """
    if is_space(environment):
        host = host or environment.get("GRADIO_SERVER_NAME") or SPACE_HOST
        port = port or int(environment.get("GRADIO_SERVER_PORT") or SPACE_PORT)
    return host or "127.0.0.1", port


def mounted(environment: Mapping[str, str], bucket: Path = BUCKET) -> Path | None:
    """The Storage Bucket of this Space, if one is mounted there and may be written to."""
    if is_space(environment) and os.path.ismount(bucket) and os.access(bucket, os.W_OK):
        return bucket
    return None


def rules(demo: bool, host: str, login: object, environment: Mapping[str, str]) -> House:
    """The rules of the server that is started so.

    Args:
        demo: anybody may come in, within narrow bounds.
    """
    house = house_rules.demo() if demo else LOCAL
    if not demo and (login is not None or host not in LOCAL_HOSTS):
        house = SHARED
    if is_space(environment) and not (environment.get("PE_HOME") or mounted(environment)):
        house = replace(house, notices=(*house.notices, FORGETFUL))
    return house


def entrance(
    auth: Sequence[str], environment: MutableMapping[str, str], demo: bool = False
) -> PasswordLogin | SpaceLogin | None:
    """The login: accounts where some are given, else Hugging Face's on a Space, unless it is a
    ``demo``; None if neither.

    ``PE_AUTH`` (accounts, one a line) is taken out of the environment, so that no process started
    by this one inherits it.

    Args:
        auth: accounts, each ``name:password``.

    Raises:
        ConfigError: an account cannot be read.
    """
    given = [*auth, *filter(str.strip, environment.pop("PE_AUTH", "").splitlines())]
    if given:
        return PasswordLogin(read_accounts(given), framed=is_space(environment))
    if not demo and is_space(environment) and all(map(environment.get, OF_A_SPACE)):
        environment.setdefault("SYSTEM", "spaces")  # by which Gradio knows a Space
        return SpaceLogin(allowed_users(environment))
    return None
