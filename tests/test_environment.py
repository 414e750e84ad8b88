"""What `pyproject.toml` asks for is enough: an environment with nothing else in it loads the released tokenizer, the pickiest part."""

import json
import os
import runpy
import subprocess
import venv
from pathlib import Path

import pytest

from saymask.models.videolisa.release_loading import load_tokenizer

ROOT = Path(__file__).parents[1]
PROBE = """
import importlib.util, json, sys
from pathlib import Path
from saymask.models.videolisa.release_loading import load_tokenizer
assert importlib.util.find_spec("pytest") is None, "this environment has more than pyproject.toml's dependencies"
print(json.dumps(load_tokenizer(Path(sys.argv[1])).encode(sys.argv[2])))
"""
TEXT = "Please segment the red fish in this scene. Sure, [SEG]."


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_released_tokenizer_loads_with_the_declared_dependencies_alone(tmp_path):
    runpy.run_path(str(ROOT / "bench" / "fake_release.py"))["write_tokenizer"](tmp_path, 600)
    expected = load_tokenizer(tmp_path).encode(TEXT)
    venv.create(tmp_path / "env", with_pip=True)
    python = str(tmp_path / "env" / "bin" / "python")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    install = [python, "-m", "pip", "install", "--quiet", "-c", str(ROOT / "constraints.txt"), str(ROOT)]
    subprocess.run(install, check=True, env=clean)
    result = subprocess.run([python, "-c", PROBE, str(tmp_path), TEXT], capture_output=True, text=True, env=clean, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == expected
