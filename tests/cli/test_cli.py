"""The command line, in process: what it prints, where it writes, how it fails. Model and session are stand-ins with known answers."""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from saymask import lookup
from saymask.cli.main import app
from saymask.cli.segment import report
from saymask.config import Config
from saymask.errors import CheckpointError, ConfigError, VideoError
from saymask.models.family import Family
from saymask.records import Masklet, Prediction, QueryResult, Rle, Video
from saymask.session import asking


@dataclass
class Stage:
    """What the stand-ins saw and how they should behave."""

    calls: list[tuple] = field(default_factory=list)
    during_segment: Callable[[Video], None] = lambda video: None
    during_load: Callable[[], None] = lambda: None
    during_train: Callable[[], None] = lambda: None


class FakeSegmenter:
    family = Family("toy", segmenter="", options="saymask.models.videolisa.options:VideoLisaOptions")
    name = "toy"
    weights_files = ()

    def notice(self, video: Video) -> str | None:
        return None if video.tags.get("comment") == "saymask-toyworld" else "trained on drawn scenes"

    def unknown_words(self, query: str) -> list[str]:
        return [word for word in query.split() if word in ("zebra", "lorry")]


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stage:
    """Stand-ins for everything that needs a trained model; the reader and the writers are the real ones."""
    stage = Stage()

    class FakeSession:
        def __init__(self, video, segmenter, tracker=None, min_stability=None, runtime=None, every=None):
            self.video = video
            if tracker:
                stage.calls.append(("track", tracker.name, min_stability))

        def __enter__(self):
            return self

        def __exit__(self, *_):
            stage.calls.append(("closed", self.video.name))

        def segment(self, queries, progress, each=None, **options):
            stage.calls.append(("segment", self.video.name, list(queries), options))
            stage.during_segment(self.video)
            progress(1, 1)
            return half_found(self.video, queries)

    def load_model(name, runtime, vision_tower=None):
        stage.calls.append(("load", name, runtime.device, runtime.dtype))
        stage.during_load()
        return FakeSegmenter()

    def train(config, out_dir, resume, runtime, progress=lambda done, steps, label: None):
        stage.calls.append(("train", config, out_dir, resume, runtime.device))
        progress(1, 2, "loss 0.500")
        stage.during_train()
        return out_dir / "model"

    def require_resumable(out_dir):
        if not (out_dir / "train.json").exists():
            raise ConfigError(f"{out_dir}: nothing to resume")

    def predict(exam, candidate, folder, shard, resume, progress):
        stage.calls.append(("eval", exam.dataset, exam.split, exam.limit, candidate.model, candidate.answer, candidate.tracker, folder))
        progress(1, 1)

    (tmp_path / "weights" / "toy").mkdir(parents=True)
    (tmp_path / "weights" / "toy" / "model.safetensors").write_bytes(b"weights")
    monkeypatch.setattr("saymask.models.choice.drawn_for", lambda video: "toy")
    install(monkeypatch, "saymask.session", VideoSession=FakeSession, asking=asking)
    install(monkeypatch, "saymask.models.checkpoints", load_model=load_model, bundled_folder=(tmp_path / "weights").joinpath)
    install(monkeypatch, "saymask.training.loop", train=train, require_resumable=require_resumable)
    install(
        monkeypatch,
        "saymask.evaluation.run",
        predict=predict,
        score=lambda *_: {"overall": 71.5},
        is_evaluation=lambda folder: False,
        results_name=lambda protocol: "results.json",
    )
    install(monkeypatch, "saymask.reports.table", format_table=lambda results: f"model {results['overall']}")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return stage


def install(monkeypatch: pytest.MonkeyPatch, name: str, **members: object) -> None:
    module = ModuleType(name)
    vars(module).update(members)
    monkeypatch.setitem(sys.modules, name, module)


