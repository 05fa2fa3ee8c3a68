# SPDX-License-Identifier: Apache-2.0
"""Golden results of the canonical reduction (sum and sum of squares) of the float data

    x_j = (((j*2654435761 mod 2^32) >> 8) * 2^-24 - 0.5) * 2^((j mod 7) - 3)      (exact in float)

Tiles of 16384 elements. In a tile, element j is added to slot j mod 256 in increasing j (slots start at 0, every
addition and every square rounds once to float), then s[i] += s[i+128] for i < 128, then 64, 32, ..., 1: slot 0 is the
tile's result. The tile results are converted to double and combined by the same procedure in double, again in tiles of
16384, until one value is left; no elements give 0. `sum_double` and `squares_double` do the same with the elements
converted to double first and every operation in double.
"""
import numpy as np

from common import Writer

TILE, SLOTS = 16384, 256


def data(n):
    j = np.arange(n, dtype=np.uint64)
    hashed = (j * np.uint64(2654435761) % np.uint64(2**32)) >> np.uint64(8)
    x = (hashed.astype(np.float64) * 2.0**-24 - 0.5) * 2.0 ** ((j % np.uint64(7)).astype(np.float64) - 3)
    assert np.all(x == x.astype(np.float32))
    return x.astype(np.float32)


def tile_sum(x):
    slots = np.zeros(SLOTS, x.dtype)
    for row in range(0, len(x), SLOTS):
        part = x[row:row + SLOTS]
        slots[:len(part)] += part
    half = SLOTS // 2
    while half:
        slots[:half] += slots[half:2 * half]
        half //= 2
    return slots[0]


def canonical_sum(x):
    if len(x) == 0:
        return 0.0
    partial = np.array([tile_sum(x[i:i + TILE]) for i in range(0, len(x), TILE)]).astype(np.float64)
    return float(partial[0]) if len(partial) == 1 else canonical_sum(partial)


def check():
    """Whole numbers are summed exactly in any order; the golden data are not (the order matters)."""
    assert canonical_sum(np.arange(1, 5000, dtype=np.float32)) == 4999 * 5000 / 2
    x = data(16384)
    sequential = np.float32(0)
    for value in x:
        sequential += value
    assert canonical_sum(x) != sequential and abs(canonical_sum(x) - np.sum(x.astype(np.float64))) < 1e-3


def main():
    check()
    out = Writer()
    for n in (0, 1, 255, 256, 257, 4095, 4097, 16384, 16385, 100003):
        x = data(n)
        double = x.astype(np.float64)
        out.line("case", f"n{n}")
        out.line("n", n)
        out.line("sum", canonical_sum(x))
        out.line("squares", canonical_sum(x * x))
        out.line("sum_double", canonical_sum(double))
        out.line("squares_double", canonical_sum(double * double))
    out.save("reduction.txt")


if __name__ == "__main__":
    main()
