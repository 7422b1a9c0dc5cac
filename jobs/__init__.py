"""The driver's side: reading clips, planning, scheduling, recording and reporting a run."""