def half_found(video: Video, queries: list[str]) -> Prediction:
    """Each query finds the top left pixel, on the first half of the frames."""
    found_HW = np.zeros((video.height, video.width), bool)
    found_HW[0, 0] = True
    T = video.num_frames
    rle_T = tuple(Rle.encode(found_HW if 2 * i < T else ~found_HW & False) for i in range(T))
    results = tuple(QueryResult(query, "", (Masklet(1, rle_T, np.ones(T)),)) for query in queries)
    return Prediction(video, results)


def make_frames(folder: Path, num_frames: int = 4) -> Path:
    folder.mkdir(parents=True)
    for i in range(num_frames):
        Image.fromarray(np.full((8, 12, 3), 40 * i, np.uint8)).save(folder / f"{i:05d}.png")
    return folder


def make_image(path: Path) -> Path:
    Image.fromarray(np.full((8, 12, 3), 90, np.uint8)).save(path)
    return path


def saymask(*args: object) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args])


def everything_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# --- segment ---------------------------------------------------------------------------------------------------------------------


def test_segment_asks_all_queries_at_once_and_says_what_it_found_and_wrote(stage):
    make_frames(Path("clip"))
    result = saymask("segment", "clip", "the red fish", "the lorry", "--format", "png,sheet", "--device", "cpu", "--dtype", "float32")
    assert result.exit_code == 0
    assert stage.calls == [
        ("load", "toy", "cpu", "float32"),
        ("segment", "clip", ["the red fish", "the lorry"], {}),
        ("closed", "clip"),
    ]
    assert result.stdout.splitlines() == [
        '"the red fish": mask on 2 of 4 frames',
        '"the lorry": mask on 2 of 4 frames',
        "wrote saymask-out/clip/png",
        "wrote saymask-out/clip/sheet.png",
    ]
    assert result.stderr.splitlines() == ["warning: toy was never trained on: lorry", "trained on drawn scenes"]
    mask_HW = np.asarray(Image.open("saymask-out/clip/png/the-red-fish/1/00001.png"))
    assert np.argwhere(mask_HW).tolist() == [[0, 0]]


def test_segment_passes_the_template_and_names_the_image_as_one_frame(stage):
    make_image(Path("photo.png"))
    result = saymask("segment", "photo.png", "fish", "--template", "raw", "--format", "png")
    assert stage.calls[1] == ("segment", "photo", ["fish"], {"template": "raw"})
    assert result.stdout.splitlines()[0] == '"fish": mask on 1 of 1 frame'


def test_output_folders_are_numbered_and_never_touched_again(stage):
    make_frames(Path("clip"))
    for _ in range(2):
        saymask("segment", "clip", "fish", "--format", "png")
    before = Path("saymask-out/clip/png/fish/1/00000.png").stat().st_mtime_ns
    third = saymask("segment", "clip", "fish", "--format", "png")
    assert sorted(path.name for path in Path("saymask-out").iterdir()) == ["clip", "clip-2", "clip-3"]
    assert "saymask-out/clip is taken; writing to saymask-out/clip-3" in third.stderr.splitlines()
    assert third.stdout.splitlines()[-1] == "wrote saymask-out/clip-3/png"
    assert Path("saymask-out/clip/png/fish/1/00000.png").stat().st_mtime_ns == before


def test_an_empty_output_folder_is_used_and_a_full_one_is_not(stage):
    make_frames(Path("clip"))
    Path("mine").mkdir()
    assert saymask("segment", "clip", "fish", "--format", "png", "-o", "mine").stdout.splitlines()[-1] == "wrote mine/png"
    Path("other").mkdir()
    Path("other/notes.txt").write_text("keep")
    result = saymask("segment", "clip", "fish", "--format", "png", "-o", "other")
    assert result.stdout.splitlines()[-1] == "wrote other-2/png"
    assert everything_in(Path("other")) == ["notes.txt"]


