"""Modules that a library imports for features nobody here uses are loaded when one of their names is first used, not with the library.

    with deferred_imports(["scipy"]):
        import library        # its `from scipy.optimize import f` gives it a stand-in for `f`; calling that imports scipy and calls `f`

The library works as before, and so does everybody else who uses it: only the time of loading changes. A name that the library uses
while it is imported itself (a base class, a decorator) has its module loaded at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any


@contextmanager
def deferred_imports(modules: Iterable[str], marks: Iterable[str] = ()) -> Iterator[None]:
    """Defer the import of modules, and of what lies in them, while the block runs; those that are loaded already are left alone, with what
    lies in them.

    Args:
        modules: their full names.
        marks: decorators of such modules, as "module.name", that only note the function they decorate: they do so once their module is
            loaded.
    """
    finder = _Finder((name for name in modules if name not in sys.modules), marks)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        finder.forget_all()
        call_when_loaded(finder.marked)


def call_when_loaded(calls: Mapping[str, list[Callable[[ModuleType], Any]]]) -> None:
    """Have functions called with a module, by its full name, right after it is loaded, before whoever imports it goes on."""
    if calls:
        sys.meta_path.insert(0, _CallWhenLoaded(dict(calls)))


class _Finder(MetaPathFinder, Loader):
    """Gives stand-ins for modules."""

    def __init__(self, modules: Iterable[str], marks: Iterable[str]):
        self._deferred = set(modules)
        self._stood_in: list[str] = []
        self._marks = frozenset(marks)
        self.marked: dict[str, list[Callable[[ModuleType], Any]]] = {}

    def find_spec(self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        absent = fullname in self._deferred and PathFinder.find_spec(fullname, path) is None
        return ModuleSpec(fullname, self, is_package=True) if self._defers(fullname) and not absent else None

    def _defers(self, module: str) -> bool:
        return any(module == name or module.startswith(f"{name}.") for name in self._deferred)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _StandInModule(spec.name, self)

    def exec_module(self, module: ModuleType) -> None:
        self._stood_in.append(module.__name__)

    def mark(self, module: str, name: str, decorated: Any) -> bool:
        """Note a decorated function if the decorator is one that can wait."""
        if f"{module}.{name}" not in self._marks:
            return False
        self.marked.setdefault(module, []).append(lambda loaded: getattr(loaded, name)(decorated))
        return True

    def release(self, module: str) -> None:
        """Stop deferring a module, so that the next import of it is a real one."""
        self._deferred = {name for name in self._deferred if module != name and not module.startswith(f"{name}.")}
        for name in self._stood_in:
            if not self._defers(name):
                _forget(name)

    def forget_all(self) -> None:
        """End of the block: from here on every import is a real one."""
        self._deferred = set()
        for name in self._stood_in:
            _forget(name)


def _forget(name: str) -> None:
    """Take a stand-in out of the table of modules and out of its package."""
    if isinstance(sys.modules.get(name), _StandInModule):
        stand_in = sys.modules.pop(name)
        package, _, last = name.rpartition(".")
        holder = vars(sys.modules[package]) if package in sys.modules else {}
        if holder.get(last) is stand_in:
            del holder[last]


class _StandInModule(ModuleType):
    """Every name of it is a stand-in."""

    def __init__(self, name: str, finder: _Finder):
        super().__init__(name)
        self._finder = finder

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _StandIn(self.__name__, name, self._finder)


class _StandIn:
    """A function, class or table that is imported when it is used.

    An annotation that holds one (`Name | None`, `list[Name]`) does not use it, nor does `isinstance`: of a class in a module that is not
    loaded there are no objects.
    """

    def __init__(self, module: str, name: str, finder: _Finder):
        self._module, self._name, self._finder = module, name, finder

    def _resolve(self) -> Any:
        self._finder.release(self._module)
        module = import_module(self._module)
        # `import heavy.part` found a stand-in for `heavy`, so nothing has loaded the part.
        return getattr(module, self._name) if hasattr(module, self._name) else import_module(f"{self._module}.{self._name}")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if isinstance(sys.modules.get(self._module), _StandInModule) and args and self._finder.mark(self._module, self._name, args[0]):
            return args[0]
        return self._resolve()(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._resolve(), name)

    def __mro_entries__(self, bases: tuple) -> tuple:
        return (self._resolve(),)

    def __instancecheck__(self, instance: Any) -> bool:
        return self._module in sys.modules and isinstance(instance, self._resolve())

    def __subclasscheck__(self, subclass: type) -> bool:
        return self._module in sys.modules and issubclass(subclass, self._resolve())

    def __or__(self, other: Any) -> Any:
        return self

    __ror__ = __or__

    def __getitem__(self, key: Any) -> Any:
        return self if isinstance(sys.modules.get(self._module), _StandInModule) else self._resolve()[key]

    def __contains__(self, key: Any) -> bool:
        return key in self._resolve()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._resolve())

    def __len__(self) -> int:
        return len(self._resolve())


class _CallWhenLoaded(MetaPathFinder):
    """Finds modules as usual, and calls functions with each that was waited for once it is loaded."""

    def __init__(self, calls: dict[str, list[Callable[[ModuleType], Any]]]):
        self._calls = calls

    def find_spec(self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        calls = self._calls.pop(fullname, None)
        spec = PathFinder.find_spec(fullname, path, target) if calls else None
        if spec is None or spec.loader is None or calls is None:
            return None
        run = spec.loader.exec_module

        def run_and_call(module: ModuleType) -> None:
            run(module)
            for call in calls:
                call(module)

        spec.loader.exec_module = run_and_call
        return spec
