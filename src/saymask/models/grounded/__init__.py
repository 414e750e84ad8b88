"""Phrases to boxes by an open-vocabulary detector, boxes to masks and tracks by SAM 2: natural video with small, free weights."""

from saymask.models.family import Choice, Family

_HERE = "saymask.models.grounded"
DETECTOR_REPO, SEGMENTER_REPO = "IDEA-Research/grounding-dino-tiny", "facebook/sam2.1-hiera-tiny"

FAMILY = Family(
    name="grounded",
    segmenter=f"{_HERE}.segmenter:GroundedSegmenter",
    options=f"{_HERE}.options:GroundedOptions",
    models={"grounded": f"{_HERE}.loading:load_grounded"},
    open_spec=f"{_HERE}.loading:load_chosen",
    choices={
        "grounded": Choice(
            understands='noun phrases: "the brown dog", "a dog; a ball"',
            licence="Apache-2.0",
            repos={DETECTOR_REPO: 690_000_000, SEGMENTER_REPO: 156_000_000},
            parameters=211_000_000,
            preference=2,
        )
    },
)