def test_the_folder_one_stands_in_is_filled_in_place(stage, monkeypatch):
    make_frames(Path("clip"))
    Path("here").mkdir()
    monkeypatch.chdir("here")
    folder = os.stat(".")
    result = saymask("segment", "../clip", "fish", "--format", "png,sheet", "-o", ".")
    assert (result.exit_code, result.stdout.splitlines()[-2:]) == (0, ["wrote png", "wrote sheet.png"])
    assert os.path.samestat(os.stat("../here"), folder)
    assert sorted(path.name for path in Path().iterdir()) == ["png", "sheet.png"]


@pytest.mark.parametrize(("failure", "code"), [(KeyboardInterrupt(), 130), (VideoError("clip: damaged"), 1), (OSError(28, "disk full"), 1)])
def test_the_folder_one_stands_in_stays_empty_if_something_goes_wrong(stage, monkeypatch, failure, code):
    def fail(*_):
        raise failure

    install(monkeypatch, "failing_writer", write=fail)
    monkeypatch.setitem(lookup.WRITERS, "failing", "failing_writer:write")
    make_frames(Path("clip"))
    Path("here").mkdir()
    monkeypatch.chdir("here")
    folder = os.stat(".")
    assert saymask("segment", "../clip", "fish", "--format", "png,failing", "-o", ".").exit_code == code
    assert os.path.samestat(os.stat("../here"), folder)
    assert everything_in(Path()) == []


def test_an_output_folder_that_cannot_be_written_is_found_before_a_model_is_loaded(stage):
    make_image(Path("a.png"))
    make_image(Path("b.png"))
    Path("notes").write_text("keep")
    for source, out, final in (("a.png", "notes/out", "notes/out"), ("[ab].png", "notes", "notes/a")):
        result = saymask("segment", source, "fish", "-o", out)
        reason = f"{Path(final).absolute()}: cannot be written (Not a directory); choose another folder with -o"
        assert (result.exit_code, result.stdout, result.stderr) == (1, "", f"saymask: error: {reason}\n")
    assert stage.calls == []
    assert everything_in(Path()) == ["a.png", "b.png", "notes"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_output_folder_without_permission_is_found_before_a_model_is_loaded(stage):
    make_image(Path("a.png"))
    Path("locked").mkdir(mode=0o500)
    result = saymask("segment", "a.png", "fish", "-o", "locked/out")
    reason = f"{Path('locked/out').absolute()}: cannot be written (Permission denied); choose another folder with -o"
    assert (result.exit_code, result.stderr, stage.calls) == (1, f"saymask: error: {reason}\n", [])


def test_a_disk_that_fails_for_one_source_does_not_stop_the_others(stage):
    def fail_first(video):
        if video.name == "a":
            raise OSError(5, "Input/output error", "a.png")

    stage.during_segment = fail_first
    make_image(Path("a.png"))
    make_image(Path("b.png"))
    result = saymask("segment", "[ab].png", "fish", "--format", "png", "-o", "out")
    reason = "a.png: stopped (a.png: Input/output error); check that it can be read and that the output folder can be written"
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (1, "wrote out/b/png")
    assert result.stderr.splitlines()[1:] == [
        f"saymask: error: {reason}",
        "saymask: error: 1 of 2 sources failed; the others are done",
    ]


def test_one_bad_source_of_several_is_reported_and_the_others_are_done(stage):
    Path("clips").mkdir()
    for name in ("a.mp4", "b.mp4"):
        make_image(Path("clips") / "picture.png").rename(Path("clips") / name)
    Path("clips/empty.mp4").write_bytes(b"")
    result = saymask("segment", "clips", "fish", "--format", "png", "-o", "out")
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "trained on drawn scenes",
        "saymask: error: clips/empty.mp4: the file is empty (0 bytes); download or export it again",
        "saymask: error: 1 of 3 sources failed; the others are done",
    ]
    assert [line for line in result.stdout.splitlines() if line.startswith("wrote")] == ["wrote out/a/png", "wrote out/b/png"]
    assert [call[1] for call in stage.calls if call[0] == "closed"] == ["a", "b"]
    assert stage.calls[0][0] == "load" and sum(call[0] == "load" for call in stage.calls) == 1


