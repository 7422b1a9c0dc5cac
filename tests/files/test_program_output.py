"""What a program prints, and nothing of one that fails, hangs or is not there."""

from __future__ import annotations

import sys

import pytest

from actors.files.program_output import program_output


def test_what_a_program_prints_on_standard_output_is_given() -> None:
    code = "import sys; print('one'); print('two'); print('careful', file=sys.stderr)"
    assert program_output(sys.executable, "-IS", "-c", code) == "one\ntwo\n"


@pytest.mark.parametrize("code", ["print('one'); raise SystemExit(3)", "import time; print('one'); time.sleep(600)"])
def test_one_that_fails_or_takes_too_long_prints_nothing(code: str) -> None:
    assert program_output(sys.executable, "-IS", "-c", code, seconds=0.5) == ""


def test_one_that_is_not_there_prints_nothing() -> None:
    assert program_output("no-such-program-anywhere") == ""
