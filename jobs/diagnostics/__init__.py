"""Proofs by the renderer itself: endurance under kills, what scheduling costs. No run needs anything from here."""
