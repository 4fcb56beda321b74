"""Runs every benchmark in a process of its own, one after the other."""

import subprocess
import sys
from pathlib import Path

if __name__ == "__main__":
    for script in sorted(Path(__file__).parent.glob("[a-z]*.py")):
        if script.stem != "common":
            subprocess.run([sys.executable, "-m", f"benchmarks.{script.stem}"], check=True, cwd=Path(__file__).parent.parent)
