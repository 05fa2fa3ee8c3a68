# SPDX-License-Identifier: Apache-2.0
"""Golden data of 8-bit block-wise optimizer states: code books, quantised blocks, trajectories.

Code book (256 sorted floats, values built in double and rounded once): for i = 0..6 the centres of N_i equal cells of
[0.1, 1] times 10^(i-6), N_i = 2^i (signed, with the negatives) or 2^(i+1) (unsigned); then 0 and 1.

Quantise a block s of floats: a = max |s| over the finite values; inv = 1/a and y = s*inv, each rounded once to float,
y = 0 if a < 2^-126; code = index of the book entry nearest to y, compared exactly, ties to the even index. Signed book:
a strictly negative s gets at most 126, s = 0 gets 127. +inf -> 255, -inf -> 0, NaN -> code of zero (127 or 0).
Dequantise: book[code]*a rounded once to float. A fresh state has the value 0 everywhere.

Trajectories: the float contract rules of momentum.py, adam.py, adamw.py, lion.py and others on dequantised states; x moves with
the unrounded new m, v; then m is quantised with the signed book, v and max_v with the unsigned one, in blocks of 256
(the last one shorter).
"""
import bisect
from fractions import Fraction

import numpy as np

from adagrad import Adagrad32
from adam import Adam32
from adamr import AdamR32
from adamw import AdamW32
from common import Writer
from lamb import Lamb32
from lars import Lars32
from lion import Lion32
from momentum import Momentum32
from nadamw import NAdamW32
from rmsprop import RMSprop32
from zero_one_adam import Schedule, ZeroOneAdam32

f32 = np.float32
BLOCK = 256
TINY = f32(2.0**-126)


def nearest_float(value):
    """The float nearest to a Fraction, rounded once."""
    guess = f32(float(value))
    candidates = [np.nextafter(guess, f32(-np.inf)), guess, np.nextafter(guess, f32(np.inf))]
    distances = sorted((abs(Fraction(float(c)) - value), float(c)) for c in candidates)
    assert distances[0][0] < distances[1][0]
    return f32(distances[0][1])


def book(signed):
    positive, exact = [], []
    for i in range(7):
        n = 2**i if signed else 2 ** (i + 1)
        edges = np.linspace(0.1, 1, n + 1)
        positive += list((edges[:-1] + edges[1:]) / 2 * 10.0 ** (i - 6))
        exact += [(Fraction(1, 10) + Fraction(9, 10) * Fraction(2 * k + 1, 2 * n)) * Fraction(10) ** (i - 6)
                  for k in range(n)]
    assert [f32(value) for value in positive] == [nearest_float(value) for value in exact]
    values = positive + ([-value for value in positive] if signed else []) + [0.0, 1.0]
    result = np.sort(np.array(values)).astype(f32)
    assert len(result) == 256 and np.all(np.diff(result) > 0)
    return result


class Book:
    def __init__(self, signed):
        self.signed = signed
        self.name = "signed" if signed else "unsigned"
        self.values = book(signed)
        self.exact = [Fraction(float(value)) for value in self.values]
        self.zero = self.exact.index(0)

    def nearest(self, y):
        """Index of the entry nearest to the float y, in exact arithmetic, ties to the even index."""
        y = Fraction(float(y))
        upper = bisect.bisect_left(self.exact, y)
        if upper == 0 or upper == 256:
            return min(upper, 255)
        lower = upper - 1
        below, above = y - self.exact[lower], self.exact[upper] - y
        if below == above:
            return lower if lower % 2 == 0 else upper
        return lower if below < above else upper

    def code(self, s, y):
        if np.isnan(s):
            return self.zero
        if np.isinf(s):
            return 255 if s > 0 else 0
        if s == 0:
            return self.zero
        index = self.nearest(y)
        return min(index, self.zero - 1) if self.signed and s < 0 else index

    def quantise_block(self, s):
        assert s.dtype == f32 and len(s) <= BLOCK
        a = np.max(np.abs(s[np.isfinite(s)]), initial=f32(0))
        assert a.dtype == f32
        y = np.zeros_like(s)
        if a >= TINY:
            finite = np.where(np.isfinite(s), s, f32(0))
            y = finite * (f32(1) / a)
        assert y.dtype == f32
        return a, [self.code(*pair) for pair in zip(s, y)]

    def dequantise_block(self, a, codes):
        return self.values[codes] * a

    def quantise(self, s):
        """Absmax of every block and the codes of a whole tensor."""
        pairs = [self.quantise_block(s[i:i + BLOCK]) for i in range(0, len(s), BLOCK)]
        return [a for a, _ in pairs], [code for _, codes in pairs for code in codes]

    def dequantise(self, absmax, codes):
        return np.concatenate([self.dequantise_block(a, codes[i * BLOCK:(i + 1) * BLOCK])
                               for i, a in enumerate(absmax)])


SIGNED, UNSIGNED = Book(True), Book(False)


