"""Proofs of the renderer by itself: endurance under kills, and what scheduling costs. No run needs anything from here."""
