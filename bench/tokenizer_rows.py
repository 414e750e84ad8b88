"""Compare our token ids of whole chats with stored ones of the authors' tokenizer.

    python bench/tokenizer_rows.py FOLDER

FOLDER holds `tokenizer.model` (the SentencePiece model of Phi-3 and Llama 2, which is not part of this repository) and `ids.json`: a
`tokenizer_config` and `rows`, each a chat with its ids for both values of `legacy`. The tokenizer is read as a release has it and again as
our model folders keep it; a row agrees if both give its ids. Prints every row that differs, then `N of M rows agree`; exits with 1 unless
all do.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from saymask.models.parts.chat import encode
from saymask.models.parts.sentencepiece_tokenizer import SentencePieceTokenizer
from saymask.models.videolisa.release_loading import load_tokenizer


def differences(folder: Path) -> Iterator[str]:
    """How each row differs; "" for a row that agrees."""
    stored = json.loads((folder / "ids.json").read_text(encoding="utf-8"))
    for legacy in (False, True):
        with TemporaryDirectory() as release, TemporaryDirectory() as ours:
            shutil.copy(folder / "tokenizer.model", release)
            Path(release, "tokenizer_config.json").write_text(json.dumps({**stored["tokenizer_config"], "legacy": legacy}))
            released = load_tokenizer(Path(release))
            released.save_pretrained(Path(ours))
            saved = SentencePieceTokenizer.from_folder(Path(ours))
        for row in stored["rows"]:
            expected = row[f"ids_legacy_{str(legacy).lower()}"]
            found = [encode(row["chat"], tokenizer.encode, tokenizer.bos_token_id) for tokenizer in (released, saved)]
            lines = [f"legacy={legacy} {row['chat']!r}", f"expected {expected}", *(f"found    {ids}" for ids in found)]
            yield "" if found == [expected, expected] else "\n  ".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    rows = list(differences(parser.parse_args().folder))
    problems = [row for row in rows if row]
    print("\n".join([*problems, f"{len(rows) - len(problems)} of {len(rows)} rows agree"]))
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
