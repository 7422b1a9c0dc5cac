"""What runs on Ray's workers: core, files, kinds, network, rendering. Nothing here imports `jobs`."""

import os

# Other programs' packages may have the same name.
PROGRAM = "mouthpiece"

# Read by ONNX Runtime when it is imported, and inherited by every process that is started from here. Otherwise it tells
# its maker about each session and keeps an id of the machine in the user's cache folder, both without asking.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
