# SPDX-License-Identifier: Apache-2.0
"""Golden checksums and messages, from the description of the format alone.

The checksum of a string of bytes with a seed: fold(x, y) is the xor of the two 64-bit halves of the product x y,
p = 0x9e3779b97f4a7c15, q = 0xd1342543de82ef95. Four lanes begin with fold(seed ^ p, length ^ q) + k modulo 2^64, k = 0
to 3. The string, filled up with zeros to pairs of 8-byte little-endian words, is dealt to the lanes pair by pair, in
turn: lane = fold(first ^ p, second ^ lane). Then, for the lanes in their order, seed = fold(seed ^ p, lane ^ q); that
is the result.

A message is a header of 64 bytes, little-endian, and a payload: mark 0x6667 (2 bytes), version 1 (1), type 1 for float
(1), sender (4, two's complement), name (16, filled up with zeros), hash of the layout (8), elements (8), round (8),
bytes of the payload (8), checksum of the payload, seeded with that of the 56 bytes before (8).
"""
import struct

from common import Writer

MASK = (1 << 64) - 1


P, Q = 0x9E3779B97F4A7C15, 0xD1342543DE82EF95


def fold(x, y):
    product = x * y
    return product & MASK ^ product >> 64


def checksum(data, seed=0):
    lanes = [(fold(seed ^ P, len(data) ^ Q) + k) & MASK for k in range(4)]
    for i in range(0, len(data), 16):
        k = i // 16 % 4
        first, second = (int.from_bytes(data[j : j + 8], "little") for j in (i, i + 8))
        lanes[k] = fold(first ^ P, second ^ lanes[k])
    for lane in lanes:
        seed = fold(seed ^ P, lane ^ Q)
    return seed


def message(name, layout, n, sender, number, payload):
    head = struct.pack("<HBBi16sQQQQ", 0x6667, 1, 1, sender, name.encode(), layout, n, number, len(payload))
    assert len(head) == 56
    return head + struct.pack("<Q", checksum(payload, checksum(head))) + payload


def data(n):
    return bytes((7 * j + 3) * (j + 1) % 251 for j in range(n))


def fnv1a(data):
    h = 14695981039346656037
    for b in data:
        h = (h ^ b) * 1099511628211 & MASK
    return h


def layout_hash(tensors):
    """Of each tensor: length of the name, name, count of extents, extents; numbers as 8 bytes."""
    parts = b""
    for name, shape in tensors:
        parts += struct.pack("<Q", len(name)) + name.encode()
        parts += struct.pack(f"<{1 + len(shape)}Q", len(shape), *shape)
    return fnv1a(parts)


NOTES = """
case checksums: line sum SIZE SEED CHECKSUM; byte j of the data is (7 j + 3) (j + 1) mod 251.
case NAME: a message. n, sender, round; x: its elements; bytes: the message, two hexadecimal digits a byte.
""".strip().splitlines()


def main():
    out = Writer()
    out.line("case", "format")
    for note in NOTES:
        out.line("note", note)
    out.line("case", "checksums")
    for n in list(range(0, 140)) + [1000, 4099]:
        for seed in (0, 1, 0xFEDCBA9876543210):
            out.line("sum", n, seed, checksum(data(n), seed))
    for name, x, sender, number in (
        ("identity_3", [1.0, -2.5, 0.1], 0, 0),
        ("identity_1", [-0.0], 7, 1 << 40),
        ("identity_9", [k / 8 for k in range(9)], 2147483647, MASK),
        ("identity_0", [], -1, 3),
    ):
        payload = struct.pack(f"<{len(x)}f", *x)
        out.line("case", name)
        out.line("n", len(x))
        out.line("sender", sender)
        out.line("round", number)
        out.line("x", *x)
        out.line("bytes", message("identity", layout_hash([("flat", [len(x)])]), len(x), sender, number, payload).hex())
    out.save("message.txt")


if __name__ == "__main__":
    main()
