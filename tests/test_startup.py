"""What start-up loads, and that deferred imports change nothing but the time of loading."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

HEAVY = ("accelerate", "datasets", "pandas", "peft", "pyarrow", "scipy", "sklearn", "sympy", "tensorflow", "torchvision")
COMPILER = ("torch._dynamo", "torch._inductor", "torch.distributed.fsdp", "torch.distributed.checkpoint", "torch.onnx")


def loaded_by(code: str, names: tuple[str, ...]) -> list[str]:
    """Which of these modules a fresh process has loaded after this code."""
    probe = f"{textwrap.dedent(code)}\nimport sys\nprint('loaded:', *[name for name in {names!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1].split()[1:]


def run(*statements: str) -> None:
    done = subprocess.run([sys.executable, "-c", "\n".join(statements)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["toy", *(pytest.param(name, marks=pytest.mark.slow) for name in ("villa-toy", "visa-toy"))])
def test_a_bundled_model_loads_without_the_compiler_optional_libraries_and_the_files_of_other_models(name: str):
    code = f"""
        import sys
        opened = []
        sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
        import saymask
        saymask.load_model({name!r})
        read = {{path.split("transformers/models/")[1].split("/")[0] for path in opened if "transformers/models/" in path}}
        assert "clip" in read and "bert" not in read, read
    """
    assert loaded_by(code, HEAVY + COMPILER) == []


def test_segmenting_an_image_loads_neither_compiler_nor_video_writers_nor_optional_libraries(tmp_path: Path):
    image, out = str(tmp_path / "image.png"), str(tmp_path / "out")
    code = f"""
        import numpy as np
        from PIL import Image
        from typer.testing import CliRunner
        from saymask.cli.main import app
        Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save({image!r})
        done = CliRunner().invoke(app, ["segment", {image!r}, "the red fish", "-m", "toy", "-o", {out!r}])
        assert done.exit_code == 0, done.output
    """
    assert loaded_by(code, HEAVY + COMPILER) == []


@pytest.mark.parametrize("command", [["--help"], ["list"], ["segment", "--help"]])
def test_help_and_list_load_no_numeric_library(command: list[str]):
    code = f"""
        from typer.testing import CliRunner
        from saymask.cli.main import app
        assert CliRunner().invoke(app, {command!r}).exit_code == 0
    """
    assert loaded_by(code, ("torch", "transformers", "av", "pycocotools", *HEAVY)) == []


@pytest.mark.slow
def test_the_names_of_transformers_are_all_there_after_a_short_start():
    """Of both packages that list every model: the same as in a process that starts without us."""
    names = "print(*sorted(transformers.__all__), *sorted(transformers.models.__all__))"
    plain = subprocess.run([sys.executable, "-c", f"import transformers\n{names}"], capture_output=True, text=True, check=True)
    short = f"import saymask.storage.strict, transformers\n{names}"
    assert subprocess.run([sys.executable, "-c", short], capture_output=True, text=True, check=True).stdout == plain.stdout
    assert len(plain.stdout.split()) > 4000


@pytest.mark.slow
def test_a_name_of_transformers_is_found_after_a_short_start():
    run(
        "import saymask.storage.strict, transformers",
        "from transformers.models import bert; assert bert.configuration_bert.BertConfig().model_type == 'bert'",
        "assert transformers.models.vit.ViTConfig().model_type == 'vit'",
        "from transformers import BertConfig; assert BertConfig is bert.BertConfig",
        "assert 'BertModel' in dir(transformers) and not hasattr(transformers, 'NoSuchThing')",
    )


@pytest.mark.slow
def test_imports_leave_the_collector_as_they_found_it():
    run(
        "import gc, saymask",
        "saymask.VideoSession; assert gc.isenabled() and gc.get_freeze_count() == 0",
        # Else the next few objects that somebody makes would set off a search of all that was imported.
        "assert gc.get_count()[0] < 1000 and len(gc.get_objects(generation=2)) > 100_000",
        "gc.disable(); saymask.Prediction; assert not gc.isenabled() and gc.get_freeze_count() == 0",
    )


def test_what_the_program_has_frozen_stays_frozen():
    run(
        "import gc, saymask; gc.freeze(); frozen = gc.get_freeze_count()",
        "saymask.Prediction; assert gc.isenabled() and 0 < gc.get_freeze_count() <= frozen",
    )


LIBRARY = {
    "heavy/__init__.py": (
        "def double(x): return 2 * x\nclass Base: kind = 'base'\nTABLE = {'a': 1}\n"
        "noted = []\ndef note(f):\n    noted.append(f)\n    return f\n"
    ),
    "heavy/part.py": "class Inner: pass\n",
    "light.py": (
        "from heavy import TABLE, Base, double, note\nfrom heavy.part import Inner\n"
        "def annotated(x: Inner | None, y: 'list[Inner]') -> Inner | None: return x\n"
        "def is_inner(x): return isinstance(x, Inner)\n"
        "@note\ndef decorated(): return 5\n"
        "def four(): return double(2)\n"
    ),
    "dotted.py": "import heavy.part\ndef made(): return heavy.part.Inner()\n",
    "derived.py": "from heavy import Base\nclass Derived(Base): pass\n",
}


@pytest.fixture
def library(tmp_path: Path) -> str:
    """A library that imports a heavy one, and what puts it on the path of a fresh process."""
    for name, text in LIBRARY.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return f"import sys; sys.path.insert(0, {str(tmp_path)!r})\nfrom saymask.startup.deferred_imports import deferred_imports"


DEFERRED = "with deferred_imports(['heavy'], marks=['heavy.note']):\n    import light"


def test_a_deferred_module_is_loaded_when_a_name_of_it_is_used(library: str):
    run(library, DEFERRED, "assert 'heavy' not in sys.modules", "assert light.four() == 4", "assert 'heavy' in sys.modules")


def test_isinstance_of_a_class_that_is_not_loaded_loads_nothing(library: str):
    run(library, DEFERRED, "assert not light.is_inner(3)", "assert 'heavy.part' not in sys.modules")
    run(library, DEFERRED, "from heavy.part import Inner", "assert light.is_inner(Inner()) and not light.is_inner(3)")


def test_tables_are_read_through(library: str):
    run(
        library,
        DEFERRED,
        "assert 'a' in light.TABLE and light.TABLE['a'] == 1",
        "assert list(light.TABLE) == ['a'] and len(light.TABLE) == 1",
    )


def test_a_decorator_that_only_notes_its_function_does_so_when_its_module_is_loaded(library: str):
    run(library, DEFERRED, "assert light.decorated() == 5 and 'heavy' not in sys.modules", "import heavy")
    run(library, DEFERRED, "import heavy", "assert heavy.noted == [light.decorated]")


def test_a_part_that_is_named_through_its_package_is_found(library: str):
    block = "with deferred_imports(['heavy']):\n    import dotted"
    run(library, block, "assert 'heavy' not in sys.modules", "assert type(dotted.made()).__module__ == 'heavy.part'")


def test_a_base_class_is_loaded_at_once(library: str):
    block = "with deferred_imports(['heavy']):\n    import derived"
    run(library, block, "assert derived.Derived.kind == 'base' and 'heavy' in sys.modules")


def test_after_the_block_everybody_imports_the_real_module(library: str):
    run(library, DEFERRED, "import heavy, heavy.part", "assert heavy.double(3) == 6", "assert heavy.part is sys.modules['heavy.part']")


def test_a_library_that_is_not_installed_stays_missing(library: str):
    block = "with deferred_imports(['no_such_library']):\n    found = importlib.util.find_spec('no_such_library')"
    run(library, "import importlib.util", block, "assert found is None")


def test_a_module_that_is_loaded_already_is_left_alone(library: str):
    run(library, "import heavy", DEFERRED, "assert light.double is heavy.double")
    block = "with deferred_imports(['heavy']):\n    import dotted"
    run(library, "import heavy", block, "assert type(dotted.made()) is heavy.part.Inner")


@pytest.mark.slow
def test_what_transformers_defers_works_when_it_is_needed():
    run(
        "import saymask.storage.strict, sys\n"
        "assert 'scipy' not in sys.modules\n"
        "from transformers.loss import loss_for_object_detection as loss\n"
        "rows, columns = loss.linear_sum_assignment([[4, 1], [2, 3]])\n"
        "assert (list(rows), list(columns)) == ([0, 1], [1, 0])\n"
    )


@pytest.mark.slow
def test_a_model_compiles_after_a_short_start():
    run(
        "import saymask.storage.strict, torch\n"
        "from transformers import modeling_utils\n"
        "double = torch.compile(lambda x: x * 2, backend='eager')\n"
        "assert double(torch.ones(2)).tolist() == [2, 2]\n"
    )
