# SPDX-License-Identifier: Apache-2.0
"""Golden values of the normal numbers of the random format, version 1 (Box-Muller in specified float operations).

    words as in philox.py; words 4b and 4b + 1 make coordinates 4b and 4b + 1, words 4b + 2 and 4b + 3 the next two
    all in binary32; fma rounds once; bits and real reinterpret; integers modulo 2^32
    B = bits(float(int32(w0 | 1))) & 0x7fffffff          D = (0x4F2AAAAA - B) & 0xFF800000
    f = fma(real(B + D), 2^-31, -1)                      p = C7; p = fma(p, f, C6); ... p = fma(p, f, C0)
    r = sqrt(fma(f, p, fma(float(int32(D)), K, 2^-40)))
    x = real((w1 & 0x007fffff) | 0x3f800001) - 1.5       t = x x
    s = fma(fma(fma(S3, t, S2), t, S1), t, S0)           c = fma(fma(fma(Q3, t, Q2), t, Q1), t, Q0)
    g = r x    h = r c                                   z0 = fma(-g, s, h), z1 = fma(g, s, h)
    bit 31 of w0 is xored to the sign of z0, bit 31 of w1 to that of z1
    sphere of dimension d: q = z 2^20 to the nearest integer, ties to even; S = sum of q^2, exactly;
        scale = (sqrt(d) 2^20) / sqrt(S) in double; tensors start at multiples of 128
Sums are FNV-1a-64 over the little-endian bits.
"""
from fractions import Fraction

import numpy as np

from common import Writer

U32, F32, F64 = np.uint32, np.float32, np.float64
MASK = 2**32 - 1
C = [float.fromhex(v) for v in ("-0x1p+1", "0x1.fffebap-1", "-0x1.55613cp-1", "0x1.0048bp-1", "-0x1.954574p-2",
                                "0x1.4a751cp-2", "-0x1.5f9e02p-2", "0x1.54390ap-2")]
K = float.fromhex("0x1.62e43p-23")
S = [float.fromhex(v) for v in ("0x1.1c5832p+0", "-0x1.d3ba64p-2", "0x1.cd9698p-5", "-0x1.ab8e92p-9")]
Q = [float.fromhex(v) for v in ("0x1.6a09e6p-1", "-0x1.bea56ap-1", "0x1.6f40fap-3", "-0x1.d9011cp-7")]
EDGES = [0, 1, 2, 3, 0x3F, 0x40, 0x41, 0x3FFFFFFF, 0x40000000, 0x55555555, 0x7FFFFFBF, 0x7FFFFFC0, 0x7FFFFFFF,
         0x80000000, 0x80000001, 0x80000002, 0x80000041, 0xC0000000, 0xAAAAAAAB, 0xFFFFFFFE, 0xFFFFFFFF, 0x2AAAAAAA,
         0x2AAAAAAB, 0x00400000, 0x003FFFFF]


def blocks(seed, direction, first, count):
    """Words of blocks first ... first + count - 1, one row a block."""
    low, shift = np.uint64(MASK), np.uint64(32)
    with np.errstate(over="ignore"):
        b = np.uint64(first) + np.arange(count, dtype=np.uint64)
        c0, c1 = b & low, b >> shift
        c2, c3 = np.full_like(b, direction & MASK), np.full_like(b, direction >> 32)
        k0, k1 = seed & MASK, seed >> 32
        for _ in range(10):
            m, n = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
            c0, c1, c2, c3 = (n >> shift) ^ c1 ^ np.uint64(k0), n & low, (m >> shift) ^ c3 ^ np.uint64(k1), m & low
            k0, k1 = (k0 + 0x9E3779B9) & MASK, (k1 + 0xBB67AE85) & MASK
    return np.stack([c0, c1, c2, c3], axis=1).astype(U32)


def fma(a, b, c):
    """In double the product is exact; the sum, rounded to odd there, has one rounding to float left."""
    product = F64(a) * F64(b)
    c = F64(c) + np.zeros_like(product)
    total = product + c
    part = total - product
    error = (product - (total - part)) + (c - part)
    odd = (total.view(np.uint64) & np.uint64(1)) == 1
    towards = np.where(error > 0, np.inf, -np.inf)
    return np.where((error == 0) | odd, total, np.nextafter(total, towards)).astype(F32)


def horner(coefficients, x):
    value = np.full(x.shape, coefficients[-1], F32)
    for c in coefficients[-2::-1]:
        value = fma(value, x, c)
    return value


def pairs(w0, w1):
    w0, w1 = np.asarray(w0, U32), np.asarray(w1, U32)
    with np.errstate(over="ignore"):
        magnitude = (w0 | U32(1)).view(np.int32).astype(F32).view(U32) & U32(0x7FFFFFFF)
        halvings = (U32(0x4F2AAAAA) - magnitude) & U32(0xFF800000)
        f = fma((magnitude + halvings).view(F32), 2.0**-31, -1.0)
    r = np.sqrt(fma(f, horner(C, f), fma(halvings.view(np.int32).astype(F32), K, 2.0**-40)))
    x = ((w1 & U32(0x007FFFFF)) | U32(0x3F800001)).view(F32) - F32(1.5)
    t = x * x
    g, h, s = r * x, r * horner(Q, t), horner(S, t)
    sign = U32(0x80000000)
    return (fma(-g, s, h).view(U32) ^ (w0 & sign)).view(F32), (fma(g, s, h).view(U32) ^ (w1 & sign)).view(F32)


