"""Every name a user can type, in plain tables `name -> "module:attribute"`.

Nothing is imported until `resolve` is called, so `saymask list` and `saymask --help` stay fast. To add a family, dataset, recipe or
format: write one file or function, then one line here; `tests/contracts/` covers it from then on.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib import import_module
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

from saymask.errors import ConfigError, UnknownName
from saymask.startup.collector import collector_paused

FAMILIES: dict[str, str] = {
    "videolisa": "saymask.models.videolisa:FAMILY",
    "villa": "saymask.models.villa:FAMILY",
    "grounded": "saymask.models.grounded:FAMILY",
    "sam3": "saymask.models.sam3:FAMILY",
    "agent": "saymask.models.agent:FAMILY",
    "visa": "saymask.models.visa:FAMILY",
}
"""Method families: a folder in `models/` whose `__init__` holds the descriptor, a `Family`. The names of models are in there."""
TRACKERS: dict[str, str] = {
    "xmem": "saymask.trackers.xmem.tracker:load_xmem_tracker",
    "xmem++": "saymask.trackers.xmem.tracker:load_xmem_plus_plus",
    "sam2": "saymask.trackers.sam2.tracker:load_sam2",
    "hold": "saymask.trackers.hold:load_hold",
}
PROMPTERS: dict[str, str] = {
    "sam2": "saymask.models.prompters.loading:load_sam2_prompter",
    "toy-prompter": "saymask.models.prompters.loading:load_toy_prompter",
}
"""What turns clicks and boxes on a frame into a mask."""
DATASETS: dict[str, str] = {
    "toyworld": "saymask.toyworld.dataset:load_toyworld",
    "toyworld-multi": "saymask.toyworld.dataset:load_toyworld_multi",
    "folder": "saymask.datasets.own.folder:load_folder_dataset",
    "reasonvos": "saymask.datasets.public.reason_vos:load_reasonvos",
    "mevis": "saymask.datasets.public.ref_video:load_mevis",
    "mevis-v2": "saymask.datasets.public.ref_video:load_mevis_v2",
    "revos": "saymask.datasets.public.ref_video:load_revos",
    "ref-davis17": "saymask.datasets.public.ref_youtube:load_ref_davis17",
    "ref-youtube-vos": "saymask.datasets.public.ref_youtube:load_ref_youtube_vos",
    "video-reason-seg": "saymask.datasets.public.video_reason_seg:load_video_reason_seg",
    "reasonseg": "saymask.datasets.public.reason_seg:load_reasonseg",
    "refcoco": "saymask.datasets.public.refcoco:load_refcoco",
    "refcoco+": "saymask.datasets.public.refcoco:load_refcoco_plus",
    "refcocog": "saymask.datasets.public.refcoco:load_refcocog",
    "refclef": "saymask.datasets.public.refcoco:load_refclef",
    "lv-vis": "saymask.datasets.public.vos:load_lv_vis",
    "youtube-vos": "saymask.datasets.public.vos:load_youtube_vos",
    "ade20k": "saymask.datasets.public.sem_seg:load_ade20k",
    "coco-stuff": "saymask.datasets.public.sem_seg:load_coco_stuff",
    "paco-lvis": "saymask.datasets.public.part_seg:load_paco_lvis",
    "pascal-part": "saymask.datasets.public.part_seg:load_pascal_part",
    "llava-vqa": "saymask.datasets.public.vqa:load_llava_vqa",
}
RECIPES: dict[str, str] = {
    "videolisa_toy": "saymask.recipes.videolisa:videolisa_toy",
    "videolisa_toy_more": "saymask.recipes.videolisa:videolisa_toy_more",
    "videolisa_phi3": "saymask.recipes.videolisa_tuning:videolisa_phi3",
    "finetune": "saymask.recipes.videolisa_tuning:finetune",
    "videolisa_toy_ablation": "saymask.recipes.videolisa:videolisa_toy_ablation",
    "visa_7b": "saymask.recipes.visa:visa_7b",
    "visa_toy": "saymask.recipes.visa:visa_toy",
    "visa_toy_comparison": "saymask.recipes.visa:visa_toy_comparison",
    "villa": "saymask.recipes.villa:villa",
    "villa_toy": "saymask.recipes.villa:villa_toy",
    "villa_toy_more": "saymask.recipes.villa:villa_toy_more",
    "villa_toy_plain": "saymask.recipes.villa:villa_toy_plain",
    "videolisa_toy_multi": "saymask.recipes.villa:videolisa_toy_multi",
    "xmem_toy": "saymask.recipes.xmem:xmem_toy",
    "toy_prompter": "saymask.recipes.prompter:toy_prompter",
}
TASKS: dict[str, str] = {
    "questions": "saymask.training.tasks.questions:build",
    "tuning": "saymask.training.tasks.tuning:build",
    "xmem_toy": "saymask.training.tasks.xmem_toy:build",
    "toy_prompter": "saymask.training.tasks.toy_prompter:build",
}
"""What a recipe's `kind` stands for; nobody types these."""
WRITERS: dict[str, str] = {
    "overlay": "saymask.exports.overlay:write_overlay",
    "png": "saymask.exports.writer:write_png",
    "davis": "saymask.exports.writer:write_davis",
    "coco": "saymask.exports.annotations:write_coco",
    "ytvis": "saymask.exports.annotations:write_ytvis",
    "npz": "saymask.exports.annotations:write_npz",
    "sheet": "saymask.exports.contact_sheet:write_sheet",
    "json": "saymask.exports.prediction_json:write_json",
    "cvat": "saymask.exports.tools.cvat:write_cvat",
    "labelstudio": "saymask.exports.tools.labelstudio:write_labelstudio",
    "yolo-seg": "saymask.exports.tools.yolo_seg:write_yolo_seg",
    "labelme": "saymask.exports.tools.labelme:write_labelme",
    "boxes": "saymask.exports.tools.boxes:write_boxes",
    "alpha": "saymask.exports.layers:write_alpha",
    "alpha-webm": "saymask.exports.layers:write_alpha_webm",
    "matte": "saymask.exports.layers:write_matte",
    "cutout": "saymask.exports.layers:write_cutout",
    "cutout-rest": "saymask.exports.layers:write_cutout_rest",
    "blur": "saymask.exports.layers:write_blur",
    "blur-rest": "saymask.exports.layers:write_blur_rest",
}
"""What writes a prediction in a format; keyword arguments beyond the prediction and the folder are the format's settings."""
FRAME_WRITERS: dict[str, str] = {
    "overlay": "saymask.exports.overlay:overlay_frames",
    "png": "saymask.exports.writer:png_frames",
    "davis": "saymask.exports.writer:davis_frames",
    "alpha": "saymask.exports.layers:alpha_frames",
    "alpha-webm": "saymask.exports.layers:alpha_webm_frames",
    "matte": "saymask.exports.layers:matte_frames",
    "cutout": "saymask.exports.layers:cutout_frames",
    "cutout-rest": "saymask.exports.layers:cutout_rest_frames",
    "blur": "saymask.exports.layers:blur_frames",
    "blur-rest": "saymask.exports.layers:blur_rest_frames",
}
"""What writes a format frame by frame, while the masks are found; the others need the whole prediction."""
READERS: dict[str, str] = {
    "json": "saymask.exports.prediction_json:read_json",
}
"""Suffix of a file -> what makes a `Prediction` of it again."""
INTEGRATIONS: dict[str, str] = {
    "supervision": "saymask.integrations.supervision:to_detections",
    "fiftyone": "saymask.integrations.fiftyone:to_sample",
}
"""What turns a prediction into another library's objects."""
ATTACHMENTS: dict[str, str] = {"files": "saymask.exports.attachments:write_attachments"}
"""What writes the files that a model wants beside a result; nobody types this."""
TABLES: dict[str, dict[str, str]] = {
    "tracker": TRACKERS,
    "prompter": PROMPTERS,
    "dataset": DATASETS,
    "recipe": RECIPES,
    "format": WRITERS,
}


