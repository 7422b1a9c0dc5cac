"""The token by which a Ray cluster knows its users: readable by this user alone."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

PATH, TOKEN, MODE = "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_TOKEN", "RAY_AUTH_MODE"


def private_token(folder: Path) -> dict[str, str]:
    """A new token for a cluster of this process alone, as variables of the environment.

    Ray itself would keep one in the user's home, readable by everybody, for whatever cluster is started later. Nothing
    is done where the user has chosen a token, or none.

    Args:
        folder: where only this user can read.
    """
    if os.environ.get(TOKEN) or os.environ.get(PATH) or os.environ.get(MODE, "token").lower() != "token":
        return {}
    path = folder / "token"
    path.touch(0o600)
    path.write_text(secrets.token_hex(32))
    return {PATH: str(path)}


def make_token_private() -> str | None:
    """Takes the user's own token out of others' sight; what was done about it, ``None`` where nothing had to be."""
    try:
        path = Path(os.environ.get(PATH) or Path.home() / ".ray" / "auth_token")
        if not path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            return None
    except (OSError, RuntimeError):  # there is none, or no home
        return None
    try:
        path.chmod(0o600)
    except OSError as error:
        return f"{path}: others can read this Ray token and run code as you ({error}); `chmod 600` it"
    return f"{path}: others could read this Ray token and run code as you; it is yours alone now, make a new one"
