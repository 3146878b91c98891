"""One name, one meaning: what a module defines is defined nowhere else, and values are called what they are."""

import ast
import collections
import subprocess
import sys
from pathlib import Path

import pytest

import saywhy
from saywhy.cli.app import app

SOURCE = Path(saywhy.__file__).parent
BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
VAGUE = {"one", "found", "mine", "told"}


def modules(folder=SOURCE):
    return {path.relative_to(folder): ast.parse(path.read_text("utf-8")) for path in sorted(folder.rglob("*.py"))}


def defined(module):
    """Yield the names that a module defines at its top level."""
    for node in module.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        yield from (target.id for target in targets if isinstance(target, ast.Name))


def test_no_name_of_a_module_is_defined_twice():
    homes, verbs = collections.defaultdict(list), {command.callback.__name__ for command in app.registered_commands}
    for path, module in modules().items():
        for name in defined(module):
            # Verbs of the command line are called as what they do.
            if not (name.startswith("__") or (path.parts[0] == "cli" and name in verbs)):
                homes[name].append(str(path))
    assert {name: paths for name, paths in homes.items() if len(paths) > 1} == {}


@pytest.mark.parametrize("folder", [SOURCE, BENCHMARKS], ids=["package", "benchmarks"])
def test_values_are_called_what_they_are(folder):
    vague = [
        f"{path}:{node.lineno} {name}"
        for path, module in modules(folder).items()
        for node in ast.walk(module)
        for name in [node.arg if isinstance(node, ast.arg) else getattr(node, "id", None)]
        if name in VAGUE
    ]
    assert vague == []


@pytest.mark.parametrize("name", saywhy.__all__)
def test_what_is_offered_is_there(name):
    assert getattr(saywhy, name).__name__ == name
    assert name in dir(saywhy)


def test_what_is_not_offered_is_no_attribute():
    with pytest.raises(AttributeError, match="no attribute 'Shelf'"):
        saywhy.Shelf  # noqa: B018


def test_the_package_is_light_until_something_of_it_is_used():
    code = (
        "import sys, saywhy; print([name for name in ('torch', 'numpy', 'pydantic', 'typer') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
