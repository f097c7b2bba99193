"""What a reader must know about the machine to judge the figures."""

import platform
from pathlib import Path


def description() -> str:
    """Processors, operating system and Python."""
    return f"{_processors()}; {platform.system()}; Python {platform.python_version()}"


def _processors() -> str:
    """The number and kind of the processors, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(models)} x {models[0]}" if models else platform.machine()
