"""Every dataset on disk by its name: how it lies there, and which benchmark it is."""

from __future__ import annotations

from saymask.datasets.layout import Layout
from saymask.datasets.own.index import FOLDER
from saymask.datasets.public.part_seg import PACO_LVIS, PASCAL_PART
from saymask.datasets.public.reason_seg import REASON_SEG
from saymask.datasets.public.reason_vos import REASON_VOS
from saymask.datasets.public.ref_video import MEVIS, MEVIS_V2, REVOS
from saymask.datasets.public.ref_youtube import REF_DAVIS17, REF_YOUTUBE_VOS
from saymask.datasets.public.refcoco import REFCLEF, REFCOCO, REFCOCO_PLUS, REFCOCOG
from saymask.datasets.public.sem_seg import ADE20K, COCO_STUFF
from saymask.datasets.public.video_reason_seg import VIDEO_REASON_SEG
from saymask.datasets.public.vos import LV_VIS, YOUTUBE_VOS
from saymask.datasets.public.vqa import LLAVA_VQA

LAYOUTS: dict[str, Layout] = {
    layout.dataset: layout
    for layout in (
        *(REASON_VOS, MEVIS, MEVIS_V2, REVOS, REF_DAVIS17, REF_YOUTUBE_VOS, VIDEO_REASON_SEG),
        *(REASON_SEG, REFCOCO, REFCOCO_PLUS, REFCOCOG, REFCLEF, LV_VIS, YOUTUBE_VOS, FOLDER),
        *(ADE20K, COCO_STUFF, PACO_LVIS, PASCAL_PART, LLAVA_VQA),
    )
}
