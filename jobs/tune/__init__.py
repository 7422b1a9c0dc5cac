"""The search for the fastest layout of workers on a cluster. Nothing here changes what a frame looks like."""
