"""What carries the program to other machines; run from the repository, never installed, and imports none of it."""
