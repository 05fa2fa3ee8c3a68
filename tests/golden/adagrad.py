# SPDX-License-Identifier: Apache-2.0
"""Golden trajectories of diagonal Adagrad with coupled weight decay.

Double (x64, v64; v 0 at the start), any evaluation order:
    gd = g + weight_decay x;  v <- v + gd^2;  x <- x - lr gd / (sqrt(v) + eps)

Float contract (x32, v32), every operation rounds once, coefficients are double values rounded once to float:
    gd = g + (wd*x);  v = v + (gd*gd);  x = x - (lr*(gd / (sqrt(v) + eps)))
"""
import numpy as np

from common import Writer, trajectory

f32 = np.float32


class Adagrad64:
    states = ("v",)

    def __init__(self, eps, weight_decay):
        self.eps, self.weight_decay = eps, weight_decay

    def start(self, n):
        self.v = np.zeros(n)

    def step(self, lr, x, g):
        gd = g + self.weight_decay * x
        self.v = self.v + gd**2
        return x - lr * gd / (np.sqrt(self.v) + self.eps)


class Adagrad32:
    states = ("v",)

    def __init__(self, eps, weight_decay):
        self.eps, self.weight_decay = f32(eps), f32(weight_decay)

    def start(self, n):
        self.v = np.zeros(n, f32)

    def step(self, lr, x, g):
        gd = g + (self.weight_decay * x)
        self.v = self.v + (gd * gd)
        return x - (f32(lr) * (gd / (np.sqrt(self.v) + self.eps)))


def main():
    out = Writer()
    for seed, (name, lr, eps, weight_decay, scheduled) in enumerate([
            ("default", 0.01, 1e-10, 0.0, False),
            ("decay", 0.01, 1e-10, 0.05, False),
            ("large_eps_schedule", 0.1, 0.5, 0.02, True)], start=700):
        rates = lr / np.sqrt(np.arange(1, 26)) if scheduled else np.full(25, lr)
        config = {"lr": lr, "eps": eps, "weight_decay": weight_decay}
        trajectory(out, name, config, rates, Adagrad64(eps, weight_decay), Adagrad32(eps, weight_decay), seed)
    out.save("adagrad.txt")


if __name__ == "__main__":
    main()
