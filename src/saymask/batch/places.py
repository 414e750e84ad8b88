"""Where a batch is written: a folder of this machine, or any address that fsspec knows (s3://, gs://, memory:// ...).

Both hold text files, which are replaced in one step, and folders, which count from the moment they are whole: a local folder is renamed
into place; elsewhere, where folders cannot be renamed, the file `last` is uploaded after all others. Who writes twice writes the same
bytes to the same names, so a writer that was killed and one that took its place cannot harm each other.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Protocol

from saymask.errors import ConfigError, VideoError
from saymask.storage.atomic import new_file, new_folder, replaced_file, scratch_folder
from saymask.storage.drafts import remove_drafts

Fill = Callable[[Path], None]


class Place(Protocol):
    """Files and folders by their names relative to the place, with / between the parts."""

    @property
    def address(self) -> str:
        """The folder's path, or its address."""
        ...

    def read(self, name: str) -> bytes | None:
        """Content of a file, None if there is none."""
        ...

    def create(self, name: str, content: str) -> bool:
        """Write a new file; False, and nothing is written, if there is one."""
        ...

    def replace(self, name: str, content: str) -> None:
        """Write a file in place of whatever is there."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file if it is there."""
        ...

    def find(self, pattern: str) -> list[str]:
        """Names of the files that match a pattern such as results/*/result.json, sorted."""
        ...

    def keep(self, name: str, fill: Fill, last: str) -> None:
        """Make a folder that `fill` fills; `last` is the file in it that says that it is whole. What is there already stays."""
        ...

    def scratch(self, name: str) -> AbstractContextManager[Path]:
        """An empty folder of this machine in which that one can be prepared; it is removed at the end."""
        ...

    def tidy(self, name: str) -> None:
        """Remove what killed writers of a folder have left."""
        ...


class LocalPlace:
    """A folder of this machine, or one that it mounts."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    @property
    def address(self) -> str:
        return str(self.root)

    def read(self, name: str) -> bytes | None:
        try:
            return (self.root / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def create(self, name: str, content: str) -> bool:
        path = self._with_parent(name)
        try:
            with new_file(path) as draft:
                draft.write_text(content, encoding="utf-8")
        except VideoError:
            if path.exists():
                return False
            raise
        return True

    def replace(self, name: str, content: str) -> None:
        with replaced_file(self._with_parent(name)) as draft:
            draft.write_text(content, encoding="utf-8")

    def remove(self, name: str) -> None:
        (self.root / name).unlink(missing_ok=True)

    def find(self, pattern: str) -> list[str]:
        names = (path.relative_to(self.root) for path in self.root.glob(pattern) if path.is_file())
        return sorted(name.as_posix() for name in names if not any(part.startswith(".") for part in name.parts))  # drafts are hidden

    def keep(self, name: str, fill: Fill, last: str) -> None:
        path = self._with_parent(name)
        if (path / last).exists():
            return
        try:
            with new_folder(path) as draft:
                fill(draft)
        except VideoError:
            if not (path / last).exists():  # otherwise another writer was faster
                raise

    def scratch(self, name: str) -> AbstractContextManager[Path]:
        return scratch_folder(self._with_parent(name))

    def tidy(self, name: str) -> None:
        remove_drafts(self.root / name)

    def _with_parent(self, name: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


class FsspecPlace:
    """An address that fsspec opens."""

    def __init__(self, address: str) -> None:
        from fsspec.core import url_to_fs

        self._address = address.rstrip("/")
        try:
            self._files, self._root = url_to_fs(self._address)
        except (ImportError, ValueError) as error:
            raise ConfigError(f"{address}: cannot be opened ({error}); install what fsspec needs for it, or give a folder") from None

    @property
    def address(self) -> str:
        return self._address

    def __getstate__(self) -> str:
        return self._address

    def __setstate__(self, address: str) -> None:
        self.__init__(address)

    def read(self, name: str) -> bytes | None:
        try:
            return self._files.cat_file(self._at(name))
        except FileNotFoundError:
            return None

    def create(self, name: str, content: str) -> bool:
        if self._files.exists(self._at(name)):
            return False
        self.replace(name, content)
        return True

    def replace(self, name: str, content: str) -> None:
        self._files.makedirs(self._at(name).rpartition("/")[0], exist_ok=True)
        self._files.pipe_file(self._at(name), content.encode("utf-8"))

    def remove(self, name: str) -> None:
        if self._files.exists(self._at(name)):
            self._files.rm_file(self._at(name))

    def find(self, pattern: str) -> list[str]:
        # The fixed beginning only: a bucket may hold more than this batch.
        fixed = re.match(r"[^*?\[]*/|", pattern)
        start = self._at(fixed[0] if fixed else "").rstrip("/")
        if not self._files.exists(start):
            return []
        names = (path.removeprefix(self._root).lstrip("/") for path in self._files.find(start))
        return sorted(name for name in names if fnmatch(name, pattern))

    def keep(self, name: str, fill: Fill, last: str) -> None:
        if self._files.exists(self._at(f"{name}/{last}")):
            return
        with tempfile.TemporaryDirectory(prefix="saymask-") as folder:
            draft = Path(folder, "result")
            draft.mkdir()
            fill(draft)
            files = [path for path in sorted(draft.rglob("*")) if path.is_file() and path != draft / last]
            for path in [*files, draft / last]:
                there = self._at(f"{name}/{path.relative_to(draft).as_posix()}")
                self._files.makedirs(there.rpartition("/")[0], exist_ok=True)
                self._files.put_file(str(path), there)

    @contextmanager
    def scratch(self, name: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="saymask-") as folder:
            yield Path(folder)

    def tidy(self, name: str) -> None:
        """Nothing to do: without its last file a folder is none, and the next writer writes the same names."""

    def _at(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"


def open_place(address: str) -> Place:
    """A folder, or an address with ://.

    Raises:
        ConfigError: fsspec does not know the address's protocol, or lacks what it needs for it.
    """
    return FsspecPlace(address) if re.match(r"[a-z][a-z0-9+.-]+://", address, re.IGNORECASE) else LocalPlace(Path(address))


def file_address(place: Place, name: str) -> Any:
    """Path or address of a file in a place, for libraries that open it themselves."""
    return f"{place.address}/{name}"
