"""The files of examples/ do what their tools call, on a drawn video and with the bundled model."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from saymask.cli.demo import SCENE, SPLIT
from saymask.toyworld.dataset import load_toyworld

EXAMPLES = Path(__file__).parents[2] / "examples"
QUERY = "the yellow fish"


def load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def frames_THWC() -> np.ndarray:
    return load_toyworld(None, SPLIT)[SCENE].video.frames(range(3))


def test_the_function_of_cvat_gives_what_the_sdk_takes(frames_THWC):
    """With the SDK's own types; its driver checks the same things before it uploads shapes."""
    pytest.importorskip("cvat_sdk.auto_annotation", reason="the extra 'cvat' is not installed")
    from cvat_sdk import models
    from cvat_sdk.masks import decode_mask

    function = load("cvat_function").create(queries=f"{QUERY} | a zebra", device="cpu")
    assert [(label.name, label.id) for label in function.spec.labels] == [(QUERY, 0), ("a zebra", 1)]
    height, width = frames_THWC.shape[1:3]
    image = Image.fromarray(frames_THWC[0])

    def detect(conf_threshold, conv_mask_to_poly):
        context = SimpleNamespace(frame_name="0.png", conf_threshold=conf_threshold, conv_mask_to_poly=conv_mask_to_poly)
        return function.detect(context, image)

    masks = [shape for shape in detect(None, False) if shape.label_id == 0]
    assert masks and all(isinstance(shape, models.LabeledShapeRequest) and shape.frame == 0 for shape in masks)
    assert {shape.type.value for shape in masks} == {"mask"}
    mask_HW = decode_mask(masks[0].points, image_width=width, image_height=height)
    assert 0 < mask_HW.sum() < mask_HW.size / 4
    polygons = [shape for shape in detect(None, True) if shape.label_id == 0]
    assert {shape.type.value for shape in polygons} == {"polygon"} and all(len(shape.points) >= 6 for shape in polygons)
    assert list(detect(1.01, False)) == []


@dataclass
class _Documented:
    """The calls of ComfyUI's documented V3 schema that the node makes, recorded; ComfyUI itself is in no package index."""

    id: str = ""
    options: dict[str, Any] = field(default_factory=dict)


def _kind() -> SimpleNamespace:
    return SimpleNamespace(Input=lambda id, **options: _Documented(id, options), Output=lambda id="", **options: _Documented(id, options))


@pytest.fixture
def comfy_api(monkeypatch: pytest.MonkeyPatch) -> None:
    latest = ModuleType("comfy_api.latest")
    io = SimpleNamespace(
        ComfyNode=object,
        Schema=lambda **values: SimpleNamespace(**values),
        NodeOutput=lambda *values: SimpleNamespace(result=values),
        **{name: _kind() for name in ("Image", "String", "Float", "Mask")},
    )
    vars(latest).update(io=io, ComfyExtension=object)
    monkeypatch.setitem(sys.modules, "comfy_api", ModuleType("comfy_api"))
    monkeypatch.setitem(sys.modules, "comfy_api.latest", latest)


def test_the_node_of_comfyui_by_its_documented_schema(comfy_api, frames_THWC):
    """Inputs are the parameters of `execute`, images are float (frames, height, width, 3), masks (frames, height, width)."""
    module = load("comfyui_saymask")
    (node,) = asyncio.run(asyncio.run(module.comfy_entrypoint()).get_node_list())
    schema = node.define_schema()
    names = [entry.id for entry in schema.inputs]
    assert names == list(node.execute.__func__.__annotations__)[:-1]
    images = torch.from_numpy(frames_THWC).float() / 255
    masks_THW, text = node.execute(**dict(zip(names, (images, QUERY, "toy", 12.0), strict=True))).result
    assert (masks_THW.dtype, tuple(masks_THW.shape)) == (torch.float32, frames_THWC.shape[:3])
    assert set(masks_THW.unique().tolist()) == {0.0, 1.0}
    assert len(schema.outputs) == 2 and isinstance(text, str)
