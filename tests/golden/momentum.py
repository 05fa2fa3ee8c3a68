# SPDX-License-Identifier: Apache-2.0
"""Golden trajectories of SGD with momentum and coupled weight decay.

Double (x64, m64; m is the momentum buffer u, 0 at the start), any evaluation order:
    gd = g + weight_decay x;  u <- mu u + gd;  x <- x - lr u  (heavy ball)  or  x - lr (gd + mu u)  (nesterov, new u)

Float contract (x32, m32), every operation rounds once, coefficients are double values rounded once to float:
    gd = g + (wd*x);  u = (mu*u) + gd;  d = (gain*gd) + (weight*u);  x = x - (lr*d)
    (gain, weight) = (0, 1) heavy ball, (1, mu) nesterov
"""
import numpy as np

from common import Writer, trajectory

f32 = np.float32


class Momentum64:
    states = ("m",)

    def __init__(self, mu, weight_decay, nesterov):
        self.mu, self.weight_decay, self.nesterov = mu, weight_decay, nesterov

    def start(self, n):
        self.m = np.zeros(n)

    def step(self, lr, x, g):
        gd = g + self.weight_decay * x
        self.m = self.mu * self.m + gd
        return x - lr * (gd + self.mu * self.m if self.nesterov else self.m)


class Momentum32:
    states = ("m",)

    def __init__(self, mu, weight_decay, nesterov):
        self.mu, self.weight_decay = f32(mu), f32(weight_decay)
        self.gain, self.weight = (f32(1), f32(mu)) if nesterov else (f32(0), f32(1))

    def start(self, n):
        self.m = np.zeros(n, f32)

    def step(self, lr, x, g):
        gd = g + (self.weight_decay * x)
        self.m = (self.mu * self.m) + gd
        d = (self.gain * gd) + (self.weight * self.m)
        return x - (f32(lr) * d)


def main():
    constant, falling = np.full(25, 0.01), 0.01 / np.sqrt(np.arange(1, 26))
    out = Writer()
    for seed, (name, mu, weight_decay, nesterov, rates) in enumerate([
            ("default", 0.9, 0.0, False, constant),
            ("decay", 0.9, 0.05, False, constant),
            ("nesterov", 0.9, 0.0, True, constant),
            ("nesterov_decay_schedule", 0.95, 0.02, True, falling)], start=100):
        config = {"lr": 0.01, "mu": mu, "weight_decay": weight_decay, "nesterov": nesterov}
        arguments = (mu, weight_decay, nesterov)
        trajectory(out, name, config, rates, Momentum64(*arguments), Momentum32(*arguments), seed)
    out.save("momentum.txt")


if __name__ == "__main__":
    main()
