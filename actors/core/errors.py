"""The errors that are meant for the person at the terminal, and the exit codes they become."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum


class ExitCode(IntEnum):
    """What a command's exit code says about its frames."""

    COMPLETE = 0
    FRAMES_FAILED = 1
    BAD_INPUT = 2
    STOPPED = 3
    INTERRUPTED = 130


# A message is read at a glance; file names and other people's words in it may be of any length and hold anything. What
# is to be done about it is ours, and often a command to copy: that is always whole.
LONGEST = 240


def printable(text: str) -> str:
    r"""``text`` on one line, as it is but for what a terminal would act on: control, format and broken characters.

    Those stand there as Python would write them, ``\n`` or ``\u202e``.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def one_line(text: str, longest: int = LONGEST) -> str:
    """``text`` as printable characters on one line; of what is too long the middle is left out."""
    plain = printable(text)
    if len(plain) <= longest:
        return plain
    half = (longest - 3) // 2
    return f"{plain[:half]}...{plain[-half:]}"


def error_text(error: BaseException, longest: int | None = None) -> str:
    """What an error of another program's says, on one line; its class where it says nothing.

    Args:
        error: the error.
        longest: characters; of a longer text the end is left out.
    """
    text = " ".join(str(error).split()) or type(error).__name__
    return text if longest is None or len(text) <= longest else f"{text[: longest - 3]}..."


class InputError(Exception):
    """Something the user gave cannot be used.

    Attributes:
        subject: the file, folder or flag at fault.
        problem: what is wrong with it.
        fix: what to do about it; never shortened.
    """

    def __init__(self, subject: str, problem: str, fix: str) -> None:
        # All three go to Exception so that the error survives pickling on its way from a worker.
        super().__init__(subject, problem, fix)
        self.subject = subject
        self.problem = problem
        self.fix = fix

    def __str__(self) -> str:
        return f"{one_line(self.subject)}: {one_line(self.problem)}; {printable(self.fix)}"


class ClipError(InputError):
    """Files or the folder of a clip cannot be used on a node; what clips have in common is not concerned."""


class ProgramError(InputError):
    """A process runs other files of this program than the driver, so nothing that it makes can be used."""


class NoCudaError(InputError):
    """A CUDA session was asked for and could not be had."""


class StoppedError(Exception):
    """The run cannot go on, but what it has finished stays valid and the same command resumes it.

    Attributes:
        reason: why it stopped, one line.
        fix: what to do before running the command again.
    """

    def __init__(self, reason: str, fix: str) -> None:
        super().__init__(reason, fix)
        self.reason = reason
        self.fix = fix

    def __str__(self) -> str:
        return printable(f"{self.reason}; {self.fix}")


class ClipStoppedError(StoppedError):
    """Files of a clip are not what they were; what clips have in common is not concerned."""


@contextmanager
def of_clip() -> Iterator[None]:
    """Whatever users are told from within belongs to the clip alone.

    Raises:
        ClipError: in place of an `InputError`.
        ClipStoppedError: in place of a `StoppedError`.
    """
    try:
        yield
    except InputError as error:
        raise ClipError(error.subject, error.problem, error.fix) from error
    except StoppedError as error:
        raise ClipStoppedError(error.reason, error.fix) from error
