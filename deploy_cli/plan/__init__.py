"""Asking the service's planner, and showing what it says."""
