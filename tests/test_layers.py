"""The structure of the package: which module may import which, how deep files lie, what an import may load."""

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "saymask"
MODULES = sorted(PACKAGE.rglob("*.py"))

LAYERS = [
    ("records", "samples", "errors", "lookup", "config", "runtime", "startup"),
    ("storage",),
    ("video", "toyworld", "metrics"),
    ("models", "trackers", "datasets", "exports", "integrations"),
    ("session",),
    ("api",),
    ("evaluation", "training", "reports", "benchmark", "batch"),
    ("cli", "recipes", "web"),
    ("__init__", "__main__"),
]
LAYER = {area: number for number, areas in enumerate(LAYERS) for area in areas}

SIBLINGS_ALLOWED = {("training", "evaluation"), ("reports", "evaluation"), ("benchmark", "evaluation"), ("cli", "web")}
"""Importer, imported; the modules of the lowest layer know each other as well."""


def area_of(module: Path) -> str:
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_modules(source: str) -> set[str]:
    """Every saymask module an import statement names, wherever it stands."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names} if node.module == "saymask" else {node.module or ""}
    return {name for name in found if name.split(".")[0] == "saymask"}


def allowed(importer: str, imported: str) -> bool:
    if importer == imported or LAYER[imported] < LAYER[importer] or (importer, imported) in SIBLINGS_ALLOWED:
        return True
    return LAYER[importer] == LAYER[imported] == 0


def violations(importer: str, source: str) -> list[str]:
    areas = {name.split(".")[1] for name in imported_modules(source) if "." in name}
    # A public name taken from the package itself (`from saymask import load_model`) would be a way around the layers; its version is none.
    return sorted(area for area in areas - {"__version__"} if area not in LAYER or not allowed(importer, area))


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_import_only_from_lower_layers(module: Path):
    importer = area_of(module)
    assert importer in LAYER, f"{importer} belongs to no layer"
    assert violations(importer, module.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("importer", "source", "expected"),
    [
        ("video", "from saymask.models.base import Answer", ["models"]),
        ("models", "def f():\n    from saymask.toyworld.dataset import render", []),
        ("models", "if TYPE_CHECKING:\n    from saymask.session import VideoSession", ["session"]),
        ("session", "import saymask.evaluation.run", ["evaluation"]),
        ("video", "from saymask.toyworld.dataset import render", ["toyworld"]),
        ("evaluation", "import saymask.training.loop", ["training"]),
        ("records", "from saymask import cli", ["cli"]),
        ("evaluation", "from saymask import load_model, __version__", ["load_model"]),
        ("training", "from saymask.evaluation.run import run_eval", []),
        ("evaluation", "from saymask.session import VideoSession", []),
        ("records", "from saymask.lookup import resolve", []),
        ("cli", "from saymask.session import segment", []),
    ],
)
def test_the_rule_sees_what_it_must(importer: str, source: str, expected: list[str]):
    assert violations(importer, source) == expected


DEEPER = ("cli", "models", "trackers", "datasets", "training", "exports", "web")
"""Areas whose members have folders of their own."""


def test_files_lie_where_the_layout_allows_and_have_a_subject():
    names = [module.relative_to(PACKAGE) for module in MODULES]
    assert [str(name) for name in names if len(name.parts) > (3 if name.parts[0] in DEEPER else 2)] == []
    assert [str(name) for name in names if name.stem in ("utils", "util", "helpers", "common", "misc")] == []


def test_no_folder_is_a_heap():
    sizes = Counter(str(module.parent.relative_to(PACKAGE)) for module in MODULES if module.name != "__init__.py")
    assert {folder: size for folder, size in sizes.items() if size > 15} == {}


def test_the_folder_table_of_the_docs_is_the_tree():
    page = (PACKAGE.parents[1] / "docs" / "architecture.md").read_text(encoding="utf-8")
    listed = {line.split()[0] for line in page.split("saymask/\n", 1)[1].split("```")[0].splitlines()}
    folders = {f"{module.parent.relative_to(PACKAGE)}/" for module in MODULES if module.parent != PACKAGE}
    files = {module.name for module in MODULES if module.parent == PACKAGE and not module.name.startswith("__")}
    assert listed == folders | files | {"weights/"}


@pytest.mark.parametrize(
    "statement",
    [
        "import saymask",
        "import saymask; saymask.Prediction, saymask.Video, saymask.errors",
        "from typer.testing import CliRunner; from saymask.cli.main import app; assert CliRunner().invoke(app, ['--help']).exit_code == 0",
        "from typer.testing import CliRunner; from saymask.cli.main import app; assert CliRunner().invoke(app, ['list']).exit_code == 0",
        "import saymask.records, saymask.lookup, saymask.config, saymask.runtime",
    ],
)
def test_these_load_neither_torch_nor_transformers(statement: str):
    probe = f"{statement}\nimport sys\nprint([name for name in ('torch', 'transformers', 'av', 'pycocotools') if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.slow
def test_models_training_and_the_toy_world_need_no_video_library():
    areas = "saymask.models.base, saymask.toyworld.dataset, saymask.training.loop"
    probe = f"import {areas}, sys\nprint([name for name in ('av', 'pycocotools') if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
