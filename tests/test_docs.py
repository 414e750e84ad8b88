"""The documentation keeps its word: every block of Python and shell is parsed, and what is cheap runs, in the order of its page."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from command_lines import check_calls, check_command
from dataset_trees import TREES
from doc_pages import blocks, commands, commands_in_sentences, pages
from typer.main import get_command
from typer.testing import CliRunner

from saymask.cli.demo import SCENE, SPLIT, write_clip
from saymask.cli.main import app
from saymask.lookup import families, kinds, table
from saymask.models.checkpoints import bundled_folder
from saymask.records import Video
from saymask.toyworld.dataset import load_toyworld

ROOT = Path(__file__).parents[1]
PAGES = pages(ROOT)
LANGUAGES = {"python", "sh", "text", "json", "yaml", "csv"}

PARSED_ONLY = {
    r"make ": "sets up an environment of its own",
    r"torchrun ": "needs several processes or machines",
    r"(pip|hf) ": "downloads",
    r"python bench/": "measures for minutes",
    r"python examples/": "needs what it shows, and runs until it is stopped",
    r"saymask bench": "measures in processes of its own",
    r"saymask batch ": "starts processes of its own",
    r"saymask train (videolisa|villa|visa|xmem)_": "trains for half an hour to days",
    r"saymask segment (https|rtsp|0)\b": "needs a network or a camera",
    r"saymask train finetune .*base=videolisa-3.8b": "needs the released model, 12 GB",
    r"saymask convert (CHATUNIVI|LLAVA|SRC)": "needs published weights",
    r"saymask data check (mevis|revos|reasonvos)": "finds fewer videos than published: the folder is a miniature",
    r"saymask serve": "runs until it is stopped",
    r"curl ": "needs the server",
    r"saymask fetch ": "downloads",
    r"saymask segment .* -m '?(agent|grounded|sam3)": "needs published weights or a server",
    r"saymask submission": "needs predictions of a whole split",
    r"saymask multiple-choice": "needs a dataset with options",
    r"saymask eval revos": "needs a copy of the dataset",
    r"saymask calibrate": "needs results of a validation split",
    r".*quantization_config": "needs a CUDA device",
}
"""Start of a command, or a pattern in a block of Python -> why it does not run here; the rest of a page runs."""

PARSED_ONLY_PAGES = {"src/saymask/weights/": "the commands behind the figures of a card take minutes to hours"}

STANDS_FOR = {
    "VIDEO": "clip.mp4",
    "DIR": "own",
    "MODEL": "toy",
    "DATASET": "toyworld",
    "videolisa-3.8b": "toy",
    '"cuda"': '"cpu"',
    "/data/MeViS": "releases/mevis",
    "/data/ReasonVOS": "releases/reasonvos/ReasonVOS",
}
"""What a page says -> the small thing that takes its place here."""

SHORTER = {
    r"saymask eval ": "--limit 1",
    r"saymask train finetune --resume ": "steps=2 batch_size=1",
    r"saymask train finetune ": "steps=1 batch_size=1",
}
"""Start of a command -> what is added to it, so that it ends soon."""

TAKES_DTYPE = r"saymask (segment|eval) "
"""Start of the commands that get `--dtype float32`: the bundled weights are bf16, which is slow on processors without its instructions."""


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    """Six frames of the demo's video."""
    drawn = load_toyworld(None, SPLIT)[SCENE].video
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    write_clip(Video.from_frames(drawn.frames(range(6)), fps=12, **drawn.tags), path)
    return path


@pytest.fixture(scope="module")
def prepared(clip, tmp_path_factory) -> tuple[Path, dict[str, Path]]:
    """A folder with what the pages take for granted, and the roots of the datasets in it by the variables that name them.

    It holds videos, own data with masks and without, datasets, folders of weights.
    """
    path, roots = tmp_path_factory.mktemp("prepared"), {}
    for copy in ("clip.mp4", "clips/first.mp4", "clips/second.mp4", "data/videos/aquarium.mp4", "data/videos/street.mp4"):
        (path / copy).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(clip, path / copy)
    rows = ["video,objects,sentence,split", "aquarium,the-yellow-fish,the yellow fish,train", "street,the-yellow-fish,the fish,val"]
    (path / "data" / "sentences.csv").write_text("\n".join(rows))
    TREES["folder"].build(path / "own")
    for name, tree in TREES.items():
        (path / "releases" / name).mkdir(parents=True)
        variable = f"SAYMASK_{name.upper().replace('-', '_').replace('+', '_PLUS')}"
        roots[variable] = tree.build(path / "releases" / name).relative_to(path)
    for weights in ("runs/toy/best", "weights/ours"):
        shutil.copytree(bundled_folder("toy"), path / weights)
    for named in ("out", "CLIP", "SAM"):
        (path / named).mkdir()
    return path, roots


@pytest.fixture
def only_read(prepared, monkeypatch) -> None:
    """The test works in a folder of all that read it."""
    monkeypatch.chdir(prepared[0])


