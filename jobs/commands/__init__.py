"""One module per command: flags in, exit code out."""
