"""Label Studio's run lengths of brush masks: bits, as the library rle-pack (thi.ng/umbrella) writes them.

    32 bits: number of values   5 bits: bits of a value - 1   4 x 4 bits: the four sizes of a length, each - 1
    then blocks: 1 bit (1: one value repeated, 0: values one by one)   2 bits: which size   the number of values - 1   the value(s)

A mask is an image in RGBA, row by row: each pixel is four values, 255 inside and 0 outside.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_CHANNELS = 4
_VALUE_BITS = 8
_SIZES = (3, 4, 8, 16)
_HEADER_BITS = 32 + 5 + 4 * len(_SIZES)


def encode(mask_HW: np.ndarray) -> list[int]:
    """A bool mask_HW as bytes."""
    flat = np.asarray(mask_HW, dtype=bool).ravel()
    bounds = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1, [flat.size]])
    bits = [f"{flat.size * _CHANNELS:032b}", f"{_VALUE_BITS - 1:05b}", *(f"{size - 1:04b}" for size in _SIZES)]
    for start, stop in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        value = f"{255 if flat[start] else 0:08b}"
        left = (stop - start) * _CHANNELS
        while left:
            length = min(left, 2 ** _SIZES[-1])
            which = next(place for place, size in enumerate(_SIZES) if length <= 2**size)
            bits.append(f"1{which:02b}{length - 1:0{_SIZES[which]}b}{value}")
            left -= length
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return list(int(text, 2).to_bytes(len(text) // 8, "big"))


def decode(data: Sequence[int], height: int, width: int) -> np.ndarray:
    """Bytes -> bool mask_HW, what is not transparent.

    Raises:
        ValueError: they are of another size, or cut off.
    """
    bits = "".join(f"{byte:08b}" for byte in bytes(data))
    num_values = int(bits[:32] or "0", 2)
    if num_values != height * width * _CHANNELS:
        raise ValueError(f"{num_values} values, expected {height * width * _CHANNELS} of {width} x {height} pixels")
    value_bits = int(bits[32:37], 2) + 1
    sizes = [int(bits[start : start + 4], 2) + 1 for start in range(37, _HEADER_BITS, 4)]
    values = np.zeros(num_values, dtype=np.uint8)
    place, done = _HEADER_BITS, 0
    while done < num_values:
        is_run, which = bits[place : place + 1] == "1", int(bits[place + 1 : place + 3], 2)
        place += 3
        length = int(bits[place : place + sizes[which]], 2) + 1
        place += sizes[which]
        stop = min(done + length, num_values)
        if is_run:
            values[done:stop] = min(255, int(bits[place : place + value_bits], 2))
            place += value_bits
        else:
            for index in range(done, stop):
                values[index] = min(255, int(bits[place : place + value_bits], 2))
                place += value_bits
        done = stop
    return values.reshape(height, width, _CHANNELS)[..., 3] > 0
