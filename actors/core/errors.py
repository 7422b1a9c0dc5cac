"""The errors that are meant for the person at the terminal, and the exit codes they become."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What a command's exit code says about its frames."""

    COMPLETE = 0
    FRAMES_FAILED = 1
    BAD_INPUT = 2
    STOPPED = 3
    INTERRUPTED = 130


class InputError(Exception):
    """Something the user gave cannot be used.

    Attributes:
        subject: the file, folder or flag at fault.
        problem: what is wrong with it.
        fix: what to do about it.
    """

    def __init__(self, subject: str, problem: str, fix: str) -> None:
        # All three go to Exception so that the error survives pickling on its way from a worker.
        super().__init__(subject, problem, fix)
        self.subject = subject
        self.problem = problem
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.subject}: {self.problem}; {self.fix}"


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
        return f"{self.reason}; {self.fix}"
