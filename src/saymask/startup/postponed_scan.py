"""`import transformers` reads the source of every model, twice, to learn which names it offers: put off until somebody asks for one.

A module that is imported by its own path (`transformers.models.clip.modeling_clip`) needs no list of names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any


def postpone_scan(import_utils: ModuleType) -> None:
    """Change `transformers.utils.import_utils`, right after it was loaded: its packages of many models scan their folder when asked.

    A version of transformers that is built otherwise is left as it is.
    """
    lazy_module = getattr(import_utils, "_LazyModule", None)
    scan = getattr(import_utils, "define_import_structure", None)
    if lazy_module is None or scan is None:
        return
    models = Path(import_utils.__file__ or "").parent.parent / "models"

    def scan_unless_large(module_path: str | Path, prefix: str | None = None) -> dict:
        """The names of a folder by what they need; of all models together, a promise."""
        folder = Path(module_path)
        folder = folder.parent if folder.suffix else folder
        return _Promise(lambda: scan(module_path, prefix)) if folder == models else scan(module_path, prefix)

    import_utils.define_import_structure = scan_unless_large  # type: ignore[attr-defined]
    import_utils._LazyModule = _scanned_when_asked(lazy_module)  # type: ignore[attr-defined]


class _Promise(dict):
    """Names by what they need, as the scan of a folder gives them: so far only those that are added to it."""

    def __init__(self, scan: Callable[[], dict]):
        super().__init__({frozenset(): {}})
        self._scan = scan

    def kept(self) -> dict:
        """All names."""
        scanned = dict(self._scan())
        scanned[frozenset()] = {**scanned.get(frozenset(), {}), **self[frozenset()]}
        return scanned


def _scanned_when_asked(lazy_module: Any) -> type[ModuleType]:
    """A class of modules that learn their names when they are asked for one that they do not know."""

    class ScannedWhenAsked(lazy_module):
        def __init__(self, name: str, module_file: str, import_structure: dict, *args: Any, **kwargs: Any):
            super().__init__(name, module_file, import_structure, *args, **kwargs)
            if isinstance(import_structure, _Promise):
                del self.__all__  # so that asking for it asks __getattr__
                self._complete = lambda: lazy_module.__init__(self, name, module_file, import_structure.kept(), *args, **kwargs)

        def _learn(self) -> None:
            complete = self.__dict__.pop("_complete", None)
            if complete is not None:
                complete()

        def __getattr__(self, name: str) -> Any:
            known = name in self._class_to_module or name in self._modules or name in self._objects
            if not known and not name.startswith("__") and find_spec(f"{self.__name__}.{name}"):
                return import_module(f"{self.__name__}.{name}")
            if not known and (name == "__all__" or not name.startswith("__")):
                self._learn()
            return self.__dict__[name] if name in self.__dict__ else super().__getattr__(name)

        def __dir__(self) -> Iterable[str]:
            self._learn()
            return super().__dir__()

        def __reduce__(self) -> tuple:
            return import_module, (self.__name__,)

    return ScannedWhenAsked
