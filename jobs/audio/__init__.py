"""Recordings: checked, decoded, made into features and into the video's sound. Nothing here starts Ray."""
