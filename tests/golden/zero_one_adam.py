# SPDX-License-Identifier: Apache-2.0
"""Golden trajectories of 0/1 Adam: what a rank computes.

Which steps do what: k = h = 1 at the start. Step t = 1, 2, ... up to `freeze` changes v if k divides t; after every
`kappa` changes k doubles. Steps after `freeze` are local, and after step t the ranks meet if h divides t; after every
`scaler` local steps h becomes min(2 h, limit).

Double (x64, m64, v64), as the authors' program has it: u and l are 0 after a meeting and at the start;
    m <- beta1 m + (1-beta1) g;  v <- beta2 v + (1-beta2) g^2 where v changes
    D = lr (m/(sqrt(v) + eps) + weight_decay x);  x <- x - D;  local: u <- u - D, l <- l + lr
    meeting: x <- x - u;  c = mean over the ranks of u (sqrt(v) + eps);  m <- -c/l;  x <- x + c/(sqrt(v) + eps)

Float contract (x32, m32, v32), every operation rounds once, coefficients are double values rounded once to float; in
place of u the place a of the last meeting (or of the last step before `freeze` ended) is kept:
    b1 = beta1, o1 = 1-beta1, b2 = beta2, o2 = 1-beta2, wd
    m = (b1*m) + (o1*g);  v = (b2*v) + (o2*(g*g)) where v changes;  x = x - (lr*((m/(sqrt(v) + eps)) + (wd*x)))
    meeting: z = (x - a)*(sqrt(v) + eps);  c = 0.5*(z of rank 0) + 0.5*(z of rank 1)
    m = c*(-1/l), l the sum of the rates in double;  x = a + (c/(sqrt(v) + eps));  a = x

zero_one_adam.txt: steps up to `freeze`. zero_one_adam_ranks.txt: two ranks, with the mean of their gradients first, and
then each with its own.
"""
import numpy as np

from common import Writer, draw, trajectory

f32 = np.float32


class Schedule:
    def __init__(self, freeze, kappa, scaler=1, limit=1):
        self.freeze, self.kappa, self.scaler, self.limit = freeze, kappa, scaler, limit
        self.t, self.k, self.h, self.changed, self.locals = 0, 1, 1, 0, 0

    def step(self):
        """Does this step change v, is it local, and do ranks meet after it?"""
        self.t += 1
        if self.t <= self.freeze:
            changes = self.t % self.k == 0
            self.changed += changes
            if self.changed == self.kappa:
                self.changed, self.k = 0, 2 * self.k
            return changes, False, False
        meets = self.t % self.h == 0
        self.locals += 1
        if self.locals == self.scaler:
            self.locals, self.h = 0, min(self.limit, 2 * self.h)
        return False, True, meets


class ZeroOneAdam64:
    states = ("m", "v")

    def __init__(self, beta1, beta2, eps, weight_decay, schedule):
        self.beta1, self.beta2, self.eps, self.weight_decay, self.schedule = beta1, beta2, eps, weight_decay, schedule

    def start(self, n):
        self.m, self.v, self.u, self.l = np.zeros(n), np.zeros(n), np.zeros(n), 0.0

    def step(self, lr, x, g):
        changes, self.local, self.meets = self.schedule.step()
        self.m = self.beta1 * self.m + (1 - self.beta1) * g
        if changes:
            self.v = self.beta2 * self.v + (1 - self.beta2) * g**2
        delta = lr * (self.m / (np.sqrt(self.v) + self.eps) + self.weight_decay * x)
        if self.local:
            self.u = self.u - delta
            self.l += lr
        return x - delta

    def bring(self, x):
        return self.u * (np.sqrt(self.v) + self.eps)

    def meet(self, x, c):
        x = x - self.u + c / (np.sqrt(self.v) + self.eps)
        self.m, self.u, self.l = -c / self.l, np.zeros_like(x), 0.0
        return x


