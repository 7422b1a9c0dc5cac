"""The programs that users have today: scripts that import nothing of the product, and print one JSON object at last."""
