"""Words of a query that a model has never seen, where its configuration lists those of its training."""

from __future__ import annotations

import re
from collections.abc import Sequence


def unknown_words(query: str, lexicon: Sequence[str]) -> list[str]:
    """Words that are not in the lexicon, upper and lower case being the same; none if there is no lexicon."""
    known = {word.lower() for word in lexicon}
    words = re.findall(r"[\w'-]+", query.lower())
    return [word for word in dict.fromkeys(words) if known and word not in known]
