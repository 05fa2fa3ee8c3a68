# SPDX-License-Identifier: Apache-2.0
"""Golden trajectories of AdamW and Lion with parameters in double, bfloat16 and binary16, to the bit.

The rules (adamw.py, lion.py), every operation rounded once to T: float64 for double parameters, else float32;
coefficients are double values rounded once to T. Between steps a low-precision parameter is one of its format's numbers:

    nearest         T(x), a step, the nearest number (ties to even)
    float_master    the rule works on a float32 copy w, begun at T(x); x is the number nearest to w. Where x is not
                    that number when a step begins, somebody has written it: w = T(x) there
    stochastic      with |x| = (k + f) u, u the distance of numbers at |x| (2^(max(e, emin) + 1 - p), 2^e <= |x| < 2^(e+1)),
                    0 <= f < 1, b = 16 for bf16, 13 for half, 20 for half below 2^-14, r the upper b bits of a word:
                    (k + 1) u if floor(2^b f) + r >= 2^b, else k u; the sign stays. 2^(emax + 1) and more is infinity
    word            Philox: word(derive(seed, 0x726f756e64), t, j), t = 1, 2, ... the step, j the coordinate's address:
                    tensors begin at multiples of 128. Here they are two, of 10 and 14 elements

Parameters are written as 16-bit patterns. Lines `wrote t i pattern`: before step t somebody writes coordinate i.
"""
import math

import numpy as np

from common import Writer, draw
from philox import derive, word

FORMATS = {"bf16": (8, -126, 127), "half": (11, -14, 15)}  # precision, exponents of the least and the largest normal
SEED, TAG = 0x123456789ABCDEF0, 0x726F756E64
SIZES = (10, 14)
ADDRESS = [128 * k + i for k, size in enumerate(SIZES) for i in range(size)]


class AdamW:
    def __init__(self, kind, weight_decay):
        self.kind, self.weight_decay, self.p1, self.p2 = kind, weight_decay, 1.0, 1.0
        self.m, self.v = np.zeros(24, kind), np.zeros(24, kind)

    def step(self, lr, x, g):
        kind = self.kind
        self.p1, self.p2 = self.p1 * 0.9, self.p2 * 0.999
        rate, unbias = kind(lr / (1 - self.p1)), kind(1 / math.sqrt(1 - self.p2))
        self.m = (kind(0.9) * self.m) + (kind(1 - 0.9) * g)
        self.v = (kind(0.999) * self.v) + (kind(1 - 0.999) * (g * g))
        x = kind(1 - lr * self.weight_decay) * x
        return x - (rate * (self.m / ((unbias * np.sqrt(self.v)) + kind(1e-8))))


class Lion:
    def __init__(self, kind, weight_decay):
        self.kind, self.weight_decay, self.m = kind, weight_decay, np.zeros(24, kind)

    def step(self, lr, x, g):
        kind = self.kind
        c = (kind(0.9) * self.m) + (kind(1 - 0.9) * g)
        x = (kind(1 - lr * self.weight_decay) * x) - (kind(lr) * np.sign(c))
        self.m = (kind(0.99) * self.m) + (kind(1 - 0.99) * g)
        return x


def value(name, pattern):
    """Of a pattern of 16 bits; all that occur are finite."""
    p, emin, _ = FORMATS[name]
    fraction, exponent = pattern % 2 ** (p - 1), pattern % 2**15 >> (p - 1)
    size = math.ldexp(fraction + (2 ** (p - 1) if exponent else 0), max(exponent, 1) - 1 + emin + 1 - p)
    return -size if pattern >> 15 else size


def to_pattern(name, x, w=None):
    """The number nearest to a finite x, or with a word w that of stochastic rounding."""
    p, emin, emax = FORMATS[name]
    size = abs(float(x))
    e = max(math.frexp(size)[1] - 1, emin) if size else emin
    places = math.ldexp(size, p - 1 - e)  # in multiples of u: exact
    k = math.floor(places)
    if w is None:
        k = round(places)
    else:
        b = 16 if name == "bf16" else 20 if size < 2.0**emin else 13
        k += math.floor(math.ldexp(places - k, b)) + (w >> (32 - b)) >> b
    if math.ldexp(k, e + 1 - p) >= 2.0 ** (emax + 1):
        pattern = (2 * emax + 1) << (p - 1)
    elif k < 2 ** (p - 1):
        pattern = k
    else:  # the exponent's field grows by one where k has become 2^p
        pattern = ((e - emin) << (p - 1)) + k
    return pattern | (math.copysign(1, x) < 0) << 15


