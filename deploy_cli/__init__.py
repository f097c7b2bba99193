"""The tool that stands Bandstand up, on this machine first."""
