"""The driver as a process: signals, time limits, temporary folders, last words. Nothing here knows a clip or Ray."""
