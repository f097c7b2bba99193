"""HTTP in, HTTP out: the only place that knows Flask and marshmallow. Nothing is decided here."""
