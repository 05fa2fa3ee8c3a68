# SPDX-License-Identifier: Apache-2.0
"""Golden values of the keyed bijection on [0, n), 1 <= n <= 2^32 (all exact integer arithmetic).

    h = max(1, ceil(ceil(log2 n) / 2)); balanced Feistel network on 2h bits, x = (left << h) | right, six rounds
    r = 0..5: (left, right) <- (right, left ^ F_r(right)), F_r(y) = mix(y ^ key_r) >> (32 - h)
    key_r = word(dir, r) of the stream of the seed (philox.py)
    mix: x ^= x >> 16; x *= 0x85ebca6b; x ^= x >> 13; x *= 0xc2b2ae35; x ^= x >> 16 (modulo 2^32)
    applied again until the value is < n
"""
import numpy as np

import philox
from common import Writer

U32 = np.uint32


def mix(x):
    x = x ^ (x >> U32(16))
    x = x * U32(0x85EBCA6B)
    x = x ^ (x >> U32(13))
    x = x * U32(0xC2B2AE35)
    return x ^ (x >> U32(16))


def network(x, h, keys):
    shift, low = np.uint64(h), np.uint64(2**h - 1)
    left, right = (x >> shift).astype(U32), (x & low).astype(U32)
    for key in keys:
        left, right = right, left ^ (mix(right ^ U32(key)) >> U32(32 - h))
    return (left.astype(np.uint64) << shift) | right.astype(np.uint64)


def permutation(seed, direction, n, j):
    bits = (n - 1).bit_length()  # ceil(log2 n)
    h = max(1, -(-bits // 2))
    keys = [philox.word(seed, direction, r) for r in range(6)]
    x = network(np.asarray(j, np.uint64), h, keys)
    while np.any(outside := x >= np.uint64(n)):
        x[outside] = network(x[outside], h, keys)
    return x


def main():
    philox.check()
    out = Writer()
    cases = [(42, 0, n) for n in (1, 2, 3, 4, 5, 7, 8, 16, 17, 37, 64, 65, 255, 256, 257, 1000)]
    cases += [(0, 0, 100), (42, 1, 100), (43, 0, 100), (2**64 - 1, 2**64 - 2, 100), (1, 7 << 32 | 5, 100)]
    cases += [(7, 3, n) for n in (2**14, 2**14 + 1, 2**16, 2**16 + 1, 10**6, 2**24, 2**31 - 1, 2**31, 2**31 + 1,
                                 2**32 - 1, 2**32)]
    for i, (seed, direction, n) in enumerate(cases):
        j = np.arange(n) if n <= 1000 else np.r_[np.arange(32), n // 2 - 8:n // 2 + 8, n - 16:n]
        images = permutation(seed, direction, n, j)
        assert np.all(images < n) and np.unique(images).size == j.size
        out.line("case", f"permutation_{i}")
        out.line("seed", seed)
        out.line("dir", direction)
        out.line("n", n)
        out.line("at", *j)
        out.line("image", *images)
    out.save("permutation.txt")


if __name__ == "__main__":
    main()
