"""What ends up in an installed package, in a source archive and on the page of an index."""

import email
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.message import Message
from pathlib import Path

import pytest

import saymask

ROOT = Path(__file__).parents[1]


INFO = f"saymask-{saymask.__version__}.dist-info"


def build(source: Path, target: str, folder: Path) -> Path:
    """Build a "wheel" or an "sdist" and return its file."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)], cwd=source, check=True, capture_output=True
    )
    (file,) = folder.glob("saymask-*")
    return file


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, "wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        return email.message_from_bytes(archive.read(f"{INFO}/METADATA"))


def test_a_wheel_holds_every_file_of_the_package_and_the_command(wheel):
    names = names_in(wheel)
    with zipfile.ZipFile(wheel) as archive:
        commands = archive.read(f"{INFO}/entry_points.txt").decode()
    tree = {str(path.relative_to(ROOT / "src")) for path in (ROOT / "src").rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert {name for name in names if ".dist-info/" not in name} == tree
    assert {"saymask/py.typed", "saymask/weights/toy/config.json", "saymask/weights/toy/model.safetensors"} <= names
    assert {"saymask/reports/published_scores.tsv", "saymask/reports/report.html.jinja"} <= names
    assert f"{INFO}/licenses/LICENSE" in names
    assert "saymask = saymask.__main__:main" in commands


@pytest.mark.slow
def test_a_source_archive_builds_the_same_wheel_and_holds_no_tests(wheel, tmp_path):
    sdist = build(ROOT, "sdist", tmp_path / "sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.glob("saymask-*")
    assert sorted(path.name for path in source.iterdir() if path.is_dir()) == ["docs", "src"]
    assert names_in(build(source, "wheel", tmp_path / "wheel")) == names_in(wheel)


def test_the_metadata_say_who_what_and_for_which_python(metadata):
    assert (metadata["Author"], metadata["License-Expression"]) == ("saymask contributors", "Apache-2.0")
    assert not {"Home-page", "Project-URL", "Download-URL"} & set(metadata.keys())
    assert {
        "Intended Audience :: Science/Research",
        "Operating System :: OS Independent",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        *(f"Programming Language :: Python :: 3.{minor}" for minor in (11, 12, 13)),
    } <= set(metadata.get_all("Classifier", []))


FENCED, HEADING = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE), re.compile(r"^#+ .*$", re.MULTILINE)


def test_the_readme_of_an_index_page_needs_no_file_beside_it(metadata):
    readme, shown = (ROOT / "README.md").read_text(encoding="utf-8"), str(metadata.get_payload(decode=True), "utf-8")
    prose = FENCED.sub("", shown)
    targets = re.findall(r"\]\(([^)\s]*)|^\[[^]]+]:\s*(\S+)|(?:src|href)=[\"']?([^\"'\s>]*)", prose, re.MULTILINE)
    assert [target for target in map("".join, targets) if not target.startswith("https://")] == []
    assert FENCED.findall(shown) == FENCED.findall(readme) != []
    assert HEADING.findall(shown) == HEADING.findall(readme) != []


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
