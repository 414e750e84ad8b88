"""The default computes the definitions, and every protocol is known by its name."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

from saymask.errors import UnknownName
from saymask.metrics.protocols import DAVIS2017, PROTOCOLS, SAYMASK, VIDEOLISA_RELEASE, VISA_RELEASE, protocol_named


def test_the_default_has_every_switch_off():
    on = {name for name, value in asdict(SAYMASK).items() if value not in (False, None, {})}
    assert on == {"name", "mask_value"} and SAYMASK.mask_value == 1


@pytest.mark.parametrize("protocol", [DAVIS2017, VISA_RELEASE, VIDEOLISA_RELEASE], ids=lambda protocol: protocol.name)
def test_protocols_are_found_by_name(protocol):
    assert protocol_named(protocol.name) is protocol
    assert protocol != SAYMASK


def test_an_unknown_name_is_answered_with_the_closest():
    assert list(PROTOCOLS) == ["saymask", "davis2017", "visa-release", "videolisa-release"]
    with pytest.raises(UnknownName, match=r"^unknown protocol 'davis17'; did you mean 'davis2017'\?$"):
        protocol_named("davis17")


def test_rounding_is_of_per_cent():
    assert SAYMASK.rounded(0.123456) == 0.123456
    assert VISA_RELEASE.rounded(0.123456) == pytest.approx(0.1235, abs=1e-15)


def test_instances_are_united_or_added_as_bytes():
    instances_NTHW = np.ones((257, 1, 1, 2), dtype=bool)
    instances_NTHW[2:, 0, 0, 0] = False
    assert SAYMASK.merged(instances_NTHW).tolist() == [[[1, 1]]]
    assert VISA_RELEASE.merged(instances_NTHW).tolist() == [[[2, 257 - 256]]]
    assert SAYMASK.merged(instances_NTHW).dtype == VISA_RELEASE.merged(instances_NTHW).dtype == np.uint8
