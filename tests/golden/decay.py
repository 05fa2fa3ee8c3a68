# SPDX-License-Identifier: Apache-2.0
"""Digests of 2000 steps with a rate that decays, n = 1000, of three rules with three storages, and of four rules with a
clock or a sum of their own.

Coordinate i starts at u(i, 0). Its gradient at step t = 1, 2, ... is x + u(i, t), one addition, so what a step rounds
goes into all that follow; u(i, t) = (h(i + 1000 t) >> 8) 2^-23 - 1 with h(j) = j 2654435761 mod 2^32 is exact in float.
The rate is 0.01 at first, times 0.998 after each step, in double. The rules are the float contracts of momentum.py (with
clipping: the norm from reduction.py), adamw.py, lion.py, lamb.py, adamr.py, schedule_free_adamw.py and zero_one_adam.py
(one rank, which meets itself: c = z); states are kept as floats, rounded to bf16, or as blockwise8.py has them.

Digest: 64-bit FNV-1a of 1000 words, word i having taken the bits of coordinate i after each step by
w = (w 0x100000001b3 mod 2^64) xor bits.
"""
import math

import numpy as np

from adamr import AdamR32
from adamw import AdamW32
from blockwise8 import BLOCK, SIGNED, TINY, UNSIGNED
from common import Writer
from lamb import Lamb32
from lion import Lion32
from momentum import Momentum32
from reduction import canonical_sum
from schedule_free_adamw import ScheduleFree32
from zero_one_adam import Schedule, ZeroOneAdam32

f32 = np.float32
N, STEPS, CLIP = 1000, 2000, 10.0


def u(t):
    j = np.arange(N, dtype=np.uint64) + np.uint64(N * t)
    h = (j * np.uint64(2654435761) % np.uint64(2**32)) >> np.uint64(8)
    return (h.astype(np.float64) * 2.0**-23 - 1).astype(f32)


def to_bf16(x):
    bits = x.view(np.uint32)
    bits = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) & np.uint32(0xFFFF0000)
    return bits.view(f32)


class Codes:
    """Quantising as blockwise8.py does it, for finite values, a block at a time; midpoints are exact in double."""

    def __init__(self, book):
        self.book = book
        values = book.values.astype(np.float64)
        self.middles = (values[:-1] + values[1:]) / 2

    def __call__(self, s):
        return np.concatenate([self.block(s[i:i + BLOCK]) for i in range(0, len(s), BLOCK)])

    def block(self, s):
        a = np.max(np.abs(s))
        y = s * (f32(1) / a) if a >= TINY else np.zeros_like(s)
        code = np.searchsorted(self.middles, y.astype(np.float64), side="left")  # a tie: the lower of the two
        tie = (code < 255) & (self.middles[np.minimum(code, 254)] == y)
        code = code + (tie & (code % 2 == 1))
        code = np.where(s == 0, self.book.zero, code)
        if self.book.signed:
            code = np.where(s < 0, np.minimum(code, self.book.zero - 1), code)
        return self.book.values[code] * a


def digest(name, rule, storage):
    kept = {"full": lambda s, k: s, "bf16": lambda s, k: to_bf16(s), "blockwise8": lambda s, k: CODES[k](s)}[storage]
    x, rate = u(0), 0.01
    words = np.zeros(N, np.uint64)
    rule.start(N)
    for t in range(1, STEPS + 1):
        g = x + u(t)
        if name == "momentum":
            ratio = CLIP / (math.sqrt(canonical_sum(g * g)) + 1e-6)
            g = g * f32(1 if ratio > 1 else ratio)
        x = rule.step(rate, x, g)
        if name == "zero_one_adam" and rule.meets:
            x = rule.meet(x, rule.bring(x))
        assert x.dtype == f32 and np.all(np.isfinite(x))
        for k, state in enumerate(rule.states):
            setattr(rule, state, kept(getattr(rule, state), k))
        words = words * np.uint64(0x100000001B3) ^ x.view(np.uint32).astype(np.uint64)
        rate *= 0.998
    h = 0xCBF29CE484222325
    for byte in words.astype("<u8").tobytes():
        h = (h ^ byte) * 0x100000001B3 % 2**64
    return f"{h:016x}"


CODES = [Codes(SIGNED), Codes(UNSIGNED)]


def main():
    sample = (np.random.RandomState(7).standard_normal(512) * 1e-3).astype(f32)
    for codes, data in zip(CODES, (sample, np.abs(sample))):  # against the exact and slow one
        assert np.array_equal(codes(data), codes.book.dequantise(*codes.book.quantise(data)))
    out = Writer()
    out.line("case", "decay")
    rules = {"momentum": lambda: Momentum32(0.9, 0.05, True), "adamw": lambda: AdamW32(0.9, 0.999, 1e-8, 0.1),
             "lion": lambda: Lion32(0.9, 0.99, 0.1), "lamb": lambda: Lamb32(0.9, 0.999, 1e-6, 0.1),
             "adamr": lambda: AdamR32(0.5, False, False),
             "schedule_free_adamw": lambda: ScheduleFree32(0.9, 0.999, 1e-8, 0.1, 100, False),
             "zero_one_adam": lambda: ZeroOneAdam32(0.9, 0.999, 1e-8, 0.1, Schedule(1000, 16, 200, 8))}
    for name, rule in rules.items():
        for storage in ("full", "bf16", "blockwise8") if name in ("momentum", "adamw", "lion") else ("full",):
            out.line("digest", name, storage, digest(name, rule(), storage))
    out.save("decay.txt")


if __name__ == "__main__":
    main()
