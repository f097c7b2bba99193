"""Command lines as tuples: pure functions that run nothing and hold no secret."""
