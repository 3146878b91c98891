"""A program to which all dependencies of saywhy are missing but torch, transformers and what these bring."""

MISSING = (
    "accelerate", "captum", "datasets", "gguf", "matplotlib", "peft", "psutil", "pyarrow", "pydantic", "rapidfuzz",
    "scipy", "sklearn", "statsmodels", "trl",
)  # fmt: skip
"""Dependencies that neither torch nor transformers needs."""

WITHOUT = f"""
import sys
from importlib.machinery import PathFinder
class Lacking(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in {MISSING!r} else super().find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(PathFinder)] = Lacking
"""
"""Begins a program to which these are not installed."""