def test_a_source_that_cannot_be_written_does_not_stop_the_others(stage, monkeypatch):
    def refuse_first(prediction, directory):
        if prediction.video.name == "a":
            raise VideoError("a: too many objects for this format")
        (directory / "done").touch()
        return directory / "done"

    install(monkeypatch, "choosy_writer", write=refuse_first)
    monkeypatch.setitem(lookup.WRITERS, "choosy", "choosy_writer:write")
    make_image(Path("a.png"))
    make_image(Path("b.png"))
    result = saymask("segment", "[ab].png", "fish", "--format", "choosy", "-o", "out")
    assert (result.exit_code, everything_in(Path("out"))) == (1, ["b", "b/done", "index.json"])
    of_a, of_b = json.loads(Path("out/index.json").read_text())
    assert (of_a["source"], "too many objects" in of_a["error"], of_b) == ("a.png", True, {"source": "b.png", "folder": "out/b"})
    assert "saymask: error: a: too many objects for this format" in result.stderr.splitlines()


@pytest.mark.parametrize("when", ["segmenting", "writing"])
def test_ctrl_c_leaves_nothing_half_written(stage, monkeypatch, when):
    make_frames(Path("clip"))

    def stop(*_):
        raise KeyboardInterrupt

    if when == "segmenting":
        stage.during_segment = stop
    else:
        install(monkeypatch, "stopping_writer", write=stop)
        monkeypatch.setitem(lookup.WRITERS, "stopping", "stopping_writer:write")
    formats = "png" if when == "segmenting" else "png,stopping"
    result = saymask("segment", "clip", "fish", "--format", formats, "-o", "results/out")
    assert result.exit_code == 130
    assert result.stderr.splitlines()[-1] == "stopped; nothing half-written was left behind"
    assert [path for path in everything_in(Path()) if not path.startswith("clip")] == (["results"] if when == "writing" else [])
    assert stage.calls[-1] == ("closed", "clip")


# --- what goes wrong -------------------------------------------------------------------------------------------------------------

BAD_INPUT = {
    "empty query": (["segment", "clip", "fish", " "], 2, 'query 2 is empty; say what to look for, e.g. "the red fish"'),
    "expanded glob": (
        ["segment", "clip/00000.png", "clip/00001.png", "fish"],
        2,
        'query 1 is the file \'clip/00001.png\'; quote a glob: saymask segment "*.mp4" "the red fish"',
    ),
    "unknown format": (["segment", "clip", "fish", "--format", "png,overlap"], 2, "unknown format 'overlap'; did you mean 'overlay'?"),
    "no format": (
        ["segment", "clip", "fish", "--format", ","],
        2,
        "--format is empty; give names of `saymask list`, e.g. --format overlay,png",
    ),
    "unknown device": (["segment", "clip", "fish", "--device", "tpu"], 2, "device 'tpu' is not available; this machine has: cpu"),
    "unknown dtype": (["segment", "clip", "fish", "--dtype", "float63"], 2, "unknown dtype 'float63'; did you mean 'float32'?"),
    "misspelt source": (["segment", "clap", "fish"], 1, "clap: no such file or folder; did you mean 'clip'?"),
    "no match": (["segment", "*.mkv", "fish"], 1, "*.mkv: nothing matches; check the pattern"),
    "over a cap": (
        ["segment", "clip", "fish", "--max-frames", "3"],
        1,
        "clip: more than 3 frames; cut it into parts or raise the limit (--max-frames in the command line, ReadLimits in Python)",
    ),
    "empty source": (["segment", "", "fish"], 2, "SOURCE is empty; give a video, an image or a folder"),
    "empty model": (["segment", "clip", "fish", "-m", ""], 2, "-m is empty; give a name of `saymask list` or a folder"),
    "empty model to measure": (["eval", "toyworld", "-m", " "], 2, "-m is empty; give a name of `saymask list` or a folder"),
    "root of the disk": (
        ["segment", "clip", "fish", "-o", "/"],
        2,
        "-o /: the root of the disk cannot be an output folder; name a folder in it",
    ),
    "format in capitals": (["segment", "clip", "fish", "--format", "PNG"], 2, "unknown format 'PNG'; did you mean 'png'?"),
    "unknown recipe": (["train", "videolisa_ty"], 2, "unknown recipe 'videolisa_ty'; did you mean 'videolisa_toy'?"),
    "unknown override": (["train", "small", "stesp=3"], 2, "unknown key 'stesp'; did you mean 'steps'?"),
    "no override": (["train", "small", "steps"], 2, "override 'steps' is not of the form key=value"),
    "no device to train on": (["train", "small", "--device", "tpu"], 2, "device 'tpu' is not available; this machine has: cpu"),
    "nothing to resume": (["train", "small", "-o", "clip", "--resume"], 2, "clip: nothing to resume"),
    "unknown dataset": (["eval", "toywrld"], 2, "unknown dataset 'toywrld'; did you mean 'toyworld'?"),
}


