"""Bandstand's service: adaptive experiments over HTTP, learned from a log in PostgreSQL."""
