"""What is installed: the wheel is whole, and the first import is light."""

import os
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest

import saywhy

ROOT = Path(__file__).parents[1]
HEAVY = {
    "datasets",
    "matplotlib",
    "pandas",
    "peft",
    "pyarrow",
    "scipy",
    "statsmodels",
    "torch",
    "transformers",
    "trl",
}
VLLM_TAKES = {"transformers": "5.19", "numpy": "2.3"}
"""Bounds below what the tests run with: the newest that vLLM's parts take, tested with it."""
CARRIED = (
    "saywhy/accelerate_configs/fsdp2.yaml",
    "saywhy/py.typed",
    "saywhy/catalog/snli.yaml",
    "saywhy/catalog/fooled.json",
    "saywhy/pocket/snli.txt",
    "saywhy/report/templates/monitoring.html.j2",
    "saywhy/report/templates/report.html.j2",
    "saywhy/serve/page/decision.js",
    "saywhy/released/README.md",
)

WHOLE = """
import saywhy, saywhy.pocket, saywhy.tasks.task
from saywhy.report.marks import shipped_fooled_metrics
import jinja2
from importlib import resources
print(saywhy.__file__)
for task in saywhy.pocket.POCKET_TASKS:
    assert saywhy.tasks.task.load_task(task).name == task
    assert saywhy.pocket.rows(task, "test")
pages = {name.partition(".")[0] for name in jinja2.PackageLoader("saywhy.report").list_templates()}
assert pages == {"attribution", "base", "calibration", "card", "monitoring", "parts", "report", "study"}
assert resources.files("saywhy").joinpath("py.typed").is_file()
assert shipped_fooled_metrics().fooled
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of the checkout."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (made,) = folder.glob("saywhy-*.whl")
    return made


def test_wheel_carries_every_file_of_the_package(wheel: Path) -> None:
    package = ROOT / "src" / "saywhy"
    ours = {
        path.relative_to(package.parent).as_posix()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    ours |= {f"saywhy/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "released").rglob("*") if path.is_file()}
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("saywhy/")}
    assert packed == ours
    assert packed.issuperset(CARRIED)


def test_installed_wheel_works_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    install = ["install", "--quiet", "--no-deps", "--no-index", "--target", str(site), str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", *install], check=True, capture_output=True)
    done = subprocess.run(
        [sys.executable, "-c", WHOLE],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(site)


def test_first_import_is_light() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import saywhy, saywhy.cli.app"],
        check=True,
        capture_output=True,
        text=True,
    )
    loaded = {line.rsplit("|", 1)[-1].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "typer" in loaded
    assert not loaded & HEAVY


def test_help_is_light_and_teaches() -> None:
    script = Path(sysconfig.get_path("scripts")) / "saywhy"
    shown = subprocess.run([script, "--help"], check=True, capture_output=True, text=True).stdout
    assert all(verb in shown for verb in ("run", "audit", "explain", "targets", "train", "report", "compare"))
    code = "import sys, saywhy.cli.app as cli\ntry: cli.main()\nfinally: print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code, "run", "--help"], check=True, capture_output=True, text=True)
    assert not {name.partition(".")[0] for name in done.stderr.split()} & HEAVY


def test_one_version_everywhere() -> None:
    cited = (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"\nversion: {saywhy.__version__}\n" in cited
    assert f"\n## {saywhy.__version__}" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_lower_bounds_are_the_tested_minor_versions() -> None:
    pins = dict(
        line.lower().replace("_", "-").split("==")
        for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()
        if "==" in line and not line.startswith("#")
    )
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    del extras["vllm"], extras["quantize"]  # other versions, and a card: not what the tests run with
    needed = [*project["dependencies"], *extras["dev"]]
    bounds = dict(one.lower().split(">=") for one in needed)
    assert {requirement for extra in extras.values() for requirement in extra} <= set(needed)  # dev has them all
    tested = {name: ".".join(pins[name].split(".")[:2]) for name in bounds}
    assert bounds == {**tested, **VLLM_TAKES}
    assert pins["torch"] == "2.13.0"
