"""VISA (arXiv 2407.11325): a frame chosen by the text, a mask on it, and a tracker for the other frames."""

from saymask.models.family import Choice, Family

_HERE = "saymask.models.visa"

FAMILY = Family(
    name="visa",
    segmenter=f"{_HERE}.segmenter:VisaSegmenter",
    options=f"{_HERE}.options:VisaOptions",
    models={"visa-toy": f"{_HERE}.segmenter:load_visa_toy"},
    model_type="saymask-visa",
    config=f"{_HERE}.model:VisaConfig",
    model=f"{_HERE}.model:VisaModel",
    processor=f"{_HERE}.processor:VisaProcessor",
    choices={"visa-toy": Choice("drawn scenes only", "Apache-2.0", drawn_tag="saymask-toyworld", parameters=1_461_122)},
    release=f"{_HERE}.released:VisaRelease",
    start_point=f"{_HERE}.released:assemble",
    default_tracker="xmem",
    train_parts={
        "embeddings": "language_model.model.embed_tokens",
        "lm_head": "language_model.lm_head",
        "mask_decoder": "mask_head.sam.mask_decoder",
        "prompt_projector": "prompt_projector",
        "projector": "visual.projector",
        "tower": "visual.tower",
        "mask_encoder": "mask_head.sam.vision_encoder",
    },
    workload=f"{_HERE}.workload:workload",
    naive=f"{_HERE}.naive:naive_masks",
)
