"""What runs on Ray's workers: sessions, background blocks, encoding, storage and the compositor actor."""
