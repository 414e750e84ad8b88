"""Draw what a model answers to a question about several things: a contact sheet with the objects' words in their colours.

    python bench/several_things.py MODEL docs/pictures/several_things.png --sample 2

The video is a sample of the split `val` of `toyworld-multi`.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from saymask import load_model
from saymask.session import VideoSession
from saymask.toyworld.dataset import load_toyworld_multi


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="as `-m` of saymask takes it")
    parser.add_argument("picture", type=Path)
    parser.add_argument("--sample", type=int, default=0)
    arguments = parser.parse_args()
    sample = load_toyworld_multi(None, "val")[arguments.sample]
    with VideoSession(sample.video, load_model(arguments.model)) as session:
        prediction = session.segment(sample.expression.text)
    with tempfile.TemporaryDirectory() as folder:
        prediction.save(folder, "sheet")[0].replace(arguments.picture)
    print(f"{sample.expression.text} -> {prediction.results[0].text}")


if __name__ == "__main__":
    main()
