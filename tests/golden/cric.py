# SPDX-License-Identifier: Apache-2.0
"""Golden trajectories of HESSO-CRIC around SGD with momentum; scores, groups and choices as hesso.py has them.

Plain steps before the first n >= max(start, 1). Then x is kept, the loss there is the reference, and begins
Probe, 2 * 3 steps for each of the sets that may lose groups (more than `divisible`), no training:
    even steps: the max(1, int(K_s share)) lowest of set s to zero, share 1/4, 1/2, 3/4
    odd steps: ratio = loss / reference is of set s; x back to what was kept; this gradient is not used (released: it is,
    for moments, and all scores of the probe are stored)
    With a loss that can be called, all at the first of these steps.
Cycles, of S steps, at most N; V is shrinking, H historical:
    gradual: the score of (x, d) is stored; the first V is the R lowest; T = T + (the R lowest - H)
      only tensors with scored groups of such sets train; V: x <- x (S - h - 1) / (S - h), h = 0 ... S - 1
      at h = S - 1: x back; the end after N cycles, or when the next V = T has `tolerance` groups or fewer; H = H + V, T = {}
    released: the same, but at h' = 0 of each cycle (h' counts steps, h = (h' - 1) mod S): the score is of x and of the
      gradient there, x back, the next V = T (the first: the R lowest), then the step from the x that was kept;
      the end when N cycles have begun, or V has `tolerance` groups or fewer
At the end: score = mean of stored scores + weight * mean(ratios of the set) / K_s; the R lowest; x back
Then `pruning_steps` = Q steps: x <- x (Q - h - 1) / (Q - h) of these, h = 0 ... Q - 1; then 0.
"""
import numpy as np

from common import Writer
from hesso import group_view, scores

f32 = np.float32
closest = [1.0]


