"""What published evaluation scripts compute differently, one named switch per difference.

The defaults of `Protocol` are the definitions: every expression counts, nothing is rounded, masks are binary. That is `SAYMASK`, under
which all our numbers are computed. The other protocols reproduce the numbers of one script each, quirks included, so that a published
figure can be compared with what it really measures. Each is written as its differences and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from saymask.errors import UnknownName
from saymask.lookup import suggest


@dataclass(frozen=True)
class Protocol:
    """How scores are computed where scripts disagree.

    Expressions (ReVOS, MeViS, ReasonVOS):
        skip_missing: an expression without a prediction is left out of the means; otherwise it scores 0.
        percent_decimals: round an expression's scores to so many decimals of a per cent before averaging them; None = never.
        mask_value: what a predicted pixel weighs in accuracy and R. A mask read from a 0/255 picture and not made binary weighs 255.
        wrapping_sum: an expression's instances are added up as bytes, so that a pixel of two instances is worth 2; otherwise they
            are united. R subtracts the truth from 1, which for 2 wraps to 255.
    Images:
        epsilons: divisors carry the script's small constants (R's as well), which lowers scores by up to 1e-5; cIoU of nothing
            against nothing becomes 0.
    DAVIS:
        byte_bins: positions in a series of frames are kept as bytes, so decay is wrong from 256 frames on.
        first_frame_objects: only objects up to the largest label of the first true frame exist; otherwise of any frame.
        drop_end_frames: the semi-supervised task leaves out the first and the last frame.
        ignore_void: the semi-supervised task takes void pixels for background.
        pad_proposals: empty proposals are added until every true object gets one, surplus ones are free, and objects are listed in the
            order of their proposals; otherwise an object without a proposal and a surplus proposal both score 0.
        max_proposals: a proposal with a higher label is an error.
        merge_expressions: Ref-DAVIS17 draws the answers of one annotator into one label map and matches its labels anew;
            otherwise every answer is compared with the object that was asked for.
    """

    name: str
    skip_missing: bool = False
    percent_decimals: int | None = None
    mask_value: int = 1
    wrapping_sum: bool = False
    epsilons: bool = False
    byte_bins: bool = False
    first_frame_objects: bool = False
    drop_end_frames: bool = False
    ignore_void: bool = False
    pad_proposals: bool = False
    max_proposals: int | None = None
    merge_expressions: bool = False

    def rounded(self, share: float) -> float:
        """Round a share (0 ... 1) the way the script rounds an expression's score."""
        return share if self.percent_decimals is None else round(100 * share, self.percent_decimals) / 100

    def merged(self, instances_NTHW: np.ndarray) -> np.ndarray:
        """Merge an expression's instances -> uint8 truth_THW."""
        present_NTHW = np.asarray(instances_NTHW, dtype=bool)
        return np.asarray(present_NTHW.sum(axis=0, dtype=np.uint8) if self.wrapping_sum else present_NTHW.any(axis=0), dtype=np.uint8)


SAYMASK = Protocol("saymask")

DAVIS2017 = Protocol(
    "davis2017",
    byte_bins=True,
    first_frame_objects=True,
    drop_end_frames=True,
    ignore_void=True,
    pad_proposals=True,
    max_proposals=20,
)

VISA_RELEASE = Protocol("visa-release", percent_decimals=2, mask_value=255, wrapping_sum=True, epsilons=True)

VIDEOLISA_RELEASE = replace(
    DAVIS2017,
    name="videolisa-release",
    skip_missing=True,
    epsilons=True,
    merge_expressions=True,
)

PROTOCOLS: Mapping[str, Protocol] = {protocol.name: protocol for protocol in (SAYMASK, DAVIS2017, VISA_RELEASE, VIDEOLISA_RELEASE)}


def protocol_named(name: str) -> Protocol:
    """Return one of `PROTOCOLS`.

    Raises:
        UnknownName: there is none of that name.
    """
    if name not in PROTOCOLS:
        raise UnknownName(f"unknown protocol {name!r}; {suggest(name, PROTOCOLS)}")
    return PROTOCOLS[name]
