# SPDX-License-Identifier: Apache-2.0
"""Golden trajectories of RMSprop with coupled weight decay.

Double (x64, v64; v 0 at the start), any evaluation order:
    gd = g + weight_decay x;  v <- alpha v + (1-alpha) gd^2;  x <- x - lr gd / (sqrt(v) + eps)

Float contract (x32, v32), every operation rounds once, coefficients are double values rounded once to float:
    gd = g + (wd*x);  v = (alpha*v) + (rest*(gd*gd)), rest = 1-alpha;  x = x - (lr*(gd / (sqrt(v) + eps)))
"""
import numpy as np

from common import Writer, trajectory

f32 = np.float32


class RMSprop64:
    states = ("v",)

    def __init__(self, alpha, eps, weight_decay):
        self.alpha, self.eps, self.weight_decay = alpha, eps, weight_decay

    def start(self, n):
        self.v = np.zeros(n)

    def step(self, lr, x, g):
        gd = g + self.weight_decay * x
        self.v = self.alpha * self.v + (1 - self.alpha) * gd**2
        return x - lr * gd / (np.sqrt(self.v) + self.eps)


class RMSprop32:
    states = ("v",)

    def __init__(self, alpha, eps, weight_decay):
        self.alpha, self.rest = f32(alpha), f32(1 - alpha)
        self.eps, self.weight_decay = f32(eps), f32(weight_decay)

    def start(self, n):
        self.v = np.zeros(n, f32)

    def step(self, lr, x, g):
        gd = g + (self.weight_decay * x)
        self.v = (self.alpha * self.v) + (self.rest * (gd * gd))
        return x - (f32(lr) * (gd / (np.sqrt(self.v) + self.eps)))


def main():
    out = Writer()
    for seed, (name, lr, alpha, eps, weight_decay, scheduled) in enumerate([
            ("default", 0.01, 0.99, 1e-8, 0.0, False),
            ("decay", 0.01, 0.99, 1e-8, 0.05, False),
            ("large_eps_schedule", 0.1, 0.9, 0.5, 0.02, True)], start=720):
        rates = lr / np.sqrt(np.arange(1, 26)) if scheduled else np.full(25, lr)
        config = {"lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay}
        arguments = (alpha, eps, weight_decay)
        trajectory(out, name, config, rates, RMSprop64(*arguments), RMSprop32(*arguments), seed)
    out.save("rmsprop.txt")


if __name__ == "__main__":
    main()