def families() -> dict[str, Any]:
    """Every family's descriptor by name; reading them loads neither torch nor transformers."""
    return {name: _attribute(target) for name, target in FAMILIES.items()}


def family_named(name: str) -> Any:
    """The descriptor of a family.

    Raises:
        UnknownName: there is none of that name.
    """
    if name not in FAMILIES:
        raise UnknownName(f"unknown family {name!r}; {suggest(name, FAMILIES)}")
    return families()[name]


def table(kind: str) -> dict[str, str]:
    """All names of a kind ("model", "tracker", "prompter", "dataset", "recipe", "format") -> "module:attribute"."""
    if kind == "model":
        return {name: target for family in families().values() for name, target in family.models.items()}
    others = {
        "frame writer": FRAME_WRITERS,
        "task": TASKS,
        "prediction file": READERS,
        "attachment": ATTACHMENTS,
        "integration": INTEGRATIONS,
    }
    return others.get(kind) or TABLES[kind]


def kinds() -> tuple[str, ...]:
    """What can be named."""
    return ("model", *TABLES)


def suggest(name: str, known: Mapping[str, Any] | list[str]) -> str:
    """Return the tail of an error message: the closest known name, upper and lower case being the same, or all of them."""
    spelled = {known_name.lower(): known_name for known_name in known}
    close = difflib.get_close_matches(name.lower(), list(spelled), n=1, cutoff=0.5)
    return f"did you mean {spelled[close[0]]!r}?" if close else f"known: {', '.join(sorted(known))}"


