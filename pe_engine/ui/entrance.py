"""Which login the server asks for, by what it was started with."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence

from pe_engine.ui.accounts import read_accounts
from pe_engine.ui.login import PasswordLogin
from pe_engine.ui.space import SpaceLogin, allowed_users

OF_A_SPACE = ("OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET", "OAUTH_SCOPES", "OPENID_PROVIDER_URL")
"""What Hugging Face sets in a Space whose card says ``hf_oauth: true``."""


def is_space(environment: Mapping[str, str]) -> bool:
    """Whether this is a Hugging Face Space."""
    return bool(environment.get("SPACE_ID"))


def entrance(
    auth: Sequence[str], environment: MutableMapping[str, str]
) -> PasswordLogin | SpaceLogin | None:
    """The login: accounts where some are given, else Hugging Face's on a Space; None if neither.

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
    if is_space(environment) and all(map(environment.get, OF_A_SPACE)):
        environment.setdefault("SYSTEM", "spaces")  # by which Gradio knows a Space
        return SpaceLogin(allowed_users(environment))
    return None
