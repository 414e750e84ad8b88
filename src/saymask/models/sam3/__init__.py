"""SAM 3 (arXiv 2511.16719): noun phrases to tracks of all their objects, by one model."""

from saymask.models.family import Choice, Family

_HERE = "saymask.models.sam3"
REPO = "facebook/sam3"

FAMILY = Family(
    name="sam3",
    segmenter=f"{_HERE}.segmenter:Sam3Segmenter",
    options=f"{_HERE}.options:Sam3Options",
    models={"sam3": f"{_HERE}.loading:load_sam3"},
    open_spec=f"{_HERE}.loading:load_copy",
    choices={
        "sam3": Choice(
            understands='noun phrases with attributes: "the player in white"; several objects of each',
            licence="SAM License",
            repos={REPO: 3_440_000_000},
            parameters=860_000_000,
            preference=3,
            gate=f"accept the licence at https://huggingface.co/{REPO} and run `hf auth login` before",
        )
    },
)