@pytest.fixture
def folder(prepared, tmp_path, monkeypatch) -> Path:
    """A working folder of the test's own."""
    path, roots = prepared
    shutil.copytree(path, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    for variable, root in roots.items():
        monkeypatch.setenv(variable, str(tmp_path / root))
    return tmp_path


def reason_not_to_run(text: str) -> str | None:
    return next((reason for start, reason in PARSED_ONLY.items() if re.match(start, text, re.DOTALL)), None)


def with_stand_ins(text: str) -> str:
    words = "|".join(map(re.escape, STANDS_FOR))
    return re.sub(rf"(?<![\w/])({words})(?![\w/])", lambda found: STANDS_FOR[found[1]], text)


def shortened(command: str) -> list[str]:
    """The words of a command, with what makes it end soon."""
    words = shlex.split(with_stand_ins(command), comments=True)
    words += next((added.split() for start, added in SHORTER.items() if re.match(start, command)), [])
    if re.match(TAKES_DTYPE, command) and "--dtype" not in words:
        words += ["--dtype", "float32"]
    return words


@pytest.mark.parametrize("page", PAGES)
def test_every_block_says_its_language(page):
    assert [(block.line, block.language) for block in blocks(PAGES[page]) if block.language not in LANGUAGES] == []


@pytest.mark.parametrize("page", [name for name, text in PAGES.items() if {"python", "sh"} & {block.language for block in blocks(text)}])
def test_what_a_page_says_works(page, folder):
    only_parsed = page.startswith(tuple(PARSED_ONLY_PAGES))
    names = {}
    for block in blocks(PAGES[page]):
        where = f"{page}:{block.line}"
        if block.language == "python":
            if only_parsed or reason_not_to_run(block.text):
                check_calls(block.text)
            else:
                exec(compile(with_stand_ins(block.text), where, "exec"), names)
        for command in commands(block) if block.language == "sh" else ():
            check_command(with_stand_ins(command))
            if only_parsed or reason_not_to_run(command):
                continue
            result = CliRunner().invoke(app, shortened(command)[1:])
            assert result.exit_code == 0, f"{where}: {command}\n{result.output}"


@pytest.mark.parametrize("page", PAGES)
def test_commands_in_sentences_exist(page, only_read):
    for command in commands_in_sentences(PAGES[page]):
        check_command(with_stand_ins(command), complete=False)


def test_nothing_is_excused_that_no_page_says():
    texts = [text for page in PAGES.values() for block in blocks(page) for text in (commands(block) or [block.text])]
    texts += [block.text for page in PAGES.values() for block in blocks(page) if block.language == "python"]
    assert [start for start in PARSED_ONLY if not any(re.match(start, text, re.DOTALL) for text in texts)] == []
    assert [word for word in STANDS_FOR if not any(word in page for page in PAGES.values())] == []


@pytest.mark.parametrize(
    "command, fact",
    [
        ('saymask segment clip.mp4 "the fish" --formt png', "--formt"),
        ('saymask segment clip.mp4 "the fish" --format pgn', "pgn"),
        ('saymask segment clip.mp4 "the fish" -t xmen', "xmen"),
        ("saymask segment clip.mp4", "queries"),
        ("saymask evaluate toyworld", "evaluate"),
        ("saymask eval toywrold", "toywrold"),
        ("saymask data chek folder own", "chek"),
        ("saymask train finetune optim.Ir=1", "optim.Ir"),
        ("torchrun --nproc-per-node 8 -m saymask train videolisa_toi", "videolisa_toi"),
        ("python bench/memory.py --framse 1 2", "exit code 2"),
        ("python bench/memry.py", "memry.py"),
        ("make tset", "tset"),
        ("pytest tests/training/test_a_word.py", "test_a_word.py"),
        ("curl http://127.0.0.1:8000/v1/vidoes/ID", "/v1/vidoes/ID"),
        ("curl http://127.0.0.1:8000/v1/sessions/ID/queries", "get /v1/sessions/ID/queries"),
        ("""curl --json '{"qeury": "the fish"}' http://127.0.0.1:8000/v1/sessions/ID/queries""", "qeury"),
        ("curl -X PATCH --data-binary @clip.mp4 http://127.0.0.1:8000/v1/uploads/ID", "upload-offset"),
    ],
)
def test_a_mistyped_command_is_seen(command, fact, only_read):
    with pytest.raises(Exception, match=re.escape(fact)):
        check_command(command)


@pytest.mark.parametrize("source", ["import saymask\nsaymask.load_model('toy', devise='cpu')", "from saymask import Runtime"])
def test_a_call_that_does_not_fit_is_seen(source):
    with pytest.raises((TypeError, ImportError)):
        check_calls(source)


def test_the_readme_shows_every_command():
    typed = [command.split() for block in blocks(PAGES["README.md"]) for command in commands(block)]
    assert {words[1] for words in typed if words[0] == "saymask"} == set(get_command(app).commands)


@pytest.mark.parametrize(
    "page, names",
    [
        ("docs/models.md", [*table("model"), *(name for family in families().values() for name in family.templates)]),
        ("docs/models.md", [option for family in families().values() for option in family.load("options").model_fields]),
        ("docs/trackers.md", list(table("tracker"))),
        ("docs/formats.md", list(table("format"))),
        ("docs/datasets.md", [name for name in table("dataset") if name != "toyworld"]),
    ],
    ids=["models and templates", "options", "trackers", "formats", "datasets"],
)
def test_what_can_be_named_is_explained(page, names):
    assert [name for name in names if f"`{name}`" not in PAGES[page]] == []


def test_help_and_list_point_to_pages_that_exist():
    texts = [CliRunner().invoke(app, [*words, "--help"]).output for words in ([name] for name in get_command(app).commands)]
    listed = CliRunner().invoke(app, ["list"]).output
    named = {name for text in (*texts, listed) for name in re.findall(r"docs/[\w-]+\.md", text)}
    assert named and named <= set(PAGES)
    assert [line for line in listed.splitlines() if not line.startswith(" ")] == [f"{kind}s" for kind in kinds()]
    about = get_command(app).commands["list"].callback.__doc__
    assert [kind for kind in kinds() if f"{kind}s" not in about] == []