@pytest.mark.parametrize(("args", "code", "message"), BAD_INPUT.values(), ids=BAD_INPUT)
def test_bad_input_gets_one_line_before_a_model_is_loaded(stage, monkeypatch, args, code, message):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setitem(lookup.RECIPES, "small", f"{__name__}:small_recipe")
    install(monkeypatch, __name__, small_recipe=SmallConfig)
    make_frames(Path("clip"))
    result = saymask(*args)
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.splitlines() == [f"saymask: error: {message}"]
    assert [call for call in stage.calls if call[0] != "load"] == []
    assert not Path("saymask-out").exists()


@pytest.mark.parametrize(
    ("args", "hint"),
    [
        (["segment", "clip"], "Missing argument 'QUERY'"),
        (["segment", "clip", "fish", "--max-frames", "0"], "--max-frames': Input should be greater than or equal to 1"),
        (["segmnt", "clip", "fish"], "Did you mean 'segment'"),
        (["eval", "toyworld", "--limit", "-3"], "--limit': Input should be greater than or equal to 1"),
        (["segment", "clip", "fish", "--fromat", "png"], "No such option: --fromat (Possible options: --format"),
    ],
)
def test_usage_errors_exit_2_and_say_what_is_expected(stage, args, hint):
    result = saymask(*args)
    assert result.exit_code == 2
    assert hint.lower() in " ".join(result.stderr.lower().split())
    assert stage.calls == []


def test_an_error_of_the_library_keeps_its_exit_code(stage):
    def fail(*_):
        raise CheckpointError("weights: missing lm_head.weight")

    make_frames(Path("clip"))
    stage.during_load = fail
    result = saymask("segment", "clip", "fish")
    assert (result.exit_code, result.stderr) == (1, "saymask: error: weights: missing lm_head.weight\n")


def test_a_single_source_that_fails_halfway_is_one_line(stage):
    def fail(video):
        raise VideoError(f"{video.name}: frame 3 is damaged; re-encode it")

    make_frames(Path("clip"))
    stage.during_segment = fail
    result = saymask("segment", "clip", "fish")
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (1, "saymask: error: clip: frame 3 is damaged; re-encode it")


def test_a_full_disk_is_one_line_and_leaves_nothing(stage, monkeypatch):
    def full(prediction, directory):
        raise OSError(28, "No space left on device")

    install(monkeypatch, "full_disk", write=full)
    monkeypatch.setitem(lookup.WRITERS, "full", "full_disk:write")
    make_frames(Path("clip"))
    result = saymask("segment", "clip", "fish", "--format", "full")
    folder = Path("saymask-out").absolute()
    reason = f"{folder}/clip: cannot be written (No space left on device); check the free space and permissions of {folder}"
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (1, f"saymask: error: {reason}")
    assert everything_in(folder) == []


def test_a_file_that_may_not_be_read_is_one_line(stage):
    def refuse():
        raise PermissionError(13, "Permission denied", "weights/model.safetensors")

    make_frames(Path("clip"))
    stage.during_load = refuse
    result = saymask("segment", "clip", "fish")
    assert (result.exit_code, result.stderr) == (1, "saymask: error: weights/model.safetensors: permission denied\n")


