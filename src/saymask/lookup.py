"""Every name a user can type, in plain tables `name -> "module:attribute"`.

Nothing is imported until `resolve` is called, so `saymask list` and `saymask --help` stay fast. To add a family, dataset, recipe or
format: write one file or function, then one line here; `tests/contracts/` covers it from then on.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from saymask.errors import UnknownName

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
    "visa_toy_more": "saymask.recipes.visa:visa_toy_more",
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
    "overlay": "saymask.exports.writer:write_overlay",
    "png": "saymask.exports.writer:write_png",
    "davis": "saymask.exports.writer:write_davis",
    "coco": "saymask.exports.annotations:write_coco",
    "ytvis": "saymask.exports.annotations:write_ytvis",
    "npz": "saymask.exports.annotations:write_npz",
    "sheet": "saymask.exports.contact_sheet:write_sheet",
    "json": "saymask.exports.prediction_json:write_json",
}
READERS: dict[str, str] = {
    "json": "saymask.exports.prediction_json:read_json",
}
"""Suffix of a file -> what makes a `Prediction` of it again."""
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
    return {"task": TASKS, "prediction file": READERS, "attachment": ATTACHMENTS}.get(kind) or TABLES[kind]


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
        raise UnknownName(f"unknown {kind} {name!r}; {suggest(name, names)}")
    return _attribute(names[name])


def _attribute(target: str) -> Any:
    module, attribute = target.split(":")
    return getattr(import_module(module), attribute)
