"""The driver as a process: signals, time limits, temporary folders, exit codes. Nothing here knows a clip or Ray."""
