"""From a sentence to the noun phrases in it, by rule: what the model was trained on."""

from __future__ import annotations

import re

from saymask.errors import ConfigError

LEAD_IN = re.compile(r"^(please\s+)?(segment|find|track|show|mask|highlight)\s+(me\s+)?", re.IGNORECASE)
CLAUSE = re.compile(r"\s+(that|which|who|whose|while|when|where|because|after|before|until|is|are|was|were)\b.*$", re.IGNORECASE)
ARTICLE = re.compile(r"^(the|a|an|all|every|each|any|some)\s+(of\s+the\s+)?", re.IGNORECASE)
QUESTION = re.compile(r"^(who|what|which|where|when|why|how|is|are|does|do|can)\b", re.IGNORECASE)


def noun_phrases(query: str) -> list[str]:
    """Head nouns with their attributes; articles, requests and clauses are cut off, each phrase stands once.

    "Please segment the dog that barks, and all red balls" -> ["dog", "red balls"]

    Raises:
        ConfigError: a question, which takes reasoning, or nothing that could be a phrase.
    """
    if query.strip().endswith("?") or QUESTION.match(query.strip()):
        raise ConfigError(
            f"query {query!r} is a question; this model finds noun phrases. Name what you look for, or use -m agent, which reasons"
        )
    parts = re.split(r"[;,.]", LEAD_IN.sub("", query.strip()))
    phrases = [_phrase(part) for part in parts]
    found = list(dict.fromkeys(phrase for phrase in phrases if phrase))
    if not found:
        raise ConfigError(f'query {query!r} names nothing; give noun phrases, such as "the brown dog; a ball"')
    return found


def _phrase(part: str) -> str:
    part = re.sub(r"^\s*(and|or)\s+", "", part, flags=re.IGNORECASE).strip()
    return ARTICLE.sub("", CLAUSE.sub("", part)).strip()
