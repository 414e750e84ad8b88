"""A vision-language model proposes what a sentence means, another family finds and tracks it, and the first one verifies the tracks."""

from saymask.models.family import Choice, Family

_HERE = "saymask.models.agent"

FAMILY = Family(
    name="agent",
    segmenter=f"{_HERE}.segmenter:AgentSegmenter",
    options=f"{_HERE}.options:AgentOptions",
    open_spec=f"{_HERE}.loading:load_agent",
    choices={
        "agent": Choice(
            understands='any sentence or question, with "not in this video": "the one who will win"',
            licence="that of the vision-language model you name; needs grounded as well (saymask fetch grounded)",
            how="-m agent:http://HOST/v1#NAME",
        )
    },
)
