"""How large the public datasets are said to be, each figure with the place that says so.

Rows exist only for what a publication or the dataset's own page states; a count that is nowhere stated is None and is not compared.
Images count as videos.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedSize:
    """The size of one split, or of several together where only their sum is published.

    Args:
        dataset: name in `DATASETS`.
        splits: the splits that are counted together.
        num_videos: videos in them.
        num_expressions: sentences in them, None if nobody states it.
        source: who states it.
    """

    dataset: str
    splits: tuple[str, ...]
    num_videos: int
    num_expressions: int | None
    source: str


_MEVIS = "github.com/henghuiding/MeViS, README of 2023"
_MEVIS_V2 = "github.com/henghuiding/MeViS, README of 2025"
_DAVIS = "Khoreva et al., ACCV 2018: DAVIS17 has 60 videos for training and 30 for validation"
_REASON_SEG = "github.com/dvlab-research/LISA, README"
_REFCOCO = "images: TensorFlow Datasets, ref_coco; expressions: FlagEval, visual grounding"

PUBLISHED_SIZES: tuple[PublishedSize, ...] = (
    PublishedSize("reasonvos", ("test",), 91, 458, "arXiv:2409.19603 (VideoLISA)"),
    PublishedSize("mevis", ("train",), 1662, 23_051, _MEVIS),
    PublishedSize("mevis", ("valid_u",), 50, 793, _MEVIS),
    PublishedSize("mevis", ("valid",), 140, 2_236, _MEVIS),
    PublishedSize("mevis-v2", ("train",), 1662, 27_502, _MEVIS_V2),
    PublishedSize("mevis-v2", ("valid_u",), 50, 907, _MEVIS_V2),
    PublishedSize("mevis-v2", ("valid",), 140, 2_523, _MEVIS_V2),
    PublishedSize("revos", ("train", "valid"), 1042, 35_074, "arXiv:2407.11325 (VISA)"),
    PublishedSize("ref-davis17", ("train",), 60, None, _DAVIS),
    PublishedSize("ref-davis17", ("valid",), 30, None, _DAVIS),
    PublishedSize("ref-youtube-vos", ("train",), 3471, 12_913, "Seo et al., ECCV 2020 (URVOS)"),
    PublishedSize("ref-youtube-vos", ("valid",), 202, None, "the benchmark's server"),
    PublishedSize("reasonseg", ("train",), 239, None, _REASON_SEG),
    PublishedSize("reasonseg", ("val",), 200, None, _REASON_SEG),
    PublishedSize("reasonseg", ("test",), 779, None, _REASON_SEG),
    PublishedSize("refcoco", ("train",), 16_994, 120_624, _REFCOCO),
    PublishedSize("refcoco", ("val",), 1_500, 10_834, _REFCOCO),
    PublishedSize("refcoco", ("testA",), 750, 5_657, _REFCOCO),
    PublishedSize("refcoco", ("testB",), 750, 5_095, _REFCOCO),
    PublishedSize("ade20k", ("train",), 20_210, None, "github.com/CSAILVision/sceneparsing, README"),
    PublishedSize("coco-stuff", ("train",), 118_287, None, "images of COCO train2017: TensorFlow Datasets, coco"),
    PublishedSize("youtube-vos", ("train",), 3471, None, "Seo et al., ECCV 2020 (URVOS)"),
)
