"""Draw what a model answers about a drawn video: a contact sheet with words, colours, and how frames were chosen.

    python bench/answer_sheet.py villa-toy docs/pictures/several_things.png --dataset toyworld-multi --sample 26
    python bench/answer_sheet.py visa-toy docs/pictures/chosen_frame.png --dataset toyworld --sample 35

The video is a sample of the dataset's split `val`.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from saymask import load_model
from saymask.session import VideoSession
from saymask.toyworld.dataset import load_toyworld, load_toyworld_multi

DATASETS = {"toyworld": load_toyworld, "toyworld-multi": load_toyworld_multi}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="as `-m` of saymask takes it")
    parser.add_argument("picture", type=Path)
    parser.add_argument("--dataset", choices=DATASETS, default="toyworld")
    parser.add_argument("--sample", type=int, default=0)
    arguments = parser.parse_args()
    sample = DATASETS[arguments.dataset](None, "val")[arguments.sample]
    with VideoSession(sample.video, load_model(arguments.model)) as session:
        prediction = session.segment(sample.expression.text)
    with tempfile.TemporaryDirectory() as folder:
        prediction.save(folder, "sheet")[0].replace(arguments.picture)
    print(f"{sample.expression.text} -> {prediction.results[0].text}")


if __name__ == "__main__":
    main()