def check():
    for name, x, pattern in (("bf16", 1.0, 0x3F80), ("bf16", -3.140625, 0xC049), ("bf16", 1 + 2**-8, 0x3F80),
                             ("bf16", 1 + 3 * 2**-8, 0x3F82), ("bf16", 3.4e38, 0x7F80), ("bf16", 2.0**-133, 1),
                             ("half", 1.0, 0x3C00), ("half", 65504, 0x7BFF), ("half", 65519.9, 0x7BFF), ("half", 65520, 0x7C00),
                             ("half", 2.0**-24, 1), ("half", 2.0**-25, 0), ("half", 3 * 2.0**-25, 2), ("half", -0.0, 0x8000)):
        assert to_pattern(name, x) == pattern, (name, x)
    for pattern in range(2**15):
        for name, top in (("bf16", 0x7F80), ("half", 0x7C00)):
            if pattern < top:
                assert to_pattern(name, value(name, pattern)) == pattern
    assert to_pattern("half", 1 + 2**-11, 0x80000000) == 0x3C01 and to_pattern("half", 1 + 2**-11, 0x7FFFFFFF) == 0x3C00
    assert derive(42, 0) == 0x39046177A60D816E


def low_precision(out, name, rounding, rule, rates, x0, gradients, wrote):
    widened = lambda patterns: np.array([value(name, b) for b in patterns], np.float32)
    x = [to_pattern(name, v) for v in x0]
    out.line("x0", *x)
    copy = widened(x)
    seed = derive(SEED, TAG)
    for t, (lr, g) in enumerate(zip(rates, gradients), start=1):
        for at, i, pattern in wrote:
            if at == t:
                x[i] = pattern
                copy[i] = value(name, pattern)
                out.line("wrote", t, i, pattern)
        now = rule.step(lr, copy if rounding == "float_master" else widened(x), g)
        words = [word(seed, t, j) for j in ADDRESS] if rounding == "stochastic" else [None] * 24
        x = [to_pattern(name, v, w) for v, w in zip(now, words)]
        assert now.dtype == np.float32 and np.all(np.isfinite(now))
        out.line("x", *x)
        if rounding == "float_master":
            copy = now
            out.line("master", *copy)


def main():
    check()
    out = Writer()
    x0, gradients = draw(900)
    x0 = x0.astype(np.float32)
    rates = {"adamw": 0.002, "lion": 0.0007}
    out.line("case", "gradients")
    for g in gradients:
        out.line("g", *g)
    for title, rule in (("adamw", AdamW), ("lion", Lion)):
        r = rates[title] / np.sqrt(np.arange(1, 26))
        out.line("case", f"{title}_double")
        out.config({"weight_decay": 0.1})
        out.line("x0", *x0)
        x, exact = x0.astype(np.float64), rule(np.float64, 0.1)
        for lr, g in zip(r, gradients):
            x = exact.step(lr, x, g.astype(np.float64))
            out.line("lr", float(lr))
            out.line("x", *x)
        for name in FORMATS:
            for rounding in ("nearest", "stochastic", "float_master"):
                scales = (1,) if name == "bf16" else (1, 2.0**-16)  # the second: below half's least normal number
                for scale in scales:
                    out.line("case", f"{title}_{name}_{rounding}" + ("" if scale == 1 else "_tiny"))
                    out.config({"weight_decay": 0.1})
                    for lr in r:
                        out.line("lr", float(lr * scale))
                    wrote = [(9, 3, 0x1234), (14, 20, 0x8000), (14, 0, 0x3C01)]
                    low_precision(out, name, rounding, rule(np.float32, 0.1), r * scale, x0 * np.float32(scale), gradients,
                                  wrote)
    out.save("types.txt")


if __name__ == "__main__":
    main()
