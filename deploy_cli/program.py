"""How a person calls this tool."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path


def command(words: str) -> str:
    """``deploy-cli WORDS`` as it can be typed here, also without an activated environment."""
    if shutil.which("deploy-cli"):
        return f"deploy-cli {words}"
    beside = Path(sys.executable).parent / "deploy-cli"
    if beside.exists():
        return f"{_shown(beside)} {words}"
    return f"{_shown(Path(sys.executable))} -m deploy_cli {words}"


def _shown(path: Path) -> Path:
    """Relative to the current directory if it is below it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