class ZeroOneAdam32:
    states = ("m", "v")

    def __init__(self, beta1, beta2, eps, weight_decay, schedule):
        self.b1, self.o1, self.b2, self.o2 = f32(beta1), f32(1 - beta1), f32(beta2), f32(1 - beta2)
        self.eps, self.wd, self.schedule = f32(eps), f32(weight_decay), schedule

    def start(self, n):
        self.m, self.v, self.place, self.l = np.zeros(n, f32), np.zeros(n, f32), None, 0.0

    def step(self, lr, x, g):
        changes, self.local, self.meets = self.schedule.step()
        if self.local:
            if self.place is None:
                self.place = x
            self.l += lr
        self.m = (self.b1 * self.m) + (self.o1 * g)
        if changes:
            self.v = (self.b2 * self.v) + (self.o2 * (g * g))
        return x - (f32(lr) * ((self.m / (np.sqrt(self.v) + self.eps)) + (self.wd * x)))

    def bring(self, x):
        return (x - self.place) * (np.sqrt(self.v) + self.eps)

    def meet(self, x, c):
        self.m, self.l = c * f32(-1 / self.l), 0.0
        self.place = self.place + (c / (np.sqrt(self.v) + self.eps))
        return self.place


def two_ranks(out, name, weight_decay, freeze, kappa, scaler, limit, seed, steps=25):
    x0, first = draw(seed)
    _, second = draw(seed + 1)
    config = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": weight_decay, "freeze": freeze, "kappa": kappa,
              "scaler": scaler, "limit": limit}
    out.line("case", name)
    out.config(config)
    out.line("x0", *x0)
    ranks = []
    for rank in range(2):
        for rule, x in ((ZeroOneAdam64, x0.astype(np.float64)), (ZeroOneAdam32, x0)):
            ranks.append([rule(0.9, 0.999, 1e-8, weight_decay, Schedule(freeze, kappa, scaler, limit)), x])
            ranks[-1][0].start(x0.size)
    meetings = 0
    for t in range(1, steps + 1):
        lr = 0.01 / t**0.5
        out.line("lr", lr)
        own = [first[t - 1], second[t - 1]]
        if t <= freeze:
            own = [f32(0.5) * own[0] + f32(0.5) * own[1]] * 2
        for rank in range(2):
            out.line(f"g_{rank}", *own[rank])
            for one in ranks[2 * rank:2 * rank + 2]:
                g = own[rank].astype(one[1].dtype)
                one[1] = one[0].step(lr, one[1], g)
                assert one[1].dtype == g.dtype
        meets = ranks[0][0].meets
        out.line("meets", int(meets))
        meetings += meets
        if meets:
            for bits, half in ((0, 0.5), (1, f32(0.5))):
                z = [ranks[rank + bits][0].bring(ranks[rank + bits][1]) for rank in (0, 2)]
                c = half * z[0] + half * z[1]
                if bits:
                    out.line("c", *c)
                for rank in (0, 2):
                    ranks[rank + bits][1] = ranks[rank + bits][0].meet(ranks[rank + bits][1], c)
            assert np.array_equal(ranks[1][1], ranks[3][1])
        for rank in range(2):
            for bits, one in zip((64, 32), ranks[2 * rank:2 * rank + 2]):
                out.line(f"x{bits}_{rank}", *one[1])
            for state in ("m", "v"):
                out.line(f"{state}32_{rank}", *getattr(ranks[2 * rank + 1][0], state))
    assert meetings > 3


def check():
    """k doubles after every 2 changes: 1, 2, then 4, 6, then 8, 12, 16 would be next but for doubling; h: 1, 2, 4."""
    s = Schedule(14, 2, 3, 4)
    kinds = [s.step() for _ in range(30)]
    assert [t for t, kind in enumerate(kinds, start=1) if kind[0]] == [1, 2, 4, 6, 8, 12]
    assert [t for t, kind in enumerate(kinds, start=1) if kind[2]] == [15, 16, 17, 18, 20, 24, 28]


def main():
    check()
    out = Writer()
    for seed, (name, lr, weight_decay, kappa, scheduled) in enumerate([
            ("default", 0.001, 0.0, 16, False),
            ("decay", 0.01, 0.1, 3, False),
            ("schedule", 0.02, 0.2, 1, True)], start=860):
        rates = lr / np.sqrt(np.arange(1, 26)) if scheduled else np.full(25, lr)
        config = {"lr": lr, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": weight_decay, "kappa": kappa}
        rules = [rule(0.9, 0.999, 1e-8, weight_decay, Schedule(1000, kappa)) for rule in (ZeroOneAdam64, ZeroOneAdam32)]
        trajectory(out, name, config, rates, *rules, seed)
    out.save("zero_one_adam.txt")
    out = Writer()
    two_ranks(out, "often", 0.0, 4, 2, 100, 16, 870)
    two_ranks(out, "seldom", 0.1, 6, 3, 4, 4, 880)
    out.save("zero_one_adam_ranks.txt")


if __name__ == "__main__":
    main()
