# SPDX-License-Identifier: Apache-2.0
"""Golden values of the counter-based generator Philox4x32-10 and of its conversions (all exact integer arithmetic).

    round: (h0,l0) = 0xD2511F53*c0, (h1,l1) = 0xCD9E8D57*c2 (high and low halves); c <- (h1^c1^k0, l1, h0^c3^k1, l0)
    ten rounds, the key bumped by (0x9E3779B9, 0xBB67AE85) before every round but the first
    word(seed, dir, j) = output[j mod 4] for counter (lo b, hi b, lo dir, hi dir), b = j div 4, key (lo seed, hi seed)
    u01 = ((w >> 8) | 1) 2^-24    u11 = (2 (w >> 8) + 1 - 2^24) 2^-24    below n = (w n) >> 32
    double u01 j: (((word(2j+1) << 32 | word(2j)) >> 11) | 1) 2^-53
    sign j: bit (j mod 32) of word(seed, dir, j div 32), 1 means -1
    derive(seed, tag) = out0 | out1 << 32 for counter (lo tag, hi tag, 2^32-1, 2^32-1), key (lo seed, hi seed)
"""
import numpy as np

from common import Writer

MASK = 2**32 - 1
KNOWN = [  # Random123, known-answer vectors for ten rounds
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((MASK,) * 4, (MASK,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0),
     (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1))]


def halves(value):
    return value & MASK, value >> 32


def philox(counter, key):
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        l0, h0 = halves(0xD2511F53 * c0)
        l1, h1 = halves(0xCD9E8D57 * c2)
        c0, c1, c2, c3 = h1 ^ c1 ^ k0, l1, h0 ^ c3 ^ k1, l0
        k0, k1 = (k0 + 0x9E3779B9) & MASK, (k1 + 0xBB67AE85) & MASK
    return c0, c1, c2, c3


def word(seed, direction, j):
    return philox((*halves(j // 4), *halves(direction)), halves(seed))[j % 4]


def derive(seed, tag):
    low, high, _, _ = philox((*halves(tag), MASK, MASK), halves(seed))
    return low | high << 32


def exact_float(integer, bits):
    value = integer * 2.0**-bits
    assert value * 2.0**bits == integer and float(np.float32(value)) == value
    return value


def u01(w):
    return exact_float((w >> 8) | 1, 24)


def u11(w):
    return exact_float(2 * (w >> 8) + 1 - 2**24, 24)


def double_u01(low, high):
    return (((high << 32 | low) >> 11) | 1) * 2.0**-53


def below(n, w):
    return (w * n) >> 32


def sign(seed, direction, j):
    return -1 if word(seed, direction, j // 32) >> (j % 32) & 1 else 1


def check():
    for counter, key, output in KNOWN:
        assert philox(counter, key) == output
    assert [word(42, 0, j) for j in range(4)] == [0x9CEAF053, 0x77F5493B, 0x12BF50AD, 0x5742B3D7]
    assert [sign(42, 0, j) for j in range(8)] == [-1, -1, 1, 1, -1, 1, -1, 1]


def main():
    check()
    out = Writer()
    for i, (counter, key, output) in enumerate(KNOWN):
        out.line("case", f"known_{i}")
        out.line("counter", *counter)
        out.line("key", *key)
        out.line("output", *output)
    streams = [(42, 0, 0), (0, 0, 0), (1, 1, 3), (42, 3 << 32, 0), (42, 2**32 - 1, 0), (42, (7 << 32) | 5, 126),
               (0x123456789ABCDEF0, 2**64 - 2, 2**31 - 5), (2**64 - 1, 12345, 2**34 - 6),
               (987654321, 1 << 63, 2**40 + 1), (5, (25 << 32) | 2, 2**64 - 16)]
    for i, (seed, direction, first) in enumerate(streams):
        out.line("case", f"words_{i}")
        out.line("seed", seed)
        out.line("dir", direction)
        out.line("first", first)
        out.line("words", *(word(seed, direction, j) for j in range(first, first + 16)))
    for i, (seed, direction, first) in enumerate([(42, 0, 0), (2024, (3 << 32) | 1, 2**34 - 3)]):
        js = range(first, first + 16)
        words = [word(seed, direction, j) for j in js]
        out.line("case", f"numbers_{i}")
        out.line("seed", seed)
        out.line("dir", direction)
        out.line("first", first)
        out.line("u01", *map(u01, words))
        out.line("u11", *map(u11, words))
        pairs = [(word(seed, direction, 2 * j), word(seed, direction, 2 * j + 1)) for j in js]
        out.line("double_u01", *(double_u01(low, high) for low, high in pairs))
        for n in (1, 2, 3, 10, 1000, 2**31 + 1, 2**32 - 1, 2**32):
            out.line("below", n, *(below(n, w) for w in words))
    out.line("case", "conversions")
    for w in (0, 1, 255, 256, 511, 512, 2**31 - 1, 2**31, 2**32 - 257, 2**32 - 256, MASK):
        out.line("convert", w, u01(w), u11(w), below(1000, w), below(2**32, w))
    for low, high in ((0, 0), (2047, 0), (2048, 0), (MASK, 0), (0, 1), (0, 2**31), (MASK, 2**31 - 1), (MASK, MASK)):
        out.line("convert_double", low, high, double_u01(low, high))
    for i, (seed, direction, first, count) in enumerate([(42, 0, 0, 300), (7, (9 << 32) | 4, 2**34 + 37, 200)]):
        out.line("case", f"signs_{i}")
        out.line("seed", seed)
        out.line("dir", direction)
        out.line("first", first)
        out.line("signs", *(sign(seed, direction, j) for j in range(first, first + count)))
    out.line("case", "derive")
    for seed in (0, 42, 0x123456789ABCDEF0, 2**64 - 1):
        for tag in (0, 1, 2, 2**32, 0xFEDCBA9876543210, 2**64 - 1):
            out.line("derive", seed, tag, derive(seed, tag))
    out.save("philox.txt")


if __name__ == "__main__":
    main()