@pytest.mark.parametrize("name", ["torchvision", None])
def test_a_broken_library_is_one_line(stage, name):
    def fail():
        raise ModuleNotFoundError("Could not import module 'Phi3Model'", name=name)

    make_frames(Path("clip"))
    stage.during_load = fail
    result = saymask("segment", "clip", "fish")
    reason = "a library cannot be imported: Could not import module 'Phi3Model'; run `saymask doctor` to see what is broken"
    assert (result.exit_code, result.stderr) == (1, f"saymask: error: {reason}\n")


def test_a_module_of_our_own_that_is_missing_is_a_defect(stage):
    def fail():
        raise ModuleNotFoundError("No module named 'saymask.models.gone'", name="saymask.models.gone")

    make_frames(Path("clip"))
    stage.during_load = fail
    assert isinstance(saymask("segment", "clip", "fish").exception, ModuleNotFoundError)


def test_a_defect_is_not_dressed_up_as_a_users_mistake(stage):
    def fail(video):
        raise ZeroDivisionError

    make_frames(Path("clip"))
    stage.during_segment = fail
    assert isinstance(saymask("segment", "clip", "fish").exception, ZeroDivisionError)


def test_segment_tracks_with_the_tracker_that_is_named(stage):
    make_frames(Path("clip"))
    assert saymask("segment", "clip", "fish", "-t", "hold").exit_code == 0
    assert ("track", "hold", 0.5) in stage.calls
    saymask("segment", "clip", "fish", "-t", "hold", "--min-stability", "0.2")
    assert ("track", "hold", 0.2) in stage.calls
    saymask("eval", "toyworld", "-t", "hold")
    assert stage.calls[-1][4:-1] == ("toy", "forced", "hold")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-t", "helt"], "unknown tracker 'helt'; did you mean 'hold'?"),
        (["--tracker-weights", "clip"], "--tracker-weights clip without a tracker; add e.g. -t xmem++"),
        (["-t", "hold", "--tracker-weights", "clip"], "tracker 'hold' has no weights; leave out 'clip'"),
    ],
)
@pytest.mark.parametrize("command", [["segment", "clip", "fish"], ["eval", "toyworld"]], ids=["segment", "eval"])
def test_a_tracker_that_cannot_be_had_is_said_before_a_model_is_loaded(stage, command, options, message):
    make_frames(Path("clip"))
    result = saymask(*command, *options)
    assert (result.exit_code, result.stderr) == (2, f"saymask: error: {message}\n")
    assert stage.calls == []


# --- the other commands ----------------------------------------------------------------------------------------------------------


def test_help_lists_the_commands_and_version_is_the_packages():
    result = saymask("--help")
    assert result.exit_code == 0
    for command in ("segment", "demo", "list", "doctor", "train", "eval"):
        assert f" {command} " in result.stdout
    assert saymask("--version").stdout == "saymask 0.1.0\n"


@pytest.mark.parametrize(
    ("option", "hint"),
    [
        (["--template", "wild"], "template = 'wild': value error, unknown template; known: auto, raw, videolisa-chat"),
        (["--set", "temlate=raw"], "unknown key 'temlate'; did you mean 'template'?"),
        (["--set", "template"], "override 'template' is not of the form key=value"),
    ],
)
def test_an_option_that_the_model_does_not_know(stage, option, hint):
    make_frames(Path("clip"))
    result = saymask("segment", "clip", "fish", *option)
    assert (result.exit_code, [call[0] for call in stage.calls]) == (2, ["load"])
    assert hint in result.stderr


