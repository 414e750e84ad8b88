"""ViLLa (arXiv 2407.14500): several objects in one answer, tokens of frames and of the video. No code was published: docs/villa.md."""

from saymask.models.family import Choice, Family

_HERE = "saymask.models.villa"

FAMILY = Family(
    name="villa",
    segmenter=f"{_HERE}.segmenter:VillaSegmenter",
    options=f"{_HERE}.options:VillaOptions",
    models={"villa-toy": f"{_HERE}.segmenter:load_villa_toy"},
    choices={"villa-toy": Choice("several things in drawn scenes", "Apache-2.0", drawn_tag="saymask-toyworld", parameters=1_477_266)},
    model_type="saymask-villa",
    config=f"{_HERE}.config:VillaConfig",
    model=f"{_HERE}.model:VillaModel",
    processor=f"{_HERE}.processor:VillaProcessor",
    workload=f"{_HERE}.workload:workload",
    train_parts={
        "embeddings": "language_model.model.embed_tokens",
        "lm_head": "language_model.lm_head",
        "mask_decoder": "mask_head.sam.mask_decoder",
        "prompt_projector": "prompt_projector",
        "frame_projector": "frame_projector",
        "projector": "visual.projector",
        "time_code": "time_code",
        "segment_time": "segment_time",
        "context_synthesizer": "context_synthesizer",
        "temporal_synchronizer": "temporal_synchronizer",
        "presence_head": "presence_head",
    },
)
