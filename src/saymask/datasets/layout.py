"""How a dataset looks on disk: its splits, where its root may be inside a larger folder, and the tree that messages show.

Every loader states its `Layout` once. What is missing is then always reported in the same words: the first missing path, the whole
tree in brace notation, and what to do. The layouts come from published descriptions and the authors' own check scripts; the tests
read miniatures of them, not the releases.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from saymask.datasets.roots import dataset_root, how_to_say
from saymask.errors import DataError
from saymask.samples import PLAIN, Benchmark


@dataclass(frozen=True)
class Layout:
    """A dataset's splits and files.

    Args:
        dataset: name in `DATASETS`.
        splits: names of the parts that can be asked for.
        tree: the files below the root, in one line of brace notation.
        folders: where the root may lie, relative to the folder the user names; tried in order, "." is that folder itself.
        benchmark: how its results are computed and published.
    """

    dataset: str
    splits: tuple[str, ...]
    tree: str
    folders: tuple[str, ...]
    benchmark: Benchmark = PLAIN

    def find(self, root: Path | None, split: str, *markers: str) -> Path:
        """Return the first marker file or folder that exists, below any of `folders`.

        Args:
            root: the folder the user gave, None to use what `dataset_root` knows.
            split: which part of the dataset is wanted.
            markers: paths below the dataset's root, one of which every copy of that split has; the names in circulation, best first.

        Raises:
            DataError: no such split; nobody says where the dataset lies; or none of the markers is there, naming the first.
        """
        if split not in self.splits:
            raise DataError(f"{self.dataset} has no split {split!r}; use one of: {', '.join(self.splits)}")
        named = dataset_root(self.dataset, root)
        for folder in self.folders:
            for marker in markers:
                if (named / folder / marker).exists():
                    return named / folder / marker
        raise self.missing(named / markers[0])

    def require(self, path: Path) -> Path:
        """Return `path`, which must exist.

        Raises:
            DataError: it does not.
        """
        if not path.exists():
            raise self.missing(path)
        return path

    def either(self, root: Path, *places: str) -> Path:
        """Return the first of several places below `root` that exists: copies of a dataset differ in where they keep shared files.

        Raises:
            DataError: none exists, naming the first.
        """
        found = (root / place for place in places if (root / place).exists())
        return next(found, None) or self.require(root / places[0])

    def missing(self, path: Path) -> DataError:
        """The error for a file or folder that is not there."""
        return DataError(
            f"{path}: not found; {self.dataset} is laid out as <root>/{self.tree}; unpack it like that, or {how_to_say(self.dataset)}"
        )