def test_list_shows_every_name_with_a_description_that_fits_the_terminal(monkeypatch):
    monkeypatch.setitem(lookup.TABLES, "later", {"still": "saymask.lookup:resolve"})
    lines = saymask("list").stdout.splitlines()
    assert [line for line in lines if not line.startswith(" ")] == [
        "models",
        "trackers",
        "prompters",
        "datasets",
        "recipes",
        "formats",
        "laters",
    ]
    shown = {line.split()[0]: line.split(maxsplit=1)[1] for line in lines if line.startswith("  ")}
    assert set(shown) == {name for kind in lookup.kinds() for name in lookup.table(kind)}
    assert [name for name in lookup.WRITERS if len(shown[name]) > 100] == []
    assert shown["toy"] == "The model in this package, trained by this repository on drawn scenes."


def test_doctor_finds_a_healthy_installation(stage):
    result = saymask("doctor")
    lines = result.stdout.splitlines()
    assert result.exit_code == 0, result.stdout
    assert lines[0] == "ok   saymask        0.1.0"
    assert lines[-2] == "ok   model toy      loads; sha256 9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c"
    assert lines[-1] == "everything works"


def test_doctor_says_what_runs_here_and_how_fast(stage, monkeypatch):
    def lines() -> dict[str, str]:
        return {line.split()[1]: line.split(maxsplit=2)[2] for line in saymask("doctor").stdout.splitlines() if line.startswith("ok")}

    large = lines()
    gflops, unit = large["speed"].split()[:2]
    assert unit == "GFLOP/s" and float(gflops) > 0 and "1024 x 1024" in large["speed"]
    assert large["memory"] == f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB"
    assert large["grounded"].startswith("211 M parameters, 0.8 GiB in float32") and large["sam3"].startswith("860 M parameters, 3.2 GiB")
    monkeypatch.setattr("saymask.cli.inspect._main_memory", lambda: 2 * 2**30)
    small = lines()
    assert small["memory"] == "2.0 GiB" and "more than there is" in small["sam3"] and "more" not in small["grounded"]


def test_doctor_says_in_one_sentence_that_torchvision_is_broken(stage, monkeypatch, tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "torchvision.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    result = saymask("doctor")
    assert result.exit_code == 1
    assert "BAD  torchvision    installed but broken (operator torchvision::nms does not exist)" in result.stdout
    assert "run `pip uninstall torchvision` (saymask does not need it)" in result.stdout
    assert result.stdout.splitlines()[-1] == "1 problem found"


def test_doctor_outlives_what_keeps_models_from_loading(stage):
    def fail():
        raise ModuleNotFoundError("Could not import module 'Phi3Model'", name="transformers")

    stage.during_load = fail
    result = saymask("doctor")
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (1, "1 problem found")
    assert "BAD  model toy      cannot be loaded (Could not import module 'Phi3Model')" in result.stdout


def test_doctor_looks_at_the_models_that_are_in_the_package_and_misses_them_if_there_are_none(stage, monkeypatch, tmp_path):
    monkeypatch.setitem(lookup.families()["videolisa"].models, "large", "elsewhere:load_large")
    lines = saymask("doctor").stdout.splitlines()
    assert [line.split()[2] for line in lines if line.startswith("ok   model ") and "loads" in line] == ["toy"]
    (tmp_path / "weights").rename(tmp_path / "gone")
    result = saymask("doctor")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-3:] == [
        "BAD  models         no weights in the package",
        "                    the installation is damaged: run `pip install --force-reinstall saymask`",
        "1 problem found",
    ]


def test_doctor_counts_full_disks_and_damaged_weights(stage, monkeypatch):
    def fail():
        raise CheckpointError("weights/toy: no model.safetensors")

    stage.during_load = fail
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=3 * 2**20))
    result = saymask("doctor")
    assert result.exit_code == 1
    assert "BAD  model toy      weights/toy: no model.safetensors" in result.stdout
    assert ": 0.0 GiB free" in result.stdout
    assert result.stdout.splitlines()[-1] == "2 problems found"


class SmallConfig(Config):
    steps: int = 100


@pytest.fixture
def small_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "small_recipes", small=SmallConfig)
    monkeypatch.setitem(lookup.RECIPES, "small", "small_recipes:small")


