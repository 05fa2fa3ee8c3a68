# SPDX-License-Identifier: Apache-2.0
"""Golden values of very sparse random projections, format version 1 (words: philox.py; u = word >> 1).

    factor = sqrt(s / k); all sums below are of signs times elements
    s < 16: entry (r, j) by w = word(direction r, coordinate j): not zero if u < floor(2^31 / s + 1/2), - if w is odd
    s >= 16: G = 2^b, the largest power of two <= min(2 s, 8192); cell c holds columns c G ... c G + G - 1
        word i of (r, c) = word(direction i 2^40 + c, coordinate r)
        chance_0 = (1 - 1/s)^G by b squarings, chance_(m+1) = ((chance_m (G - m)) / (m + 1)) ((1/s) / (1 - 1/s)), doubles
        T_m = min(2^31, floor((chance_0 + ... + chance_m) 2^31 + 1/2)); count = number of m in 0 ... 31 with T_m <= u
        halves of words 1, 2, ..., lower first: place = half >> (16 - b), - if half is odd; places taken are passed over
    y = R x: double sums over runs of ceil(parts / 256) parts, then over the runs; times factor in double, rounded to
        float32. The sums of parts are float32. s >= 16: of a cell, in the order of draws; s < 16: of 1024 columns, column
        i added to slot i mod 256, the slots added by halving (i += i + 128, then 64 ...)
    x = R' y: float32 sum over the rows, in their order; times float32(factor)
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


def bits(s):
    b = 5
    while b < 13 and 2**(b + 1) <= 2 * s:
        b += 1
    return b


def limit(s):
    return math.floor(2.0**31 / s + 0.5)


def cells_of_row(seed, s, n, r):
    """For each part a list of (column, sign), in the order of additions."""
    if s < 16:
        for first in range(0, n, 1024):
            words = [(j, philox.word(seed, r, j)) for j in range(first, min(n, first + 1024))]
            yield [(j, -1 if w & 1 else 1) for j, w in words if w >> 1 < limit(s)]
        return
    b = bits(s)
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
            slots = np.zeros(256 if s < 16 else 1, F)
            for j, sign in entries:
                slots[j % slots.size] += x[j] if sign > 0 else -x[j]
            while slots.size > 1:
                slots = slots[:slots.size // 2] + slots[slots.size // 2:]
            total = slots[0]
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
        total = F(0)
        for r in np.nonzero(signs[:, j])[0]:
            total = total + y[r] if signs[r, j] > 0 else total - y[r]
        x.append(total * factor)
    return x


def main():
    philox.check()
    out = Writer()
    random = np.random.RandomState(5)
    cases = [(42, 1, 20, 7), (42, 3, 50, 9), (7, 3, 5000, 2), (7, 2.5, 300000, 1), (2**64 - 1, 3, 10, 300), (1, 15.999, 100, 6),
             (42, 16, 70, 12), (42, 16, 10000, 3), (3, 20.5, 40, 300), (3, 32, 200, 5), (42, 100, 1000, 20),
             (2**63 + 5, 4095.5, 5000, 9), (42, 4096, 20000, 40), (9, 1e6, 30000, 21)]
    for i, (seed, s, n, k) in enumerate(cases):
        rows = [list(cells_of_row(seed, s, n, r)) for r in range(k)]
        x = (random.standard_normal(n) * 10 ** random.uniform(-2, 2, n)).astype(F)
        y = (random.standard_normal(k) * 10 ** random.uniform(-2, 2, k)).astype(F)
        out.line("case", f"projection_{i}")
        for key, value in (("seed", seed), ("s", float(s)), ("inputs", n), ("outputs", k)):
            out.line(key, value)
        out.line("limits", *([limit(s)] if s < 16 else table(s, bits(s))))
        for cells in rows if n < 100000 else []:  # columns from 1 on, with the sign of the entry
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
