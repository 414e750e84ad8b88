"""VideoLISA (arXiv 2409.19603): one token segments and tracks an object through a whole video."""

from saymask.models.family import Choice, Family

_HERE = "saymask.models.videolisa"

FAMILY = Family(
    name="videolisa",
    segmenter=f"{_HERE}.segmenter:VideoLisaSegmenter",
    options=f"{_HERE}.options:VideoLisaOptions",
    models={
        "toy": "saymask.models.checkpoints:load_bundled_toy",
        "videolisa-3.8b": f"{_HERE}.release_download:load_videolisa_3_8b",
    },
    choices={
        "toy": Choice("drawn scenes only", "Apache-2.0", drawn_tag="saymask-toyworld", parameters=1_400_000),
        "videolisa-3.8b": Choice(
            understands='sentences that need reasoning: "the one who is about to score"',
            licence="as its authors state on its page",
            repos={"ZechenBai/VideoLISA-3.8B": 10_300_000_000, "openai/clip-vit-large-patch14-336": 1_700_000_000},
            parameters=4_900_000_000,
            preference=1,
        ),
    },
    model_type="saymask-videolisa",
    config=f"{_HERE}.model:VideoLisaConfig",
    model=f"{_HERE}.model:VideoLisaModel",
    processor=f"{_HERE}.processor:VideoLisaProcessor",
    release=f"{_HERE}.release_download:VideoLisaRelease",
    start_point=f"{_HERE}.start_points:assemble",
    train_parts={
        "embeddings": "language_model.model.embed_tokens",
        "lm_head": "language_model.lm_head",
        "mask_decoder": "mask_head.sam.mask_decoder",
        "prompt_projector": "prompt_projector",
        "projector": "visual.projector",
        "tower": "visual.tower",
        "mask_encoder": "mask_head.sam.vision_encoder",
    },
    known_configs={"videolisa-3.8b": f"{_HERE}.published:videolisa_3_8b"},
    workload=f"{_HERE}.workload:workload",
    naive=f"{_HERE}.naive:naive_masks",
)