def resolve(name: str, kind: str) -> Any:
    """Import and return what `name` stands for in the table of `kind` ("model", "dataset", ...).

    Raises:
        UnknownName: the table has no such name; the message says which one was probably meant.
    """
    names = table(kind)
    if name not in names:
        own = f"your own data are the dataset 'folder', and this is its root: folder {name}"
        raise UnknownName(f"unknown {kind} {name!r}; {own if kind == 'dataset' and Path(name).is_dir() else suggest(name, names)}")
    return _attribute(names[name])


def resolve_writers(format_names: Iterable[str]) -> list[Callable[..., Path]]:
    """The writers of several formats that are to be written into one folder.

    Raises:
        UnknownName, ConfigError: as for `resolve_writer`, or one format with different settings, of which each would be the same files.
    """
    writers = {name: resolve_writer(name) for name in format_names}
    spelled: dict[str, str] = {}
    for name in writers:
        if (other := spelled.setdefault(name.partition(":")[0], name)) != name:
            raise ConfigError(f"formats {other!r} and {name!r} are written to the same place; leave one of them out")
    return list(writers.values())


def resolve_writer(format_name: str) -> Callable[..., Path]:
    """The writer of a format, with its settings: "png", or "labelme:tolerance=1", several with : between them.

    Raises:
        UnknownName: no such format.
        ConfigError: a setting that the format does not have, or that is no number.
    """
    name, *settings = format_name.split(":")
    writer = resolve(name, "format")
    known = [key for key, parameter in signature(writer).parameters.items() if parameter.kind is Parameter.KEYWORD_ONLY]
    values: dict[str, float] = {}
    for setting in settings:
        key, _, text = setting.partition("=")
        if key not in known:
            hint = suggest(key, known) if known else "it has none"
            raise ConfigError(f"format {format_name!r}: no setting {key!r}; {hint}")
        try:
            values[key] = float(text)
        except ValueError:
            values[key] = -1.0
        if not 0 <= values[key] < float("inf"):
            raise ConfigError(f"format {format_name!r}: {key} is {text!r}, expected a number, 0 or more; write e.g. {name}:{key}=1")
    return partial(writer, **values)


def _attribute(target: str) -> Any:
    module, attribute = target.split(":")
    with collector_paused():
        return getattr(import_module(module), attribute)
