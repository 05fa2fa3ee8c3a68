# SPDX-License-Identifier: Apache-2.0
"""Golden values of very sparse random projections, format version 1 (words: philox.py; u = word >> 1).

    factor = sqrt(s / k); all sums below are of signs times elements
    s < 16: entry (r, j) by w = word(direction j, coordinate r): not zero if u < floor(2^31 / s + 1/2), - if w is odd
    s >= 16: G = 2^b, the largest power of two <= min(2 s, 8192); cell c holds columns c G ... c G + G - 1
        word i of (r, c) = word(direction i 2^40 + c, coordinate r)
        chance_0 = (1 - 1/s)^G by b squarings, chance_(m+1) = ((chance_m (G - m)) / (m + 1)) ((1/s) / (1 - 1/s)), doubles
        T_m = min(2^31, floor((chance_0 + ... + chance_m) 2^31 + 1/2)); count = number of m in 0 ... 31 with T_m <= u
        halves of words 1, 2, ..., lower first: place = half >> (16 - b), - if half is odd; places taken are passed over
    y = R x: float32 sums of a cell (16 columns where s < 16) in the order of columns (s < 16) or of draws; double sums
        over runs of ceil(cells / 256) cells, then over the runs; times factor in double, rounded to float32
    x = R' y, s >= 16: float32 sum over the rows; s < 16: rows in runs of 256, missing ones 0, slots added by halving
        (i += i + 128, then 64 ...) in float32; the runs in double, rounded. Times float32(factor).
"""
import math

import numpy as np

import philox
from common import Writer

F = np.float32


def table(s, b):
    p = 1.0 / s
    q = 1.0 - p
    odds = p / q
    chance = q
    for _ in range(b):
        chance *= chance
    below, out = 0.0, []
    for m in range(32):
        below += chance
        out.append(min(2**31, math.floor(below * 2.0**31 + 0.5)))
        chance = chance * float(2**b - m) / float(m + 1) * odds
    return out


def cells_of_row(seed, s, n, r):
    """For each cell a list of (column, sign), in the order of additions."""
    if s < 16:
        limit = math.floor(2.0**31 / s + 0.5)
        for first in range(0, n, 16):
            words = [(j, philox.word(seed, j, r)) for j in range(first, min(n, first + 16))]
            yield [(j, -1 if w & 1 else 1) for j, w in words if w >> 1 < limit]
        return
    b = 5
    while b < 13 and 2**(b + 1) <= 2 * s:
        b += 1
    limits = table(s, b)
    for cell in range(-(-n // 2**b)):
        u = philox.word(seed, cell, r) >> 1
        count = sum(t <= u for t in limits)
        places = {}
        i = 1
        while len(places) < count:
            word = philox.word(seed, i << 40 | cell, r)
            for half in (word & 0xFFFF, word >> 16):
                if len(places) < count:
                    places.setdefault(half >> (16 - b), -1 if half & 1 else 1)
            i += 1
        yield [(cell * 2**b + place, sign) for place, sign in places.items() if cell * 2**b + place < n]


def apply(rows, s, x, k):
    y = []
    for cells in rows:
        found = []
        for entries in cells:
            total = F(0)
            for j, sign in entries:
                total = total + x[j] if sign > 0 else total - x[j]
            found.append(float(total))
        run = -(-len(found) // 256)
        total = None
        for first in range(0, len(found), run):
            part = found[first]
            for more in found[first + 1:first + run]:
                part += more
            total = part if total is None else total + part
        y.append(F(total * math.sqrt(s / k)))
    return y


def halving(terms):
    slots = np.zeros(256, F)
    slots[:len(terms)] += np.array(terms, F)
    half = 128
    while half:
        slots[:half] += slots[half:2 * half]
        half //= 2
    return slots[0]


def transpose(rows, s, y, n):
    k = len(rows)
    factor = F(math.sqrt(s / k))
    signs = np.zeros((k, n), np.int8)
    for r, cells in enumerate(rows):
        for entries in cells:
            for j, sign in entries:
                signs[r, j] = sign
    x = []
    for j in range(n):
        if s < 16:
            total = 0.0
            for first in range(0, k, 256):
                total += float(halving([F(signs[r, j]) * y[r] for r in range(first, min(k, first + 256))]))
            total = F(total)
        else:
            total = F(0)
            for r in np.nonzero(signs[:, j])[0]:
                total = total + y[r] if signs[r, j] > 0 else total - y[r]
        x.append(total * factor)
    return x


def main():
    philox.check()
    out = Writer()
    random = np.random.RandomState(5)
    cases = [(42, 1, 20, 7), (42, 3, 50, 9), (7, 3, 5000, 2), (2**64 - 1, 3, 10, 300), (1, 15.999, 100, 6),
             (42, 16, 70, 12), (42, 16, 10000, 3), (3, 20.5, 40, 300), (3, 32, 200, 5), (42, 100, 1000, 20),
             (2**63 + 5, 4095.5, 5000, 9), (42, 4096, 20000, 40), (9, 1e6, 30000, 21)]
    for i, (seed, s, n, k) in enumerate(cases):
        rows = [list(cells_of_row(seed, s, n, r)) for r in range(k)]
        x = (random.standard_normal(n) * 10 ** random.uniform(-2, 2, n)).astype(F)
        y = (random.standard_normal(k) * 10 ** random.uniform(-2, 2, k)).astype(F)
        out.line("case", f"projection_{i}")
        for key, value in (("seed", seed), ("s", float(s)), ("inputs", n), ("outputs", k)):
            out.line(key, value)
        for cells in rows:  # columns from 1 on, with the sign of the entry
            out.line("row", *(sign * (j + 1) for entries in cells for j, sign in entries))
        small = n <= 1000
        if small:
            out.line("x", *x)
            out.line("y", *apply(rows, s, x, k))
            out.line("from", *y)
            out.line("transposed", *transpose(rows, s, y, n))
        else:  # short numbers
            x = (np.arange(n) * 7919 % 1021 / 64 - 8).astype(F) * F(1.001)
            out.line("y", *apply(rows, s, x, k))
    out.save("very_sparse.txt")


if __name__ == "__main__":
    main()
