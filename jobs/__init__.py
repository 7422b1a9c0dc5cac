"""The driver's side: reading clips, planning, scheduling, recording and reporting a run."""

import os
import sys
from pathlib import Path

# Other programs' packages may have the same name.
PROGRAM = "mouthpiece"

# The current folder and those of PYTHONPATH may hold another `actors`; ours stands beside this package.
_ROOT = str(Path(__file__).parents[1])
sys.path.insert(0, _ROOT)
try:
    # Before anything imports ONNX Runtime, see there.
    import actors as actors
finally:
    sys.path.remove(_ROOT)

# Read by Ray when it starts: what runs here is told to nobody.
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
# Read by Ray when it is imported: under `uv run` it would otherwise rebuild the environment for every worker.
os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