def test_train_runs_the_recipe_with_its_overrides_in_a_folder_of_its_own(stage, small_recipe):
    result = saymask("train", "small", "steps=7", "--device", "cpu")
    folder = Path("runs/small").absolute()
    assert stage.calls == [("train", SmallConfig(steps=7), folder, False, "cpu")]
    assert result.stdout == "wrote runs/small/model\n"
    folder.mkdir(parents=True)
    (folder / "train.json").write_text("{}")
    assert saymask("train", "small", "--device", "cpu").stdout == "wrote runs/small-2/model\n"


def test_train_resumes_in_the_very_folder(stage, small_recipe):
    Path("run").mkdir()
    Path("run/train.json").write_text("{}")
    saymask("train", "small", "-o", "run", "--resume", "--device", "cpu")
    assert stage.calls == [("train", SmallConfig(), Path("run"), True, "cpu")]


def test_only_the_first_of_several_processes_talks_and_chooses_the_folder(stage, small_recipe, monkeypatch):
    Path("runs/small").mkdir(parents=True)
    Path("runs/small/train.json").write_text("{}")
    monkeypatch.setenv("RANK", "1")
    result = saymask("train", "small", "--device", "cpu")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    assert stage.calls == [("train", SmallConfig(), Path("runs/small"), False, "cpu")]


def test_a_stopped_training_says_how_to_go_on(stage, small_recipe):
    def stop():
        raise KeyboardInterrupt

    stage.during_train = stop
    result = saymask("train", "small", "--device", "cpu")
    assert result.exit_code == 130
    assert "go on with the same command and -o runs/small --resume" in result.stderr.splitlines()


def test_eval_hands_over_what_was_asked_and_prints_the_table(stage):
    result = saymask("eval", "toyworld", "-m", "toy", "--split", "test", "--limit", 5, "-o", "scores", "--device", "cpu")
    assert stage.calls == [
        ("load", "toy", "cpu", None),
        ("eval", "toyworld", "test", 5, "toy", "forced", None, Path("scores").absolute()),
    ]
    assert result.stdout.splitlines() == ["model 71.5", "wrote scores/results.json"]


def test_demo_writes_a_real_tagged_video_and_asks_three_questions_about_it(stage, monkeypatch):
    from saymask.video.reader import open_source

    frames_THWC = np.random.default_rng(0).integers(0, 255, (6, 32, 32, 3), np.uint8)
    scene = SimpleNamespace(video=Video.from_frames(frames_THWC, "scene", comment="saymask-toyworld"))
    install(monkeypatch, "saymask.toyworld.dataset", load_toyworld=lambda root, split: [scene] * 400)
    result = saymask("demo", "-o", "shown")
    assert result.exit_code == 0, result.output
    (asked,) = [call for call in stage.calls if call[0] == "segment"]
    assert len(set(asked[2])) == 3
    assert result.stderr == ""
    assert result.stdout.splitlines()[0] == "drew a video of 6 frames and asked model 'toy' 3 questions about it"
    wrote = [line.split()[1] for line in result.stdout.splitlines() if line.startswith("wrote")]
    assert wrote == ["shown/video.mp4", "shown/overlay.mp4", "shown/sheet.png", "shown/png"]
    clip = open_source("shown/video.mp4")
    assert (clip.num_frames, clip.height, clip.width, clip.tags["comment"]) == (6, 32, 32, "saymask-toyworld")


@pytest.mark.parametrize(
    ("number", "shown"),
    [(4, ["0", "1", "2", "3"]), (5, ["0", "1", "2", "and 1 more of these (all are in the format json)", "4"]), (0, [])],
)
def test_of_many_remarks_about_tracking_the_first_and_the_last_are_said(capsys, number, shown):
    found = half_found(Video.from_frames(np.zeros((2, 4, 4, 3), np.uint8), "clip"), ["a fish"])
    (result,) = found.results
    report(replace(found, results=(replace(result, notes={"tracking": [str(each) for each in range(number)]}),)), [])
    assert [line.strip() for line in capsys.readouterr().out.splitlines()[1:]] == shown