class Cric:
    def __init__(self, kind, shapes, sets, c, x):
        self.kind, self.shapes, self.sets, self.c, self.x = kind, shapes, sets, c, x.astype(kind)
        self.u = np.zeros_like(self.x)
        self.stage, self.at, self.cycle, self.n = "waiting", 0, 0, 0
        self.set_of = [i for i, s in enumerate(sets) for _ in range(s["count"])]
        self.groups = len(self.set_of)
        self.first = [self.set_of.index(i) for i in range(len(sets))]
        self.prunable = [i for i, s in enumerate(sets) if s["count"] > c["divisible"]]
        self.target = int(sum(sets[i]["count"] for i in self.prunable) * c["sparsity"])
        self.stored, self.ratios = [], {i: [] for i in self.prunable}
        self.V, self.T, self.H, self.gone = set(), set(), set(), set()

    def tensors(self, flat):
        out, at = {}, 0
        for name, shape in self.shapes.items():
            size = int(np.prod(shape))
            out[name] = flat[at:at + size].reshape(shape)
            at += size
        return out

    def views(self, group):
        s = self.sets[self.set_of[group]]
        tensors = self.tensors(self.x)
        return [group_view(tensors[t], a, s["heads"], s["whole"])[group - self.first[self.set_of[group]]]
                for t, a in s["scored"] + s["zeroed"]]

    def lowest(self, score):
        ranked = np.diff(sorted(score))
        closest[0] = min([closest[0], *ranked[ranked > 1e-15]])
        kept = [s["count"] for s in self.sets]
        chosen = []
        for g in sorted(range(self.groups), key=lambda g: score[g]):
            if len(chosen) < self.target and kept[self.set_of[g]] > self.c["divisible"]:
                chosen.append(g)
                kept[self.set_of[g]] -= 1
        for g in reversed(list(chosen)):
            if kept[self.set_of[g]] % self.c["divisible"]:
                kept[self.set_of[g]] += 1
                chosen.remove(g)
        return set(chosen)

    def train(self, g, start=None):
        at, kind, c = self.x.copy(), self.kind, self.c
        begin = at if start is None else start
        self.u = kind(c["mu"]) * self.u + g.astype(kind)
        self.x = begin - kind(c["lr"]) * self.u
        d = self.u if kind is np.float64 else (begin.astype(np.float64) - self.x.astype(np.float64)) / c["lr"]
        return scores(self.sets, self.tensors(at), self.tensors(d), c["weights"])

    def shrink(self, left):
        for g in self.V:
            for view in self.views(g):
                view *= self.kind(left / (left + 1))

    def probe(self, k, score):
        s = self.prunable[k // 3]
        count = max(1, int(self.sets[s]["count"] * (0.25, 0.5, 0.75)[k % 3]))
        members = sorted((g for g in range(self.groups) if self.set_of[g] == s), key=lambda g: score[g])
        for g in members[:count]:
            for view in self.views(g):
                view[...] = 0

    def only_groups_train(self):
        trained = {t for i in self.prunable for t, _ in self.sets[i]["scored"]}
        now, then = self.tensors(self.x), self.tensors(self.kept)
        for name in self.shapes:
            if name not in trained:
                now[name][...] = then[name]

    def conclude(self):
        score = np.mean(self.stored, axis=0)
        for s in self.prunable:
            for g in range(self.groups):
                if self.set_of[g] == s:
                    score[g] += self.c["loss"] * np.mean(self.ratios[s]) / self.sets[s]["count"]
        self.V = self.lowest(score)
        self.x = self.kept.copy()
        self.go("shrinking")

    def go(self, stage):
        self.stage, self.at = stage, -1

    def step(self, g, loss):
        c, released = self.c, self.c["released"]
        self.n += 1
        if self.stage == "waiting" and self.n >= c["start"]:
            self.stage, self.at = "probing", 0
        if self.stage == "waiting":
            self.train(g)
        elif self.stage == "probing":
            probes = 3 * len(self.prunable)
            back = self.at % 2 == 1
            if self.at == 0:
                self.kept = self.x.copy()
                self.reference = loss(self.x) if c["closure"] else loss
            if not back or released:
                score = self.train(g)
                if released:
                    self.stored.append(score)
            self.x = self.kept.copy()
            if c["closure"]:
                for k in range(probes):
                    self.probe(k, score)
                    self.ratios[self.prunable[k // 3]].append(loss(self.x) / self.reference)
                    self.x = self.kept.copy()
                self.go("sampling")
            else:
                if back:
                    self.ratios[self.prunable[self.at // 2 // 3]].append(loss / self.reference)
                else:
                    self.probe(self.at // 2, score)
                if self.at + 1 == 2 * probes:
                    self.go("sampling")
        elif self.stage == "sampling" and not released:
            S, h = c["sampling"], self.at % c["sampling"]
            score = self.train(g)
            self.stored.append(score)
            low = self.lowest(score)
            if self.at == 0:
                self.V, self.cycle = low, 1
                self.H |= low
            self.T |= low - self.H
            if h == S - 1:
                self.x = self.kept.copy()
                done = self.cycle == c["cycles"]
                self.V, self.T = self.T, set()
                self.H |= self.V
                if done or len(self.V) <= c["tolerance"]:
                    self.conclude()
                else:
                    self.cycle += 1
            else:
                self.only_groups_train()
                self.shrink(S - h - 1)
        elif self.stage == "sampling":
            S, begins = c["sampling"], self.at % c["sampling"] == 0
            score = self.train(g, self.kept if begins else None)
            self.stored.append(score)
            low = self.lowest(score)
            if begins:
                self.V, self.T = (low if self.cycle == 0 else self.T), set()
                self.H |= self.V
                self.cycle += 1
            self.T |= low - self.H
            self.only_groups_train()
            self.shrink(S - (self.at - 1) % S - 1)
            if self.cycle >= c["cycles"] or len(self.V) <= c["tolerance"]:
                self.conclude()
        else:
            Q = c["pruning_steps"]
            self.train(g)
            if self.at < Q:
                self.shrink(Q - self.at - 1)
            if self.at == Q - 1:
                self.gone, self.V = self.V, set()
            for k in self.gone:
                for view in self.views(k):
                    view[...] = 0
        self.at += 1


def main():
    plain = {"heads": 1, "whole": False, "zeroed": []}
    network = ({"w1": (8, 2), "b1": (8,), "w2": (1, 8), "b2": (2,)},
               [{**plain, "count": 8, "scored": [("w1", 0), ("b1", 0), ("w2", 1)]}])
    attention = ({"q": (6, 2), "o": (1, 6), "c": (5, 1, 2), "aux": (5,), "k": (6,)},
                 [{**plain, "count": 3, "heads": 3, "whole": True, "scored": [("q", 0)]},
                  {**plain, "count": 5, "scored": [("c", 0)], "zeroed": [("aux", 0)]},
                  {**plain, "count": 2, "heads": 3, "scored": [("k", 0)]}])
    equal = [0.2] * 5
    out = Writer()
    for seed, (name, (shapes, sets), options) in enumerate([
            ("network", network, {"sparsity": 0.5, "start": 2, "pruning_steps": 4, "sampling": 5, "cycles": 3}),
            ("attention", attention,
             {"sparsity": 0.3, "start": 0, "pruning_steps": 1, "sampling": 2, "cycles": 9, "tolerance": 1,
              "divisible": 2, "loss": 0.125, "weights": [0.3, 0.1, 0.4, 0.2, 0.05]}),
            ("released", network,
             {"sparsity": 0.25, "start": 1, "pruning_steps": 3, "sampling": 3, "cycles": 4, "released": True}),
            ("released_attention", attention,
             {"sparsity": 0.4, "start": 3, "pruning_steps": 2, "sampling": 2, "cycles": 3, "released": True,
              "weights": [0.01, 0, 0.2, 0, 0]}),  # of directions: then V does not stay the lowest
            ("closure", network,
             {"sparsity": 0.5, "start": 3, "pruning_steps": 3, "sampling": 2, "cycles": 7, "closure": True}),
    ], start=961):
        c = {"lr": 0.03, "mu": 0.5, "divisible": 1, "tolerance": 0, "loss": 1.0, "released": False, "closure": False,
             "weights": equal, **options}
        n = sum(int(np.prod(s)) for s in shapes.values())
        random = np.random.RandomState(seed)  # few digits, and parameters of like size: then what is lowest changes
        x0 = (random.choice([-1, 1], n) * random.randint(12, 20, n) / 16).astype(f32)
        gradients = random.randint(-48, 49, (36, n)).astype(f32) / 16
        losses = random.randint(8, 48, len(gradients)) / 16
        runs = [Cric(kind, shapes, sets, c, x0) for kind in (np.float64, f32)]
        out.line("case", name)
        out.config({k: v for k, v in c.items() if k != "weights"})
        out.line("weights", *c["weights"])
        out.line("n", n)
        out.line("steps", len(gradients))
        out.line("x0", *x0)
        stages = []
        for g, loss in zip(gradients, losses):
            out.line("g", *g)
            out.line("loss", loss)
            for run, bits in zip(runs, ("64", "32")):
                run.step(g, (lambda x: float(np.sum(x.astype(np.float64) ** 2))) if c["closure"] else loss)
                out.line("x" + bits, *run.x)
            assert runs[0].stage == runs[1].stage and runs[0].V == runs[1].V and runs[0].gone == runs[1].gone
            out.line("cycle", runs[0].cycle)
            out.line("status", *(2 if k in runs[0].gone else int(k in runs[0].V) for k in range(runs[0].groups)))
            stages.append(f"{runs[0].stage[0]}{runs[0].cycle}")
        print(name, runs[0].target, runs[0].gone, " ".join(stages))
        assert runs[0].gone and len(runs[0].gone) <= runs[0].target
    print(f"closest scores {closest[0]:.2g}")
    assert closest[0] > 1e-7  # what rounds otherwise chooses the same
    out.save("cric.txt")


if __name__ == "__main__":
    main()
