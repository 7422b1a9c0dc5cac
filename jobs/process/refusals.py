"""The line and the exit code of an error that a user can mend; all other errors are bugs."""

from __future__ import annotations

import errno

from actors.core.errors import ExitCode, InputError, StoppedError

# The system refuses a path: it, or what stands there, is not what the command needs.
PATH_REFUSED = frozenset(
    {
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.EEXIST,
        errno.ENOTEMPTY,
        errno.ENAMETOOLONG,
        errno.ELOOP,
        errno.ENXIO,
        errno.ENODEV,
        errno.ETXTBSY,
        errno.EBUSY,
        errno.ESTALE,
    }
)
# The machine has no more of something.
EXHAUSTED = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOLCK}
)


def refusal(error: Exception) -> tuple[str, ExitCode] | None:
    """The line that tells a person what stopped a command, and the exit code; ``None`` for what only a bug raises."""
    match error:
        case InputError():
            return f"error: {error}", ExitCode.BAD_INPUT
        case StoppedError():
            return f"stopped: {error}", ExitCode.STOPPED
        case OSError() if error.errno in PATH_REFUSED:
            where, why = _place(error)
            return f"error: {InputError(where, why, 'check the path and its permissions')}", ExitCode.BAD_INPUT
        case OSError() if error.errno in EXHAUSTED:
            where, why = _place(error)
            return f"stopped: {InputError(where, why, 'mend it and run again')}", ExitCode.STOPPED
    return None


def _place(error: OSError) -> tuple[str, str]:
    """Where the system refused something, and why. Arrow's errors name their path in the text alone."""
    name = error.filename
    where = name.decode(errors="surrogateescape") if isinstance(name, bytes) else str(name or "the file system")
    return where, error.strerror or str(error)
