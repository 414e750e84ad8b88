"""How questions are worded: noun phrases and full sentences from a lexicon of fewer than 200 words.

`phrase` words a query in one of the trained patterns; with `novel=True` in patterns that training never uses, made of the same words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import product

from saymask.toyworld.motion import Dice
from saymask.toyworld.queries import COMPARISONS, EVENTS, EXTREMES, MOTIONS, ORDERS, RELATIONS, WINDOWS, Query
from saymask.toyworld.shapes import COLOURS, KINDS

_USES: dict[str, tuple[tuple[str, str, str], ...]] = {
    "umbrella": (("keeps", "keep", "you dry in the rain"), ("opens", "open", "when it rains")),
    "fish": (("lives", "live", "in the sea"), ("swims", "swim", "under water")),
    "key": (("opens", "open", "a lock"), ("fits", "fit", "in a lock")),
    "apple": (("tastes", "taste", "sweet"), ("grows", "grow", "on a tree")),
    "car": (("drives", "drive", "on the road"), ("has", "have", "four wheels")),
    "cup": (("holds", "hold", "hot tea"), ("is", "are", "made to drink from")),
    "boat": (("carries", "carry", "people over water"), ("sails", "sail", "over the sea")),
    "hammer": (("hits", "hit", "nails"), ("helps", "help", "you to hit nails")),
    "clock": (("tells", "tell", "the time"), ("shows", "show", "the time")),
    "chair": (("is", "are", "made to sit on"), ("lets", "let", "you sit")),
    "hat": (("keeps", "keep", "your head warm"), ("goes", "go", "on your head")),
    "tree": (("grows", "grow", "in a forest"), ("has", "have", "roots")),
    "bird": (("sings", "sing", "a song"), ("flies", "fly", "with wings")),
}
"""What a kind is for or does, true of no other kind: singular verb, plural verb, the rest."""

_RELATIONS = {
    "above": ("above", "over"),
    "below": ("below", "under"),
    "left of": ("to the left of", "left of"),
    "right of": ("to the right of", "right of"),
}
_EXTREMES = {
    "highest": ("highest", "at the top"),
    "lowest": ("lowest", "at the bottom"),
    "leftmost": ("leftmost", "on the far left"),
    "rightmost": ("rightmost", "on the far right"),
}
"""Adjective, place."""
_MOTIONS: dict[str, tuple[tuple[str, str, str], ...]] = {
    **{way: (("moves", "move", f"moving {way}"), ("goes", "go", f"going {way}")) for way in ("left", "right", "up", "down")},
    "still": (("stays", "stay", "staying still"),),
    "circle": (("moves", "move", "moving in a circle"), ("goes", "go", "going round in a circle")),
    "zigzag": (("moves", "move", "moving in a zigzag"), ("goes", "go", "going in a zigzag")),
    "turn": (("turns", "turn", "turning around"),),
    "bounce": (("moves", "move", "moving back and forth"), ("goes", "go", "going back and forth")),
}
"""Singular verb, plural verb, participle phrase."""
_EVENTS: dict[str, tuple[tuple[str, str], ...]] = {
    "stop": (("stops", "stop"), ("stops moving", "stop moving")),
    "start": (("starts to move", "start to move"), ("starts moving", "start moving")),
    "appear": (("appears", "appear"),),
    "disappear": (("disappears", "disappear"), ("vanishes", "vanish")),
}
_COMPARISONS = {
    "fastest": ("fastest", "quickest"),
    "slowest": ("slowest",),
    "largest": ("largest", "biggest"),
    "smallest": ("smallest",),
}

_ONE = ("Find {}.", "Where is {}?", "Show me {}.", "Please segment {}.", "Can you see {}?", "I am looking for {}.", "Which one is {}?")
MANY = ("Find {}.", "Where are {}?", "Show me {}.", "Please segment {}.", "Can you see {}?", "I am looking for {}.")
_NOVEL = ("Please show me {}.", "Can you find {}?", "Please find {}.", "Can you show me {}?", "I can see {}.", "Segment {}.")


def plural(kind: str) -> str:
    return {"fish": "fish"}.get(kind, f"{kind}s")


def phrase(query: Query, dice: Dice, novel: bool = False) -> tuple[str, bool]:
    """Word a query -> its text, and whether that is a full sentence."""
    if novel:
        nouns = [noun.replace(" that ", " which ") for noun in noun_phrases(query)]
        fresh = [noun for noun in nouns if " which " in noun]
        if fresh and dice.happens(0.5):
            return dice.choice(fresh), False
        return dice.choice(_NOVEL).format(dice.choice(nouns)), True
    if dice.happens(0.45):
        return dice.choice(noun_phrases(query)), False
    asked = questions(query)
    if asked and dice.happens(0.4):
        return dice.choice(asked), True
    return dice.choice(_wrappers(query)).format(dice.choice(noun_phrases(query))), True


def noun_phrases(query: Query) -> list[str]:
    """Every trained way to name what the query means."""
    if query.plural:
        return _plural_phrases(query)
    noun = _noun(query)
    if query.by_use:
        return [f"the {noun} that {verb} {rest}" for verb, _, rest in _USES[query.kind]]
    if query.predicate == "":
        article = "an" if query.kind[0] in "aeiou" else "a"
        return [f"the {noun}", f"the {query.kind} that is {query.colour}", f"the {query.colour} thing that is {article} {query.kind}"]
    if query.predicate in RELATIONS:
        return [f"the {noun} {link}{place}" for place in _places(query) for link in ("", "that is ")]
    if query.predicate in EXTREMES:
        adjective, place = _EXTREMES[query.predicate]
        said = (f"the {adjective} {noun}", f"the {noun} {place}", f"the {noun} that is {place}")
        return [f"{words} {query.window}".strip() for words in said]
    if query.predicate in EVENTS:
        verbs = _EVENTS[query.predicate]
        if query.order == "only":
            return [f"the {noun} that {verb}" for verb, _ in verbs]
        return [p for verb, base in verbs for p in (f"the {query.order} {noun} to {base}", f"the {noun} that {verb} {query.order}")]
    if query.predicate in COMPARISONS:
        words = _COMPARISONS[query.predicate]
        said = [p for word in words for p in (f"the {word} {noun}", f"the {noun} that is the {word}")]
        return said + [f"the {noun} that moves the {word}" for word in words if query.predicate in ("fastest", "slowest")]
    return [p for verb, _, doing in _MOTIONS[query.predicate] for p in (f"the {noun} {doing}", f"the {noun} that {verb} {_after(doing)}")]


def questions(query: Query) -> list[str]:
    """Every trained question that is more than a noun phrase in a frame."""
    noun = _noun(query)
    if query.plural:
        if query.by_use:
            return [f"Which {noun} {verb} {rest}?" for _, verb, rest in _USES[query.kind]]
        if query.predicate:
            return [f"Which {noun} {verb} {_after(doing)}?" for _, verb, doing in _MOTIONS[query.predicate]]
        return [f"Which things are {query.colour or plural(query.kind)}?"]
    if query.by_use:
        return [f"Which {noun} {verb} {rest}?" for verb, _, rest in _USES[query.kind]]
    if query.predicate == "":
        return [f"Which {query.kind} is {query.colour}?"]
    if query.predicate in RELATIONS:
        return [f"Which {noun} is {place}?" for place in _places(query)]
    if query.predicate in EXTREMES:
        adjective, place = _EXTREMES[query.predicate]
        return [f"{asked} {query.window}".strip() + "?" for asked in (f"Which {noun} is {place}", f"Which {noun} is the {adjective}")]
    if query.predicate in EVENTS:
        verbs = _EVENTS[query.predicate]
        if query.order == "only":
            return [f"Which {noun} {verb}?" for verb, _ in verbs]
        return [p for verb, base in verbs for p in (f"Which {noun} {verb} {query.order}?", f"Which {noun} is the {query.order} to {base}?")]
    if query.predicate in COMPARISONS:
        words = _COMPARISONS[query.predicate]
        said = [f"Which {noun} is the {word}?" for word in words]
        return said + [f"Which {noun} moves the {word}?" for word in words if query.predicate in ("fastest", "slowest")]
    return [f"Which {noun} {verb} {_after(doing)}?" for verb, _, doing in _MOTIONS[query.predicate]]


def _plural_phrases(query: Query) -> list[str]:
    noun = _noun(query)
    if query.by_use:
        return [f"all the {noun} that {verb} {rest}" for _, verb, rest in _USES[query.kind]]
    if query.predicate:
        return [
            p
            for one, verb, doing in _MOTIONS[query.predicate]
            for p in (f"all the {noun} that {verb} {_after(doing)}", f"all the {noun} {doing}")
        ]
    if not query.kind:
        return [f"all the {query.colour} things", f"everything {query.colour}", f"all the things that are {query.colour}"]
    return [f"all the {noun}", f"all the things that are {noun}"]


def _noun(query: Query) -> str:
    kind = "thing" if not query.kind or query.by_use else query.kind
    return " ".join(filter(None, (query.colour, plural(kind) if query.plural else kind)))


def _places(query: Query) -> list[str]:
    reference = " ".join(("the", *(query.reference or ())))
    return [f"{way} {reference} {query.window}".strip() for way in _RELATIONS[query.predicate]]


def _after(doing: str) -> str:
    """What follows the verb of a participle phrase: "moving in a circle" -> "in a circle"."""
    return doing.split(" ", 1)[1]


def _wrappers(query: Query) -> tuple[str, ...]:
    return MANY if query.plural else _ONE


def words(text: str) -> list[str]:
    """The lower-case words of a sentence."""
    return re.findall(r"[a-z]+", text.lower())


@cache
def lexicon() -> tuple[str, ...]:
    """All words that training can say, in alphabetical order."""
    said: set[str] = set()
    for query in _every_query():
        for text in (*noun_phrases(query), *questions(query), *_wrappers(query)):
            said.update(words(text))
    return tuple(sorted(said))


def _every_query() -> Iterator[Query]:
    """At least one query of every form, kind, colour and predicate."""
    for colour, kind in product(COLOURS, KINDS):
        yield Query("attribute", kind=kind, colour=colour)
        yield Query("knowledge", kind=kind, colour=colour, by_use=True)
        yield Query("plural", kind=kind, plural=True)
        yield Query("plural", kind=kind, by_use=True, plural=True)
        yield Query("plural", colour=colour, plural=True)
        for predicate, window in product((*RELATIONS, *EXTREMES), WINDOWS):
            yield Query("spatial", predicate, kind=kind, reference=(colour, kind) if predicate in RELATIONS else None, window=window)
    for motion in MOTIONS:
        yield Query("motion", motion)
        yield Query("plural", motion, plural=True)
    for event, order in product(EVENTS, ORDERS):
        yield Query("event", event, order=order)
    for comparison in COMPARISONS:
        yield Query("compare", comparison)
