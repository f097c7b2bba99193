"""The environment on this machine: an embedded PostgreSQL and one gunicorn."""