def check():
    """Worked numbers: book entries and one signed block."""
    for which, expected in [
            (SIGNED, {0: -0.99296874, 1: -0.97890627, 63: -0.10703125, 64: -0.09859375, 126: -5.5e-7, 127: 0,
                      128: 5.5e-7, 129: 3.25e-6, 191: 0.10703125, 192: 0.12109375, 254: 0.99296874, 255: 1}),
            (UNSIGNED, {0: 0, 1: 3.25e-7, 64: 0.01210937, 127: 0.10351563, 128: 0.11054687, 191: 0.55351561,
                        254: 0.99648440, 255: 1})]:
        for index, value in expected.items():  # the worked numbers come from a float build, to eight decimals
            assert abs(float(which.values[index]) - value) <= 1.6e-7 * abs(value) + 5e-9 * (abs(value) > 1e-3)
    a, codes = SIGNED.quantise_block(np.array([0.5, -1, -1e-9, 0.02], f32))
    assert a == 1 and codes == [219, 0, 126, 162]
    expected = [0.50078124, -0.99296874, -5.5e-7, 0.01984375]
    assert np.allclose(SIGNED.dequantise_block(a, codes), expected, rtol=1.6e-7, atol=0)
    for which in (SIGNED, UNSIGNED):
        assert which.quantise_block(which.values)[1] == list(range(256))
        for lower, middle in enumerate(midpoints(which)):  # nothing but an exact midpoint is a tie
            y = f32(float(middle))
            if Fraction(float(y)) == middle:
                assert which.nearest(y) == lower + lower % 2
            else:
                assert which.nearest(y) == lower + (Fraction(float(y)) > middle)


def midpoints(which):
    return [(low + high) / 2 for low, high in zip(which.exact[:-1], which.exact[1:])]


def with_one(values):
    """Blocks of at most 256 values that all contain 1."""
    values = [value for value in values if abs(value) <= 1]
    return [np.array(values[i:i + 255] + [1], f32) for i in range(0, len(values), 255)]


def around(value):
    """The floats next to the exact value, below and above (the value itself left out)."""
    close = f32(float(value))
    below, above = np.nextafter(close, f32(-np.inf)), np.nextafter(close, f32(np.inf))
    if Fraction(float(close)) > value:
        above = close
    elif Fraction(float(close)) < value:
        below = close
    assert Fraction(float(below)) < value < Fraction(float(above))
    return [below, above]


def vectors(which, seed):
    random = np.random.RandomState(seed)
    sign = (lambda s: s) if which.signed else np.abs

    def data(values):
        return sign(np.asarray(values)).astype(f32)

    yield "normal", data(random.standard_normal(256))
    yield "log_uniform", data(random.choice([-1, 1], 256) * 10 ** random.uniform(-8, 0, 256))
    zeros = np.zeros(256, f32)
    zeros[::3] = data([-0.0])[0]
    yield "zeros", zeros
    outlier = random.standard_normal(256)
    outlier[77], outlier[78], outlier[79] = 1000, 0, -0.0
    yield "outlier", data(outlier)
    if which.signed:
        yield "negative_outlier", data(np.where(np.arange(256) == 200, -1000, random.standard_normal(256)))
    middles = midpoints(which)
    ties = [f32(float(m)) for m in middles if Fraction(float(f32(float(m)))) == m]
    assert len(ties) > 20
    for i, block in enumerate(with_one(ties)):
        yield f"ties_{i}", block
    yield "book", which.values
    neighbours = [n for value in which.exact for n in around(value) if which.signed or n >= 0]
    for i, block in enumerate(with_one(neighbours)):
        yield f"book_neighbours_{i}", block
    for i, block in enumerate(with_one([n for middle in middles for n in around(middle)])):
        yield f"midpoint_neighbours_{i}", block
    yield "short", data(random.standard_normal(100))
    yield "single", data([-0.75])
    tiny = random.uniform(-1e-39, 1e-39, 32)
    tiny[5], tiny[6] = 1e-39, 0
    yield "tiny_absmax", data(tiny)
    normal_edge = random.uniform(-1, 1, 32) * 2.0**-126
    normal_edge[3] = 2.0**-126
    yield "smallest_normal_absmax", data(normal_edge)
    yield "largest_subnormal_absmax", data(np.where(np.arange(32) == 3, 2.0**-126 - 2.0**-149, 0.5 * normal_edge))
    huge = random.uniform(-1, 1, 32) * 3e38
    huge[9] = 3.4e38
    yield "huge_absmax", data(huge)
    special = random.standard_normal(256)
    special[[3, 50, 255]], special[[7, 99]], special[[0, 120]] = np.inf, np.nan, -np.inf if which.signed else np.inf
    yield "nonfinite", data(special)
    yield "all_nonfinite", data([np.inf, np.nan, -np.inf if which.signed else np.nan])
    if which.signed:
        yield "worked", np.array([0.5, -1, -1e-9, 0.02], f32)


def hex_codes(codes):
    return bytes(codes).hex()


