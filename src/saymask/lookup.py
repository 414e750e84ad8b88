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

MODELS: dict[str, str] = {
    "toy": "saymask.models.checkpoints:load_bundled_toy",
    "videolisa-3.8b": "saymask.models.release_download:load_videolisa_3_8b",
}
TRACKERS: dict[str, str] = {
    "xmem": "saymask.trackers.xmem:load_xmem_tracker",
    "xmem++": "saymask.trackers.xmem:load_xmem_plus_plus",
    "sam2": "saymask.trackers.sam2:load_sam2",
    "hold": "saymask.trackers.hold:load_hold",
}
DATASETS: dict[str, str] = {
    "toyworld": "saymask.data.toyworld:load_toyworld",
    "folder": "saymask.data.folder:load_folder_dataset",
    "reasonvos": "saymask.data.reason_vos:load_reasonvos",
    "mevis": "saymask.data.ref_video:load_mevis",
    "mevis-v2": "saymask.data.ref_video:load_mevis_v2",
    "revos": "saymask.data.ref_video:load_revos",
    "ref-davis17": "saymask.data.ref_youtube:load_ref_davis17",
    "ref-youtube-vos": "saymask.data.ref_youtube:load_ref_youtube_vos",
    "reasonseg": "saymask.data.reason_seg:load_reasonseg",
    "refcoco": "saymask.data.refcoco:load_refcoco",
    "refcoco+": "saymask.data.refcoco:load_refcoco_plus",
    "refcocog": "saymask.data.refcoco:load_refcocog",
    "refclef": "saymask.data.refcoco:load_refclef",
    "lv-vis": "saymask.data.vos:load_lv_vis",
    "youtube-vos": "saymask.data.vos:load_youtube_vos",
    "ade20k": "saymask.data.sem_seg:load_ade20k",
    "coco-stuff": "saymask.data.sem_seg:load_coco_stuff",
    "paco-lvis": "saymask.data.part_seg:load_paco_lvis",
    "pascal-part": "saymask.data.part_seg:load_pascal_part",
    "llava-vqa": "saymask.data.vqa:load_llava_vqa",
}
RECIPES: dict[str, str] = {
    "videolisa_toy": "saymask.recipes.videolisa:videolisa_toy",
    "videolisa_toy_more": "saymask.recipes.videolisa:videolisa_toy_more",
    "videolisa_phi3": "saymask.recipes.videolisa_tuning:videolisa_phi3",
    "finetune": "saymask.recipes.videolisa_tuning:finetune",
    "videolisa_toy_ablation": "saymask.recipes.videolisa:videolisa_toy_ablation",
    "xmem_toy": "saymask.recipes.xmem:xmem_toy",
}
WRITERS: dict[str, str] = {
    "overlay": "saymask.video.writer:write_overlay",
    "png": "saymask.video.writer:write_png",
    "davis": "saymask.video.writer:write_davis",
    "coco": "saymask.video.annotations:write_coco",
    "ytvis": "saymask.video.annotations:write_ytvis",
    "npz": "saymask.video.annotations:write_npz",
    "sheet": "saymask.video.writer:write_sheet",
}
TABLES: dict[str, dict[str, str]] = {
    "model": MODELS,
    "tracker": TRACKERS,
    "dataset": DATASETS,
    "recipe": RECIPES,
    "format": WRITERS,
}


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
    table = TABLES[kind]
    if name not in table:
        raise UnknownName(f"unknown {kind} {name!r}; {suggest(name, table)}")
    module, attribute = table[name].split(":")
    return getattr(import_module(module), attribute)
