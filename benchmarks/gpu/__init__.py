"""What saywhy is worth on a graphics card: right there, how fast, in how much memory, and what when that runs out."""

import importlib.util
import sys
from pathlib import Path

if importlib.util.find_spec("saywhy") is None:  # the repository is enough, installed or not
    sys.path.insert(0, str(Path(__file__).parents[2] / "src"))
