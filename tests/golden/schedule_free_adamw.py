# SPDX-License-Identifier: Apache-2.0
"""Golden trajectories of Schedule-Free AdamW: parameters are y, where gradients are taken; the state d is z - y.

Exact (x64, d64, v64; 100 decimal digits, rounded to double once), by the three sequences of the paper, which are equal at
the start, v = 0, t = 1, 2, ...:
    gamma = lr min(1, t / warmup), times sqrt(1 - beta2^t) with the paper's correction
    v <- beta2 v + (1-beta2) g^2;  root = sqrt(v) with the paper's correction, else sqrt(v / (1 - beta2^t))
    z <- z - gamma (g / (root + eps) + weight_decay y);  c = gamma^2 / (sum of all gamma^2)
    x <- (1-c) x + c z;  y = (1-beta1) z + beta1 x
`average64` is x after the last step.

Float contract (x32, d32, v32), every operation rounds once, coefficients are double values rounded once to float:
    p2 *= beta2 in double each step (from 1); c as above in double; unbias = 1/sqrt(1-p2), or 1 with the paper's
    along = gamma (1 - beta1 (1-c)), lag = gamma beta1, rest = 1-c
    v = (b2*v) + (o2*(g*g));  u = (g / ((unbias*sqrt(v)) + eps)) + (wd*y)
    y = (y + (c*d)) - (along*u);  d = rest*(d - (lag*u))
"""
import math
from decimal import Decimal as D, getcontext

import numpy as np

from blockwise8 import write_trajectory
from common import Writer, trajectory

getcontext().prec = 100
f32 = np.float32


class Exact:
    states = ("d", "v")

    def __init__(self, beta1, beta2, eps, weight_decay, warmup, paper):
        self.beta1, self.beta2, self.eps, self.weight_decay = map(D, (beta1, beta2, eps, weight_decay))
        self.warmup, self.paper = warmup, paper

    def start(self, n):
        self.t, self.total, self.y = 0, D(0), None
        self.second = [D(0)] * n

    def step(self, lr, y, g):
        if self.y is None:
            self.x = self.y = self.z = [D(float(value)) for value in y]
        g = [D(float(value)) for value in g]
        self.t += 1
        left = 1 - self.beta2**self.t
        gamma = D(float(lr)) * (D(self.t) / self.warmup if self.t < self.warmup else 1)
        if self.paper:
            gamma *= left.sqrt()
        self.total += gamma**2
        c = gamma**2 / self.total
        self.second = [self.beta2 * v + (1 - self.beta2) * s * s for v, s in zip(self.second, g)]
        root = [(v if self.paper else v / left).sqrt() + self.eps for v in self.second]
        self.z = [z - gamma * (s / r + self.weight_decay * y)
                  for z, s, r, y in zip(self.z, g, root, self.y)]
        self.x = [(1 - c) * x + c * z for x, z in zip(self.x, self.z)]
        self.y = [(1 - self.beta1) * z + self.beta1 * x for x, z in zip(self.x, self.z)]
        self.d = np.array([float(z - y) if abs(z - y) > D("1e-60") else 0.0 for z, y in zip(self.z, self.y)])
        self.v = np.array([float(v) for v in self.second])
        return np.array([float(y) for y in self.y])


class ScheduleFree32:
    states = ("d", "v")

    def __init__(self, beta1, beta2, eps, weight_decay, warmup, paper):
        self.beta1, self.beta2, self.warmup, self.paper = beta1, beta2, warmup, paper
        self.b2, self.o2, self.eps, self.decay = f32(beta2), f32(1 - beta2), f32(eps), f32(weight_decay)

    def start(self, n):
        self.d, self.v = np.zeros(n, f32), np.zeros(n, f32)
        self.p2, self.t, self.total = 1.0, 0, 0.0

    def step(self, lr, y, g):
        self.t += 1
        self.p2 *= self.beta2
        gamma = float(lr) * (self.t / self.warmup) if self.t < self.warmup else float(lr)
        root = math.sqrt(1 - self.p2)
        unbias = 1 / root
        if self.paper:
            gamma, unbias = gamma * root, 1.0
        self.total += gamma * gamma
        c = gamma * gamma / self.total
        along, lag = f32(gamma * (1 - self.beta1 * (1 - c))), f32(gamma * self.beta1)
        self.v = (self.b2 * self.v) + (self.o2 * (g * g))
        u = (g / ((f32(unbias) * np.sqrt(self.v)) + self.eps)) + (self.decay * y)
        y = (y + (f32(c) * self.d)) - (along * u)
        self.d = f32(1 - c) * (self.d - (lag * u))
        return y


def check():
    """The first step ends with x = y = z: those of AdamW's first step, decay taken at the same place."""
    rule = Exact(0.9, 0.999, 0.0, 0.1, 0, False)
    rule.start(1)
    assert abs(rule.step(0.01, [2.0], [0.5])[0] - (2 - 0.01 * (1 + 0.2))) < 1e-15
    assert rule.d[0] == 0


def main():
    check()
    out = Writer()
    for seed, (name, lr, beta1, beta2, decay, warmup, paper, scheduled) in enumerate([
            ("default", 0.0025, 0.9, 0.999, 0.0, 0, False, False),
            ("warmup", 0.01, 0.95, 0.99, 0.1, 10, False, False),
            ("paper", 0.01, 0.9, 0.999, 0.1, 7, True, False),
            ("schedule", 0.02, 0.98, 0.95, 0.2, 0, False, True)], start=700):
        rates = lr / np.sqrt(np.arange(1, 26)) if scheduled else np.full(25, lr)
        config = {"lr": lr, "beta1": beta1, "beta2": beta2, "eps": 1e-8, "weight_decay": decay,
                  "warmup": float(warmup), "paper": float(paper)}
        arguments = (beta1, beta2, 1e-8, decay, warmup, paper)
        exact = Exact(*arguments)
        trajectory(out, name, config, rates, exact, ScheduleFree32(*arguments), seed)
        out.line("average64", *(float(x) for x in exact.x))
    out.save("schedule_free_adamw.txt")
    write_trajectory("schedule_free_adamw", {"lr": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8,
                                             "weight_decay": 0.1, "warmup": 5.0, "paper": 0.0},
                     np.full(25, 0.01), ScheduleFree32(0.9, 0.999, 1e-8, 0.1, 5, False), 620)


if __name__ == "__main__":
    main()
