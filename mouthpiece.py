"""The installed command: finds the program's own packages, whatever else is called `jobs` or `actors`."""

import sys
from pathlib import Path


def main() -> None:
    """Runs the command line; exit code 2 where the packages beside this file are not the program's."""
    root = str(Path(__file__).parent)
    # In front for these two names alone: PYTHONPATH may have folders that hold others of the same names.
    sys.path.insert(0, root)
    try:
        import actors  # noqa: PLC0415
        import jobs  # noqa: PLC0415
    finally:
        sys.path.remove(root)
    for package in (jobs, actors):
        if getattr(package, "PROGRAM", None) != "mouthpiece":
            sys.exit(_refused(f"{package.__name__} in {root} is another program's, which was installed over it"))
    from jobs.__main__ import main as run  # noqa: PLC0415

    run()


def _refused(problem: str) -> int:
    sys.stderr.write(f"error: {problem}; install mouthpiece into an environment of its own\n")
    return 2


if __name__ == "__main__":
    main()
