"""A run as one page: read from its folder, worked out by pure functions, drawn by a template."""
