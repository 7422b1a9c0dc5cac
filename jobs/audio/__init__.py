"""Recordings: decoded, looked at, turned into features and into the video's sound. Nothing here starts Ray."""
