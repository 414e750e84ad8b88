"""Where a loaded model's parts go: one device, or the language model spread over several, and quantised if asked.

The language model is the part that may not fit (7.6 of the released model's 9.6 GB); everything else stays on the runtime's device.
"""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Iterable, Mapping
from tempfile import mkdtemp
from typing import Any, TypeVar, cast

from torch import nn

from saymask.errors import ConfigError
from saymask.runtime import Runtime

Model = TypeVar("Model", bound=nn.Module)


def place(model: Model, runtime: Runtime, language_model: str) -> Model:
    """Move a model to the runtime's device; with a device map its language model's layers go where that says.

    Args:
        model: loaded, with memory for all of its parameters.
        runtime: its `device_map` is None, "auto" (fill the devices that are present, then main memory, then the disk), or a mapping
            from parts of the language model, such as "layers.3", to a device or "disk".
        language_model: where the causal language model lies in the model.

    Raises:
        ConfigError: another word than "auto", or a part that the language model does not have.
    """
    nn.Module.to(model, runtime.torch_device if runtime.device_map is None else "cpu")
    if runtime.device_map is None:
        return model
    from accelerate import dispatch_model  # here: loading it takes longer than opening a small model

    decoder = cast(nn.Module, model.get_submodule(language_model).model)
    device_map = _device_map(model, f"{language_model}.model", runtime)
    spread = {id(module) for module in decoder.modules()}
    for module in model.modules():
        if id(module) not in spread:
            module._apply(lambda tensor: tensor.to(runtime.torch_device), recurse=False)
    offload: dict[str, Any] = {}
    if "disk" in device_map.values():
        folder = mkdtemp(prefix="saymask-offload-")
        weakref.finalize(decoder, shutil.rmtree, folder, ignore_errors=True)
        offload = {"offload_dir": folder}
    dispatch_model(decoder, device_map, main_device=_main_device(runtime), force_hooks=True, **offload)
    return model


def language_quantisation(runtime: Runtime, language_model: str, parts: Iterable[str]) -> dict[str, Any]:
    """Arguments that make `from_pretrained` quantise the language model and nothing else; empty if none is asked for.

    Args:
        runtime: its `quantization_config` is one of transformers' or None.
        language_model: where the causal language model lies in the model.
        parts: names of all of the model's parts.

    Raises:
        ConfigError: on a device where quantised products are not available.
    """
    config = runtime.quantization_config
    if config is None:
        return {}
    if not runtime.device.startswith("cuda"):
        raise ConfigError(
            f"quantization_config needs a CUDA device, and this run is on {runtime.device!r}; leave it out, dtype bfloat16 halves float32"
        )
    kept = [*sorted(set(parts) - {language_model}), "lm_head"]
    for name in ("llm_int8_skip_modules", "modules_to_not_convert"):
        if hasattr(config, name):
            setattr(config, name, [*(getattr(config, name) or []), *kept])
    return {"quantization_config": config, "device_map": {"": runtime.device}}


def _device_map(model: nn.Module, blocks: str, runtime: Runtime) -> dict[str, Any]:
    """Device of every child of the decoder at `blocks` and, where they are spread, of every layer."""
    from accelerate import infer_auto_device_map
    from accelerate.utils import get_max_memory

    wanted, decoder = runtime.device_map, model.get_submodule(blocks)
    main = _main_device(runtime)
    whole: dict[str, Any] = {name: main for name, _ in decoder.named_children() if name != "layers"}
    layers = [f"layers.{i}" for i in range(len(decoder.get_submodule("layers")))]  # pyrefly: ignore[bad-argument-type]
    if isinstance(wanted, str):
        if wanted != "auto":
            raise ConfigError(f"device_map {wanted!r} is not known; give 'auto' or a mapping from parts such as 'layers.3' to devices")
        free: dict[Any, Any] = get_max_memory()
        others = sum(tensor.nbytes for name, tensor in model.state_dict().items() if not name.startswith(f"{blocks}.layers"))
        free[main] = max(0, free.get(main, 0) - others)
        # The layers are the same size and run one after the other: what matters is only how many fit where.
        plan = infer_auto_device_map(decoder, free, no_split_module_classes=cast(list[str], decoder._no_split_modules))
        return whole | {layer: _planned(plan, layer) for layer in layers}
    if unknown := [name for name in wanted or {} if name not in layers]:
        raise ConfigError(f"device_map names {unknown[0]!r}, which is no layer of the language model; it has layers.0 to {layers[-1]}")
    return whole | dict.fromkeys(layers, main) | dict(wanted or {})


def _main_device(runtime: Runtime) -> Any:
    """The runtime's device as accelerate names it: a number for a CUDA device."""
    return runtime.torch_device.index or 0 if runtime.device.startswith("cuda") else runtime.device


def _planned(plan: Mapping[Any, Any], layer: str) -> Any:
    """Device of a layer in a plan that may name the layer, all layers or the whole."""
    return next(plan[name] for name in (layer, "layers", "") if name in plan)
