# SPDX-License-Identifier: Apache-2.0
"""Golden messages of the two deterministic compressors, top-k and scaled sign, of float32 vectors x of n elements.

top-k: the k elements of largest magnitude, ties to the lowest index, in ascending order of the index; the values are
    the elements as they are (-0.0 stays -0.0, and 0.0 and -0.0 tie). An index takes ceil(log2 n) bits, a value 32.
    Bits: k (32 + ceil(log2 n)) as a list or 32 k + n with a bitmap, whichever is smaller.
scaled sign: bit j is 1 for x_j >= 0 (so for -0.0 too), in byte j div 8 at place j mod 8 (lowest first, the rest of the
    last byte 0). The scale of a block of m elements is the canonical sum of their magnitudes (reduction.py, the block
    as a vector of its own), divided by m in double, rounded once to float. A block is the whole vector, or 256 or 4096
    elements, the last one shorter. Bits: n + 32 for every scale. Decoded: scale for 1, -scale for 0.

Exact errors are rational numbers rounded once to double. With s = |x|_1 / n unrounded, and whatever the sign of zeros,
    |C(x) - x|^2 = |x|^2 - |x|_1^2 / n.
"""
import math
from fractions import Fraction

import numpy as np

from common import Writer
from reduction import canonical_sum, data

f32 = np.float32
NOTES = """
case NAME: one vector. n: its length. x: its elements; a case without this line has the data of reduction.py.
norms: |x|_1 and |x|^2, exact sums rounded once to double.
ks: the values of k. For each, in that order, one line each of topk_indices, topk_values, topk_payload, topk_error.
topk_payload: 1 for a bitmap or 0 for a list, the bits, and the bytes (values and places each padded to whole bytes).
topk_error: |C(x) - x|^2, exact and rounded once to double.
sign_codes: the bits, two hexadecimal digits a byte, element 8 i + b in bit b of byte i.
scales_whole, scales_256, scales_4096: the scale of every block.
payload_whole, payload_256, payload_4096: the bits, and the bytes (codes padded to whole bytes).
error_whole, error_256, error_4096: |C(x) - x|^2 with those float scales, exact and rounded once to double.
error_identity: |x|^2 - |x|_1^2 / n, exact and rounded once to double: error_whole before the scale is rounded.
""".strip().splitlines()


def top_k(x, k):
    """Ascending indices of the k largest magnitudes; among equal ones the lowest indices win."""
    order = sorted(range(len(x)), key=lambda j: (-abs(x[j]), j))
    return np.array(sorted(order[:k]), dtype=np.int64)


def top_k_payload(n, k):
    index_bits = (n - 1).bit_length()
    listed, mapped = k * (32 + index_bits), 32 * k + n
    bits = min(listed, mapped)
    return int(mapped < listed), bits, 4 * k + (bits - 32 * k + 7) // 8


def sign_scale(x):
    """|x|_1 / n in the type of x, one rounding from double."""
    return x.dtype.type(canonical_sum(np.abs(x)) / len(x))


