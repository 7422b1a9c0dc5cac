"""The driver's side: reading clips, planning, scheduling, recording and reporting a run."""

import os

# Before anything imports ONNX Runtime, see there.
import actors as actors

# Read by Ray when it starts: what runs here is told to nobody.
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
