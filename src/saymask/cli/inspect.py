"""`saymask list` and `saymask doctor`: what can be named, and whether this installation works."""

from __future__ import annotations

import ast
import hashlib
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import typer

import saymask
from saymask.cli.output import say
from saymask.errors import SaymaskError
from saymask.lookup import kinds, table
from saymask.models.choice import choices, is_on_disk
from saymask.runtime import DTYPES, Runtime

if TYPE_CHECKING:
    import torch

_GIB = 1 << 30
_REINSTALL = "the installation is damaged: run `pip install --force-reinstall saymask`"


def list_names() -> None:
    """Show the models, trackers, prompters, datasets, recipes and formats that can be named."""
    tables = {kind: table(kind) for kind in kinds()}
    width = max(len(name) for names in tables.values() for name in names) + 1
    for kind, names in tables.items():
        say(f"{kind}s")
        for name, target in names.items():
            say(f"  {name:<{width}} {describe(target)}{_where(name) if kind == 'model' else ''}")


def _where(name: str) -> str:
    """Whether a model that is read from the hub is on this disk."""
    choice = choices().get(name)
    if choice is None or not choice.repos:
        return ""
    return " [on this disk]" if is_on_disk(choice) else f" [saymask fetch {name}]"


def describe(target: str) -> str:
    """First docstring line of "module:attribute", read from the source: importing it would load torch for a list of names."""
    module, attribute = target.split(":")
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{target} is in a table of saymask.lookup, but there is no module {module}")
    for node in ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == attribute:
            return (ast.get_docstring(node) or "").partition("\n")[0]
    raise AttributeError(f"{target} is in a table of saymask.lookup, but {module} defines no {attribute}")


@dataclass(frozen=True)
class Finding:
    """One line of the doctor: what was looked at, what was found, and what to do if that is bad."""

    subject: str
    found: str
    remedy: str | None = None


def doctor() -> None:
    """Check Python, torch, the device, the video library, disk space and the bundled weights."""
    ill = 0
    for check in (_python, _torch, _torchvision, _speed, _video_library, _disk_space, _bundled_weights):
        for finding in check():
            say(f"{'ok ' if finding.remedy is None else 'BAD'}  {finding.subject:<14} {finding.found}")
            if finding.remedy is not None:
                ill += 1
                say(f"     {'':<14} {finding.remedy}")
    if ill:
        say(f"{ill} problem{'s' if ill > 1 else ''} found")
        raise typer.Exit(1)
    say("everything works")


def _python() -> Iterator[Finding]:
    yield Finding("saymask", saymask.__version__)
    yield Finding("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}: {sys.executable}")


def _torch() -> Iterator[Finding]:
    import torch

    from saymask.storage.computing_dtype import is_quick

    yield Finding("torch", f"{torch.__version__}, {torch.get_num_threads()} threads")
    runtime = Runtime.choose()
    device = runtime.torch_device
    detail = f" ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else ""
    yield Finding("device", f"{runtime.device}{detail}")
    usable = [name for name in DTYPES if _multiplies(device, getattr(torch, name))]
    remedy = None if "float32" in usable else f"{runtime.device} cannot multiply matrices; use --device cpu"
    emulated = [name for name in usable if device.type == "cpu" and not is_quick(getattr(torch, name))]
    yield Finding("dtypes", ", ".join(f"{name} (emulated, slow)" if name in emulated else name for name in usable) or "none", remedy)


def _multiplies(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether the device computes with this dtype; each backend raises its own kind of error."""
    import torch

    try:
        ones = torch.ones(8, 8, device=device, dtype=dtype)
        return float((ones @ ones).float().sum()) == 512.0
    except (RuntimeError, TypeError):
        return False


def _speed() -> Iterator[Finding]:
    """What can be computed here in what time: a measured matrix product, memory, and what each model needs of it."""
    import torch

    from saymask.storage.computing_dtype import product_flops, product_side

    runtime = Runtime.choose()
    side = product_side(runtime.torch_device)
    flops = product_flops(runtime.torch_device, [torch.float32])[torch.float32]
    yield Finding("speed", f"{flops / 1e9:.0f} GFLOP/s in float32 (measured: products of {side} x {side} matrices on {runtime.device})")
    memory = torch.cuda.mem_get_info()[1] if runtime.torch_device.type == "cuda" else _main_memory()
    yield Finding("memory", f"{memory / _GIB:.1f} GiB" if memory else "size unknown")
    for name, choice in choices().items():
        if choice.parameters and choice.repos:
            needed = 4 * choice.parameters
            fits = "" if not memory or needed < memory else ", more than there is: use --dtype bfloat16 or another device"
            yield Finding(f"{name}", f"{choice.parameters / 1e6:.0f} M parameters, {needed / _GIB:.1f} GiB in float32{fits}")


def _main_memory() -> int:
    """Bytes of the machine's memory; 0 where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0


def _torchvision() -> Iterator[Finding]:
    if find_spec("torchvision") is None:
        return
    try:
        import torchvision
    except Exception as error:
        yield Finding(
            "torchvision",
            f"installed but broken ({error})",
            "transformers cannot load any model beside it: run `pip uninstall torchvision` (saymask does not need it)",
        )
    else:
        yield Finding("torchvision", f"{torchvision.__version__} (not needed)")


def _video_library() -> Iterator[Finding]:
    import av

    yield Finding("av", f"{av.__version__} with FFmpeg {av.ffmpeg_version_info}")
    remedy = None if "libx264" in av.codecs_available else "overlays cannot be written as H.264: run `pip install --force-reinstall av`"
    yield Finding("h264 encoder", "libx264" if remedy is None else "none", remedy)


def _disk_space() -> Iterator[Finding]:
    from huggingface_hub.constants import HF_HUB_CACHE

    cache = Path(HF_HUB_CACHE)
    existing = next(folder for folder in (cache, *cache.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    remedy = None if free >= _GIB else "downloads need room: free some, or point the environment variable HF_HOME at another disk"
    yield Finding("model cache", f"{cache}: {free / _GIB:.1f} GiB free", remedy)


def _bundled_weights() -> Iterator[Finding]:
    subject = "models"
    try:
        from saymask.models.checkpoints import bundled_folder, load_model

        folders = {name: bundled_folder(name) for name in table("model") if bundled_folder(name).is_dir()}
        if not folders:
            yield Finding(subject, "no weights in the package", _REINSTALL)
        for name, folder in folders.items():
            subject = f"model {name}"
            try:
                load_model(name, Runtime("cpu"))
                digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
                yield Finding(subject, f"loads; sha256 {digest}")
            except SaymaskError as error:
                yield Finding(subject, str(error), _REINSTALL)
    except ImportError as error:
        yield Finding(subject, f"cannot be loaded ({error})", "mend what is bad above; if nothing is, reinstall transformers")