def sign_codes(x):
    packed = bytearray((len(x) + 7) // 8)
    for j, value in enumerate(x):
        packed[j // 8] |= int(value >= 0) << (j % 8)
    return packed.hex()


def scaled_sign(x):
    scale = sign_scale(x)
    return np.where(x >= 0, scale, -scale)


def blocks(x, size):
    return [x[i:i + size] for i in range(0, len(x), size)]


def exact(x):
    return [Fraction(float(value)) for value in x]


def squared_norm(x):
    return sum((value * value for value in exact(x)), Fraction(0))


def one_norm(x):
    return sum(map(abs, exact(x)), Fraction(0))


def sign_error(x, scale):
    s = Fraction(float(scale))
    return squared_norm(x) - 2 * s * one_norm(x) + len(x) * s * s


def vectors():
    random = np.random.RandomState(800)

    def normal(n, decades=0):
        return (random.standard_normal(n) * 10 ** random.uniform(-decades, decades, n)).astype(f32)

    def levels(n):  # magnitudes are few multiples of 1/4, with zeros of both signs
        return (np.round(4 * random.standard_normal(n)) / 4).astype(f32)

    def one_sparse(n, at, value):
        x = np.zeros(n, f32)
        x[at] = value
        return x

    yield "one", normal(1), [1]
    yield "one_negative_zero", np.array([-0.0], f32), [1]
    yield "normal_7", normal(7), [1, 2, 3, 6, 7]
    yield "scaled_7", normal(7, 4), [1, 3, 7]
    yield "zeros_7", np.array([0.0, -0.0, -2.0, 0.0, -0.0, 0.5, -0.0], f32), [1, 2, 3, 4, 5, 7]
    yield "ties_7", np.array([-1, 1, 2, -2, 1, -1, 2], f32), [1, 2, 3, 4, 5, 6, 7]
    yield "subnormal_7", np.array([2.0**-149, -2.0**-149, 3 * 2.0**-149, -2.0**-127, 2.0**-126, 0, -2.0**-130], f32), \
        [1, 2, 4, 6]
    yield "normal_64", normal(64), [1, 6, 32, 64]
    yield "scaled_64", normal(64, 4), [1, 9, 10, 11, 40]
    half = normal(32)
    yield "mirrored_64", np.concatenate([half, -half]), [1, 2, 15, 16, 17, 63]
    yield "equal_64", np.full(64, -0.1, f32), [1, 10, 63]
    yield "one_sparse_64", one_sparse(64, 41, -3), [1, 2, 5]
    yield "zero_64", np.zeros(64, f32), [1, 5]
    yield "normal_1000", normal(1000), [1, 10, 100, 101, 333]
    yield "levels_1000", levels(1000), [1, 7, 50, 200, 500, 950]
    yield "one_sparse_1000", one_sparse(1000, 999, 0.3), [1, 3, 20]
    yield "scaled_5000", normal(5000, 3), [1, 50, 384, 385, 500]
    yield "levels_5000", levels(5000), [5, 50, 400]
    yield "hashed_40000", None, [1, 40, 400]


def check():
    x = np.array([3, -1, 0, -3, 1], f32)
    assert list(top_k(x, 1)) == [0] and list(top_k(x, 3)) == [0, 1, 3] and list(top_k(x, 5)) == [0, 1, 2, 3, 4]
    assert top_k_payload(1, 1) == (0, 32, 4)           # no bits for the index of the only element
    assert top_k_payload(5000, 384) == (0, 17280, 2160)  # 13 bits an index: 384 * 13 < 5000 < 385 * 13
    assert top_k_payload(5000, 385) == (1, 17320, 2165)
    assert sign_scale(x) == f32(8 / 5) and sign_codes(x) == "15"  # bits 1 0 1 0 1
    assert list(scaled_sign(np.array([-0.0, -2], f32))) == [1, -1]
    assert sign_error(np.array([3, -1], f32), 2) == 2 and 10 - Fraction(16, 2) == 2


def main():
    check()
    out = Writer()
    out.line("case", "format")
    for note in NOTES:
        out.line("note", note)
    ties = 0
    for name, given, ks in vectors():
        x = data(40000) if given is None else given
        n = len(x)
        assert x.dtype == f32 and np.all(np.isfinite(x))
        out.line("case", name)
        out.line("n", n)
        if given is not None:
            out.line("x", *x)
        norm1, norm2 = one_norm(x), squared_norm(x)
        out.line("norms", float(norm1), float(norm2))
        out.line("ks", *ks)
        for k in ks:
            indices = top_k(x, k)
            rest = np.delete(x, indices)
            if k < n:
                kept, dropped = np.min(np.abs(x[indices])), np.max(np.abs(rest))
                assert dropped <= kept
                ties += dropped == kept > 0
            out.line("topk_indices", *indices)
            out.line("topk_values", *x[indices])
            out.line("topk_payload", *top_k_payload(n, k))
            out.line("topk_error", float(squared_norm(rest)))
        out.line("sign_codes", sign_codes(x))
        for label, size in (("whole", n), ("256", 256), ("4096", 4096)):
            parts = blocks(x, size)
            scales = [sign_scale(part) for part in parts]
            for part, scale in zip(parts, scales):
                assert math.isclose(scale, one_norm(part) / len(part), rel_tol=1e-5, abs_tol=2.0**-149)
            out.line("scales_" + label, *scales)
            out.line("payload_" + label, n + 32 * len(parts), (n + 7) // 8 + 4 * len(parts))
            out.line("error_" + label, float(sum(map(sign_error, parts, scales))))
        identity = norm2 - norm1 * norm1 / n
        assert 0 <= identity <= sign_error(x, sign_scale(x))  # the mean magnitude is the best scale
        out.line("error_identity", float(identity))
    assert ties >= 15  # selections that end between equal magnitudes
    out.save("compressors.txt")


if __name__ == "__main__":
    main()
