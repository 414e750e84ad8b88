"""What ends up in an installed package."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import saymask

ROOT = Path(__file__).parents[1]


def test_a_wheel_holds_every_file_of_the_package_and_the_command(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)], cwd=ROOT, check=True, capture_output=True
    )
    (wheel,) = tmp_path.glob("saymask-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        commands = archive.read(f"saymask-{saymask.__version__}.dist-info/entry_points.txt").decode()
    tree = {str(path.relative_to(ROOT / "src")) for path in (ROOT / "src").rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert {name for name in names if ".dist-info/" not in name} == tree
    assert {"saymask/py.typed", "saymask/weights/toy/config.json", "saymask/weights/toy/model.safetensors"} <= names
    assert f"saymask-{saymask.__version__}.dist-info/licenses/LICENSE" in names
    assert "saymask = saymask.cli.main:main" in commands


def test_the_public_names_are_the_ones_listed():
    for name in saymask.__all__:
        assert getattr(saymask, name) is not None
    assert dir(saymask) == sorted(saymask.__all__)
    with pytest.raises(AttributeError, match=r"^module 'saymask' has no attribute 'segmnet'$"):
        _ = saymask.segmnet


def test_the_constraints_fix_every_dependency_to_a_version_in_its_range():
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    pinned = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#"))
    versions = {canonicalize_name(name): version for name, version in pinned.items()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for text in project["dependencies"] + project["optional-dependencies"]["dev"]:
        requirement = Requirement(text)
        assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)]), text
