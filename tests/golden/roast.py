# SPDX-License-Identifier: Apache-2.0
"""Golden values of ROAST with the cyclic fold (all floats exact; a file of its own for the generator: philox.py).

    rotations = derive(seed, 0x726f617374), signs = derive(seed, 0x726f617375), first = derive(seed, 0x726f617376)
    slot(j)   = (below(m, word(rotations, 0, j div m)) + j mod m) mod m
    s(j)      = sign(signs, 0, j)
    z_i       = spread u11(word(first, 0, i))
    lambda    = scale, scale / spread (reference), (scale sqrt(3)) / spread (matched): in double, rounded once
    W_j       = (s(j) lambda) z[slot(j)]
    Gamma_i   in double from the rounded lambda: c their count, in the order of j
              v1 (sum lambda)^2 / (c + ec)   v2 sum lambda   v3 (sum lambda) / (c + ec)   v4 sqrt(sum lambda^2)
              v5 sum lambda^2, each + e; 1 without weights; rounded once
    dz_i      = ((0 + (s lambda) G_a) + (s lambda) G_b + ...) / Gamma_i, a < b < ...; no division for "none"
    step      z_i = z_i - rate dz_i
"""
import numpy as np

from common import Writer
from philox import below, check, derive, sign, u11, word

TAG = 0x726F617374
MODES = ["none", "v1", "v2", "v3", "v4", "v5"]
MATCHES = ["given", "reference", "matched"]



class Roast:
    def __init__(self, kind, sizes, m, seed, spread, scales, match, mode, count_epsilon, epsilon):
        n = sum(sizes)
        rotations, signs, first = (derive(seed, TAG + k) for k in range(3))
        self.kind = kind
        self.slot = [(below(m, word(rotations, 0, j // m)) + j % m) % m for j in range(n)]
        self.sign = [sign(signs, 0, j) for j in range(n)]
        self.z = np.array([kind(spread) * kind(u11(word(first, 0, i))) for i in range(m)], kind)
        rounded = []
        for scale in scales:
            value = np.float64(scale)
            if match == "matched":
                value = value * np.sqrt(np.float64(3))
            if match != "given":
                value = value / np.float64(spread)
            rounded.append(kind(value))
        self.scale = [rounded[t] for t, size in enumerate(sizes) for _ in range(size)]
        self.gamma = None if mode == "none" else np.empty(m, kind)
        for i in range(m) if mode != "none" else []:
            mine = [np.float64(self.scale[j]) for j in range(n) if self.slot[j] == i]
            total = np.float64(0)
            for value in mine:
                total = total + (value * value if mode in ("v4", "v5") else value)
            if mode == "v1":
                total = total * total
            if mode in ("v1", "v3") and mine:
                total = total / (np.float64(len(mine)) + np.float64(count_epsilon))
            if mode == "v4":
                total = np.sqrt(total)
            self.gamma[i] = kind(total + np.float64(epsilon)) if mine else kind(1)

    def weights(self):
        w = [self.kind(s * scale) * self.z[i] for s, scale, i in zip(self.sign, self.scale, self.slot)]
        return np.array(w, self.kind)

    def gradient(self, g):
        dz = np.zeros(self.z.size, self.kind)
        for j, i in enumerate(self.slot):
            dz[i] = dz[i] + self.kind(self.sign[j] * self.scale[j]) * self.kind(g[j])
        return dz if self.gamma is None else dz / self.gamma

    def step(self, rate, dz):
        self.z = self.z - self.kind(rate) * dz


def case(out, name, sizes, m, seed, spread=0.05, scales=None, match="given", mode="v1", count_epsilon=0.0, epsilon=0.0,
         rate=0.125, steps=3):
    random = np.random.RandomState(len(name) + m)
    n = sum(sizes)
    given = [1.0] * len(sizes) if scales is None else scales
    runs = {bits: Roast(kind, sizes, m, seed, spread, given, match, mode, count_epsilon, epsilon)
            for bits, kind in (("32", np.float32), ("64", np.float64))}
    out.line("case", name)
    out.config({"slots": m, "spread": spread, "match": MATCHES.index(match), "mode": MODES.index(mode),
                "count_epsilon": count_epsilon, "epsilon": epsilon, "rate": rate})
    out.line("seed", seed)
    out.line("sizes", *sizes)
    if scales is not None:
        out.line("scales", *scales)
    assert runs["32"].slot == runs["64"].slot and runs["32"].sign == runs["64"].sign
    out.line("slot", *runs["32"].slot)
    out.line("sign", *runs["32"].sign)
    out.line("steps", steps)
    gradients = (random.standard_normal((steps, n)) * 10 ** random.uniform(-2, 1, n)).astype(np.float32)
    for bits, run in runs.items():
        out.line("z0_" + bits, *run.z)
    for g in gradients:
        out.line("g", *g)
        for bits, run in runs.items():
            w, dz = run.weights(), run.gradient(g)
            run.step(rate, dz)
            assert w.dtype == dz.dtype == run.z.dtype == run.kind
            for key, values in (("w", w), ("dz", dz), ("z", run.z)):
                assert np.all(np.isfinite(values))
                out.line(key + bits, *values)


def main():
    check()
    out = Writer()
    case(out, "one_tensor", [42], 10, 7)
    case(out, "tensors_of_other_scales", [15, 0, 7, 20], 10, 123456789012345678, scales=[0.5, 2.0, 3.0, 0.1])
    case(out, "full", [15, 27], 42, 1, scales=[0.02, 0.3], match="matched")
    case(out, "more_slots_than_weights", [5, 6], 17, 2**64 - 1, scales=[0.02, 0.3], match="reference", spread=10.0)
    case(out, "one_slot", [20, 3], 1, 3, scales=[1.0, 0.75], steps=2)
    case(out, "many_pieces", [300, 413], 37, 9, scales=[1.0, 0.3], steps=2)
    for mode in MODES:
        case(out, "scaled_by_" + mode, [20, 13], 7, 5, scales=[0.7, 1.9], mode=mode, count_epsilon=1e-3, epsilon=1e-6,
             steps=2)
    out.save("roast.txt")


if __name__ == "__main__":
    main()
