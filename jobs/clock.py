"""When the command began: imported before anything else, so that no import escapes the clock."""

import time

STARTED = time.perf_counter()