def normals(seed, direction, first, count):
    """Of coordinates first ... first + count - 1."""
    w = blocks(seed, direction, first // 4, (count + 6) // 4)
    z = np.empty(w.shape, F32)
    z[:, 0], z[:, 1] = pairs(w[:, 0], w[:, 1])
    z[:, 2], z[:, 3] = pairs(w[:, 2], w[:, 3])
    return z.ravel()[first % 4:][:count]


def fnv(values):
    h = 0xCBF29CE484222325
    for byte in values.tobytes():
        h = ((h ^ byte) * 0x100000001B3) % 2**64
    return h


def sphere(seed, direction, sizes):
    total, address = 0, 0
    for n in sizes:
        q = np.rint(normals(seed, direction, address, n).astype(F64) * 2.0**20)
        total += sum(int(v) ** 2 for v in q)
        address += -(-n // 128) * 128
    return np.sqrt(F64(sum(sizes))) * 2.0**20 / np.sqrt(F64(total))


def check():
    rng = np.random.default_rng(1)
    a, b, c = (rng.standard_normal(500).astype(F32) * F32(2) ** rng.integers(-30, 30, 500).astype(F32) for _ in range(3))
    got = fma(a, b, c)
    for x, y, z, r in zip(a, b, c, got):
        exact = Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z))
        error = abs(Fraction(float(r)) - exact)
        for other in (np.nextafter(r, F32(np.inf)), np.nextafter(r, F32(-np.inf))):
            assert error <= abs(Fraction(float(other)) - exact)
    w = blocks(42, 0, 0, 1)[0]
    assert [int(v) for v in w] == [0x9CEAF053, 0x77F5493B, 0x12BF50AD, 0x5742B3D7]
    assert [int(v) for v in normals(42, 0, 0, 4).view(U32)] == [0xBDC02659, 0x3F35A03E, 0x3FAB6D56, 0x3FB73136]


def main():
    check()
    out = Writer()
    out.line("case", "pairs")
    for w0, w1 in [(0, 0), (1, 0x7FFFFF), (0x7FFFFFFF, 0), (0x80000000, 0x80000000), (0x55555555, MASK),
                   (0x2AAAAAAB, 0x400000), (0x12345678, 0x9ABCDEF0)]:
        z0, z1 = pairs([w0], [w1])
        out.line("pair", w0, w1, z0[0], z1[0])
    w0, w1 = (a.ravel() for a in np.meshgrid(np.array(EDGES, U32), np.array(EDGES, U32), indexing="ij"))
    out.line("edges", *EDGES)
    out.line("sum", fnv(np.stack(pairs(w0, w1), axis=1)))
    for i, (seed, direction, first) in enumerate([(42, 0, 0), (0x0123456789ABCDEF, (7 << 32) | 3, 2**34 - 3)]):
        out.line("case", f"stream_{i}")
        out.line("seed", seed)
        out.line("dir", direction)
        out.line("first", first)
        out.line("normals", *normals(seed, direction, first, 32))
    runs = [(42, 0, 0, 4096), (42, 3 << 32, 0, 4096), (0x0123456789ABCDEF, (7 << 32) | 3, 2**34 - 3, 4096),
            (42, 0, 0, 65536), (0x0123456789ABCDEF, (7 << 32) | 3, 4 * 0xFFFFFFF0, 65536),
            (2**64 - 1, 2**64 - 2, 4 * (2**63 + 5), 65536)]
    for i, (seed, direction, first, count) in enumerate(runs):
        out.line("case", f"run_{i}")
        out.line("seed", seed)
        out.line("dir", direction)
        out.line("block", first // 4)
        out.line("skip", first % 4)
        out.line("count", count)
        out.line("sum", fnv(normals(seed, direction, first, count)))
    w = blocks(42, 0, 0, 1024).ravel()
    bits = (np.repeat(w[:128], 32) >> np.tile(np.arange(32, dtype=U32), 128)) & U32(1)
    out.line("case", "numbers")
    out.line("u01", fnv(((w >> U32(8)) | U32(1)).astype(F32) * F32(2.0**-24)))
    out.line("u11", fnv((2 * (w >> U32(8)).astype(np.int64) + 1 - 2**24).astype(F32) * F32(2.0**-24)))
    out.line("signs", fnv(bits.astype(np.uint8)))
    for i, (seed, direction, sizes) in enumerate([(42, 0, [1]), (42, 3, [15, 40000, 1, 0, 13100]),
                                                  (7, (5 << 32) | 1, [16384, 16385, 127, 129])]):
        out.line("case", f"sphere_{i}")
        out.line("seed", seed)
        out.line("dir", direction)
        out.line("sizes", *sizes)
        out.line("scale", sphere(seed, direction, sizes))
    out.save("normal.txt")


if __name__ == "__main__":
    main()
