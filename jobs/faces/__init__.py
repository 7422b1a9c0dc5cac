"""From footage to face boxes: which faces there are, which one is dubbed, and the box of every frame for a kind."""
