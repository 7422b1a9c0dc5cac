"""One run from options to exit code: its folder, ledger, record and video. Nothing here schedules or composites."""