def write_vectors():
    out = Writer()
    out.line("case", "books")
    for which in (SIGNED, UNSIGNED):
        out.line(which.name, *which.values)
    for seed, which in enumerate((SIGNED, UNSIGNED), start=500):
        for name, s in vectors(which, seed):
            a, codes = which.quantise_block(s)
            out.line("case", f"{which.name}_{name}")
            out.line("book", which.name)
            out.line("n", len(s))
            out.line("s", *s)
            out.line("absmax", a)
            out.line("codes", hex_codes(codes))
    out.save("blockwise8.txt")


def draw(seed, n, steps):
    """Gradients with 16 significant bits (short to write), of similar magnitude; every 16th coordinate is 1e-5 of
    that, coordinate 10 is always 0 and coordinate 270 mostly."""
    random = np.random.RandomState(seed)
    g = random.standard_normal((steps, n)) * random.uniform(0.2, 1, n)
    g[:, 7::16] *= 1e-5
    g[:, 10] = 0
    g[np.arange(steps) % 6 != 1, 270] = 0
    mantissa, exponent = np.frexp(g)
    g = np.ldexp(np.round(mantissa * 2**16), exponent - 16) + 0.0
    assert np.all(g == g.astype(f32))
    return random.standard_normal(n).astype(f32), g.astype(f32)


def write_trajectory(name, config, rates, rule, seed, n=300):
    x, gradients = draw(seed, n, len(rates))
    books = {state: UNSIGNED if state in ("v", "max_v") else SIGNED for state in rule.states}
    out = Writer()
    out.line("case", name)
    out.config(config)
    out.line("n", n)
    out.line("block", BLOCK)
    out.line("steps", len(rates))
    out.line("x0", *x)
    rule.start(n)
    for t, (lr, g) in enumerate(zip(rates, gradients), start=1):
        x = rule.step(lr, x, g)
        out.line("step", t)
        out.line("lr", float(lr))
        out.line("g", *g)
        assert x.dtype == f32 and np.all(np.isfinite(x))
        out.line("x", *x)
        for state, which in books.items():
            value = getattr(rule, state)
            assert value.dtype == f32 and np.all(np.isfinite(value))
            absmax, codes = which.quantise(value)
            out.line(state + "_absmax", *absmax)
            out.line(state + "_codes", hex_codes(codes))
            setattr(rule, state, which.dequantise(absmax, codes))
    out.save(f"blockwise8_{name}.txt")


def main():
    check()
    write_vectors()
    constant, falling = np.full(25, 0.01), 0.01 / np.sqrt(np.arange(1, 26))
    write_trajectory("momentum", {"lr": 0.01, "mu": 0.9, "weight_decay": 0.05, "nesterov": False}, constant,
                     Momentum32(0.9, 0.05, False), 600)
    write_trajectory("adam", {"lr": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.05,
                              "first_gradient": 0.0}, constant,
                     Adam32(0.9, 0.999, 1e-8, 0.05), 601)
    write_trajectory("adamw", {"lr": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.1,
                               "first_gradient": 0.0}, falling,
                     AdamW32(0.9, 0.999, 1e-8, 0.1), 602)
    write_trajectory("lion", {"lr": 0.01, "beta1": 0.9, "beta2": 0.99, "weight_decay": 0.1}, falling,
                     Lion32(0.9, 0.99, 0.1), 603)
    write_trajectory("nadamw", {"lr": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.1}, falling,
                     NAdamW32(0.9, 0.999, 1e-8, 0.1), 604)
    write_trajectory("adagrad", {"lr": 0.01, "eps": 1e-10, "weight_decay": 0.05}, constant,
                     Adagrad32(1e-10, 0.05), 605)
    write_trajectory("rmsprop", {"lr": 0.01, "alpha": 0.99, "eps": 1e-8, "weight_decay": 0.05}, constant,
                     RMSprop32(0.99, 1e-8, 0.05), 606)
    write_trajectory("lamb", {"lr": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 1e-6, "weight_decay": 0.1,
                              "max_unorm": 0.0}, falling,
                     Lamb32(0.9, 0.999, 1e-6, 0.1), 607)
    write_trajectory("lars", {"lr": 1.0, "mu": 0.9, "weight_decay": 0.05, "trust": 1e-2, "eps": 1e-8,
                              "max_unorm": 0.0}, 100 * constant,
                     Lars32(0.9, 0.05, 1e-2, 1e-8), 608)
    write_trajectory("adamr", {"lr": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 2.0, "l1": False,
                               "clamp": False}, constant, AdamR32(2.0, False, False), 609)
    write_trajectory("adamr_amsgrad", {"lr": 0.01, "beta1": 0.9, "beta2": 0.9, "eps": 1e-8, "weight_decay": 2.0,
                                       "l1": False, "clamp": False}, constant,
                     AdamR32(2.0, False, False, 0.9, True), 612)
    write_trajectory("zero_one_adam", {"lr": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.1,
                                       "kappa": 4}, falling,
                     ZeroOneAdam32(0.9, 0.999, 1e-8, 0.1, Schedule(1000, 4)), 611)


if __name__ == "__main__":
    main()
