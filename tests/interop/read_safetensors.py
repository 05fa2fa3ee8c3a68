#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads a checkpoint by docs/checkpoints.md alone, checks all that can be checked, and prints its metadata and, of each
tensor, name, dtype, shape and checksum.   usage: read_safetensors.py FILE"""
import json
import struct
import sys

MASK = (1 << 64) - 1
P, Q = 0x9E3779B97F4A7C15, 0xD1342543DE82EF95
BYTES = {"F64": 8, "I64": 8, "F32": 4, "F16": 2, "BF16": 2, "U8": 1}


def fold(x, y):
    product = x * y
    return (product ^ product >> 64) & MASK


def word_hash(data, seed):
    lanes = [(fold(seed ^ P, len(data) ^ Q) + k) & MASK for k in range(4)]
    words = struct.unpack("<%dQ" % (-(-len(data) // 16) * 2), data + bytes(-len(data) % 16))
    for i in range(0, len(words), 2):
        lane = i // 2 % 4
        lanes[lane] = fold(words[i] ^ P, words[i + 1] ^ lanes[lane])
    for lane in lanes:
        seed = fold(seed ^ P, lane ^ Q)
    return seed


def checksum(data):
    seed = 0
    for at in range(0, len(data), 1 << 20):
        seed = word_hash(data[at : at + (1 << 20)], seed)
    return "%016x" % seed


def once(pairs):
    assert len({key for key, _ in pairs}) == len(pairs), "a key twice"
    return dict(pairs)


def main(path):
    with open(path, "rb") as file:
        data = file.read()
    (size,) = struct.unpack("<Q", data[:8])
    assert size <= 100_000_000 and size % 8 == 0 and 8 + size <= len(data)
    text, data = data[8 : 8 + size], data[8 + size :]
    header = json.loads(text.decode(), object_pairs_hook=once)
    metadata = header.pop("__metadata__")
    assert all(isinstance(value, str) for value in metadata.values())
    zeroed = text.replace(metadata["frugal.checksum"].encode(), b"0" * 16, 1)
    assert metadata["frugal.checksum"] == "%016x" % word_hash(zeroed, 0), "the header's checksum"
    for key in sorted(metadata):
        if key != "frugal.checksum":
            print(key, "=", metadata[key])
    end = 0
    for name, tensor in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        count = 1
        for extent in tensor["shape"]:
            count *= extent
        begin, last = tensor["data_offsets"]
        assert begin == end and last - begin == count * BYTES[tensor["dtype"]], name
        assert begin % BYTES[tensor["dtype"]] == 0, "alignment"
        end = last
        sum_of_bytes = checksum(data[begin:last])
        assert sum_of_bytes == metadata["frugal.checksum." + name], "the checksum of " + name
        print(name, tensor["dtype"], tensor["shape"], sum_of_bytes)
    assert end == len(data)


main(sys.argv[1])
