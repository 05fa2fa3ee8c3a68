# SPDX-License-Identifier: Apache-2.0
"""Golden trajectories of 8-bit states in blocks of 2048: 25 steps of two rules on 5000 coordinates, three blocks of which
the last is short.

Coordinate i starts at u(i, 0); its gradient at step t = 1, 2, ... is (x + u(i, t)) 2^-(i mod 8), one addition, with u of
decay.py but for n = 5000. The rate is 0.01 at first, times 0.9 after each step, in double. The rules are the float
contracts of adamw.py and lion.py, the quantiser is that of blockwise8.py; x moves with the new states, which are
quantised then.

Every step: the scales, and a digest of x, 64-bit FNV-1a of its bytes. After the last: the codes.
"""
import numpy as np

from adamw import AdamW32
from blockwise8 import SIGNED, TINY, UNSIGNED, hex_codes
from common import Writer
from lion import Lion32

f32 = np.float32
N, BLOCK, STEPS = 5000, 2048, 25


def u(t):
    j = np.arange(N, dtype=np.uint64) + np.uint64(N * t)
    h = (j * np.uint64(2654435761) % np.uint64(2**32)) >> np.uint64(8)
    return (h.astype(np.float64) * 2.0**-23 - 1).astype(f32)


def quantise(book, s):
    """Of one block: scale, codes, values. Points halfway between two entries are exact in double."""
    values = book.values.astype(np.float64)
    middles = (values[:-1] + values[1:]) / 2
    scale = np.max(np.abs(s))
    y = s * (f32(1) / scale) if scale >= TINY else np.zeros_like(s)
    code = np.searchsorted(middles, y.astype(np.float64), side="left")  # a tie: the lower of the two
    tie = (code < 255) & (middles[np.minimum(code, 254)] == y)
    code = np.where(s == 0, book.zero, code + (tie & (code % 2 == 1)))
    if book.signed:
        code = np.where(s < 0, np.minimum(code, book.zero - 1), code)
    return scale, code, book.values[code] * scale


def fnv1a(data):
    h = 0xCBF29CE484222325
    for byte in data:
        h = (h ^ byte) * 0x100000001B3 % 2**64
    return h


def main():
    out = Writer()
    for name, rule in (("adamw", AdamW32(0.9, 0.999, 1e-8, 0.1)), ("lion", Lion32(0.9, 0.99, 0.1))):
        out.line("case", name)
        x, rate = u(0), 0.01
        rule.start(N)
        for t in range(1, STEPS + 1):
            g = (x + u(t)) * (f32(2) ** -(np.arange(N) % 8).astype(f32))
            assert g.dtype == f32
            x = rule.step(rate, x, g)
            assert x.dtype == f32 and np.all(np.isfinite(x))
            out.line("x", f"{fnv1a(x.tobytes()):016x}")
            for state in rule.states:
                s = getattr(rule, state)
                blocks = [quantise(UNSIGNED if state == "v" else SIGNED, s[i:i + BLOCK]) for i in range(0, N, BLOCK)]
                out.line(f"{state}_scales", *(scale for scale, _, _ in blocks))
                setattr(rule, state, np.concatenate([values for _, _, values in blocks]))
                if t == STEPS:
                    out.line(f"{state}_codes", hex_codes(np.concatenate([codes for _, codes, _ in blocks]).tolist()))
            rate *= 0.9
    out.save("blockwise8_2048.txt")


if __name__ == "__main__":
    main()
