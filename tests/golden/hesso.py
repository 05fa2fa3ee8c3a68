# SPDX-License-Identifier: Apache-2.0
"""Golden trajectories of HESSO around SGD with momentum.

With n the step (from 1), q = pruning_steps div P, R = int(K min(sparsity, 0.999)) of K groups:
    x_before = x;  u <- mu u + g;  x <- x - lr u;  d = u
    if n >= start, fewer than P periods have begun, and (n - start - 1) mod q == 0: the R div P groups of the lowest score
    (the last period: the rest of R) among those kept begin to shrink; each set keeps `divisible` or more, and a multiple
    h = (n - start) mod q;  shrinking: x <- x (q - h - 1) / (q - h);  removed: x <- 0;  h == q - 1: shrinking are removed
Scores of (x_before, d), p and d the vectors of a group, of size S; each divided by sqrt(1e-8 + sum s^2) + 1e-8, weighted:
    |p|,  |p| / (S + 1e-6),  p.d / ((|p| + 1e-8) (|d| + 1e-8)) + 1,  |p.d|,  (p.d)^2 / 2
Float contract: the same in float32, coefficients rounded once; d = (x_before - x) / lr in double.
"""
import numpy as np

from common import Writer, draw

f32 = np.float32


def group_view(x, axis, heads, whole):
    """As (group, element): a view of x."""
    outer = int(np.prod(x.shape[:axis]))
    length = x.shape[axis]
    cube = x.reshape(outer, heads, length // heads, -1)
    cube = cube.transpose(1, 0, 2, 3) if heads > 1 and whole else cube.transpose(2, 0, 1, 3)
    return cube


def scores(sets, x, d, weights):
    columns = []
    for s in sets:
        for k in range(s["count"]):
            p = np.concatenate([group_view(x[t], a, s["heads"], s["whole"])[k].ravel() for t, a in s["scored"]])
            e = np.concatenate([group_view(d[t], a, s["heads"], s["whole"])[k].ravel() for t, a in s["scored"]])
            p, e = p.astype(np.float64), e.astype(np.float64)
            norm, dot = np.linalg.norm(p), float(p @ e)
            columns.append([norm, norm / (p.size + 1e-6), dot / ((norm + 1e-8) * (np.linalg.norm(e) + 1e-8)) + 1,
                            abs(dot), 0.5 * dot * dot])
    columns = np.array(columns)
    return columns / (np.sqrt(1e-8 + (columns ** 2).sum(axis=0)) + 1e-8) @ np.array(weights)


class Hesso:
    def __init__(self, kind, shapes, sets, c, x):
        self.kind, self.sets, self.c = kind, sets, c
        self.shapes, self.x = shapes, x.astype(kind)
        self.u = np.zeros_like(self.x)
        self.n = self.period = 0
        self.set_of = [i for i, s in enumerate(sets) for _ in range(s["count"])]
        self.first = [self.set_of.index(i) for i in range(len(sets))]
        self.status = [0] * len(self.set_of)
        prunable = sum(s["count"] for s in sets if s["count"] > c["divisible"])
        self.target = int(prunable * min(c["sparsity"], 0.999))

    def tensors(self, flat):
        out, at = {}, 0
        for name, shape in self.shapes.items():
            size = int(np.prod(shape))
            out[name] = flat[at:at + size].reshape(shape)
            at += size
        return out

    def choose(self, score):
        c = self.c
        share = self.target // c["periods"]
        count = self.target - share * (c["periods"] - 1) if self.period == c["periods"] - 1 else share
        kept = [sum(1 for g, s in enumerate(self.status) if s == 0 and self.set_of[g] == i) for i in range(len(self.sets))]
        chosen = []
        for g in sorted((g for g, s in enumerate(self.status) if s == 0), key=lambda g: score[g]):
            if len(chosen) < count and kept[self.set_of[g]] > c["divisible"]:
                chosen.append(g)
                kept[self.set_of[g]] -= 1
        for g in reversed(list(chosen)):
            if kept[self.set_of[g]] % c["divisible"]:
                kept[self.set_of[g]] += 1
                chosen.remove(g)
        ranked = sorted(score[g] for g, s in enumerate(self.status) if s == 0)
        gaps = np.diff(ranked)
        assert gaps.size == 0 or gaps.min() > 1e-5, gaps  # float32 must choose the same
        for g in chosen:
            self.status[g] = 1

    def step(self, g):
        c, kind = self.c, self.kind
        self.n += 1
        q, since = c["pruning_steps"] // c["periods"], self.n - c["start"]
        before = self.x.copy()
        self.u = kind(c["mu"]) * self.u + g.astype(kind)
        self.x = self.x - kind(c["lr"]) * self.u
        if since >= 0 and self.period < c["periods"] and (since - 1) % q == 0:
            d = self.u if kind is np.float64 else (before.astype(np.float64) - self.x.astype(np.float64)) / c["lr"]
            self.choose(scores(self.sets, self.tensors(before), self.tensors(d), c["weights"]))
            self.period += 1
        h = since % q
        tensors = self.tensors(self.x)
        for group, status in enumerate(self.status):
            s = self.sets[self.set_of[group]]
            for t, a in s["scored"] + s["zeroed"]:
                view = group_view(tensors[t], a, s["heads"], s["whole"])[group - self.first[self.set_of[group]]]
                if status == 1:
                    view *= kind((q - h - 1) / (q - h))
                if status == 2 or (status == 1 and h == q - 1):
                    view[...] = 0
        if since >= 0 and h == q - 1:
            self.status = [2 if s else 0 for s in self.status]


def main():
    plain = {"heads": 1, "whole": False, "zeroed": []}
    network = ({"w1": (8, 5), "b1": (8,), "w2": (3, 8), "b2": (3,)},
               [{**plain, "count": 8, "scored": [("w1", 0), ("b1", 0), ("w2", 1)]}])
    attention = ({"q": (6, 4), "o": (4, 6), "c": (5, 2, 3), "aux": (5,), "k": (6, 2)},
                 [{**plain, "count": 3, "heads": 3, "whole": True, "scored": [("q", 0)]},
                  {**plain, "count": 5, "scored": [("c", 0)], "zeroed": [("aux", 0)]},
                  {**plain, "count": 2, "heads": 3, "scored": [("k", 0)]}])
    equal = [0.2] * 5
    out = Writer()
    for seed, (name, (shapes, sets), options) in enumerate([
            ("network", network, {"sparsity": 0.5, "start": 2, "pruning_steps": 9, "periods": 3, "weights": equal}),
            ("at_once", network, {"sparsity": 0.75, "start": 5, "pruning_steps": 1, "periods": 1, "weights": equal}),
            ("attention", attention,
             {"sparsity": 0.6, "start": 0, "pruning_steps": 12, "periods": 2, "weights": [0.3, 0.1, 0.4, 0.2, 0.05]}),
            ("divisible", network,
             {"sparsity": 0.4, "start": 3, "pruning_steps": 8, "periods": 2, "divisible": 2, "weights": equal}),
    ], start=901):
        c = {"lr": 0.01, "mu": 0.9, "divisible": 1, **options}
        n = sum(int(np.prod(s)) for s in shapes.values())
        x0, gradients = draw(seed, n)
        gradients = np.clip(gradients, -3, 3)
        runs = [Hesso(kind, shapes, sets, c, x0) for kind in (np.float64, f32)]
        out.line("case", name)
        out.config({k: v for k, v in c.items() if k != "weights"})
        out.line("weights", *c["weights"])
        out.line("n", n)
        out.line("steps", len(gradients))
        out.line("x0", *x0)
        for g in gradients:
            out.line("g", *g)
            for run, bits in zip(runs, ("64", "32")):
                run.step(g)
                out.line("x" + bits, *run.x)
                out.line("status" + bits, *run.status)
            assert runs[0].status == runs[1].status
        print(name, runs[0].target, sum(s == 2 for s in runs[0].status))
    out.save("hesso.txt")


if __name__ == "__main__":
    main()
