"""The demo: a real field experiment, replayed through the API."""
