# SPDX-License-Identifier: Apache-2.0
"""Golden trajectories of Adam with coupled weight decay.

Double (x64, m64, v64; m and v 0 at the start, t = 1, 2, ...), any evaluation order:
    gd = g + weight_decay x;  m <- beta1 m + (1-beta1) gd;  v <- beta2 v + (1-beta2) gd^2
    x <- x - (lr/c1) m / (sqrt(v)/sqrt(c2) + eps),  c1 = 1 - beta1^t,  c2 = 1 - beta2^t

first_gradient: at t = 1  m = gd, v = gd^2, with the same c1 and c2.

Float contract (x32, m32, v32), every operation rounds once, coefficients are double values rounded once to float:
    b1 = beta1, o1 = 1-beta1, b2 = beta2, o2 = 1-beta2; p1 *= beta1 and p2 *= beta2 in double each step (from 1)
    rate = lr/(1-p1), unbias = 1/sqrt(1-p2)
    gd = g + (wd*x);  m = (b1*m) + (o1*gd);  v = (b2*v) + (o2*(gd*gd))
    x = x - (rate*(m / ((unbias*sqrt(v)) + eps)))
"""
import math

import numpy as np

from common import Writer, trajectory

f32 = np.float32


class Adam64:
    states = ("m", "v")

    def __init__(self, beta1, beta2, eps, weight_decay, first_gradient=False):
        self.first_gradient = first_gradient
        self.beta1, self.beta2, self.eps, self.weight_decay = beta1, beta2, eps, weight_decay

    def start(self, n):
        self.m, self.v, self.t = np.zeros(n), np.zeros(n), 0

    def step(self, lr, x, g):
        self.t += 1
        gd = g + self.weight_decay * x
        self.m = self.beta1 * self.m + (1 - self.beta1) * gd
        self.v = self.beta2 * self.v + (1 - self.beta2) * gd**2
        if self.t == 1 and self.first_gradient:
            self.m, self.v = gd, gd**2
        c1, c2 = 1 - self.beta1**self.t, 1 - self.beta2**self.t
        return x - (lr / c1) * self.m / (np.sqrt(self.v) / math.sqrt(c2) + self.eps)


class Adam32:
    states = ("m", "v")

    def __init__(self, beta1, beta2, eps, weight_decay, first_gradient=False):
        self.first_gradient = first_gradient
        self.beta1, self.beta2 = beta1, beta2
        self.b1, self.o1, self.b2, self.o2 = f32(beta1), f32(1 - beta1), f32(beta2), f32(1 - beta2)
        self.eps, self.weight_decay = f32(eps), f32(weight_decay)

    def start(self, n):
        self.m, self.v = np.zeros(n, f32), np.zeros(n, f32)
        self.p1 = self.p2 = 1.0
        self.t = 0

    def step(self, lr, x, g):
        self.p1, self.p2 = self.p1 * self.beta1, self.p2 * self.beta2
        rate, unbias = f32(lr / (1 - self.p1)), f32(1 / math.sqrt(1 - self.p2))
        gd = g + (self.weight_decay * x)
        self.m = (self.b1 * self.m) + (self.o1 * gd)
        self.v = (self.b2 * self.v) + (self.o2 * (gd * gd))
        self.t += 1
        if self.t == 1 and self.first_gradient:
            self.m, self.v = gd + f32(0), gd * gd  # no negative zeros
        return x - (rate * (self.m / ((unbias * np.sqrt(self.v)) + self.eps)))


def check():
    """x = 1, g = 0.5, lr 0.1: the first step is -lr g/(|g| + eps)."""
    rule = Adam64(0.9, 0.999, 1e-8, 0.0)
    rule.start(1)
    assert abs(rule.step(0.1, np.array([1.0]), np.array([0.5]))[0] - 0.9000000020) < 5e-11
    rule = Adam64(0.9, 0.999, 1e-8, 0.0, True)  # sqrt(0.001) / 0.1 = 0.316 of it
    rule.start(1)
    assert abs(rule.step(0.1, np.array([1.0]), np.array([0.5]))[0] - (1 - 0.1 * 0.316227766)) < 1e-9


def main():
    check()
    out = Writer()
    for seed, (name, beta2, eps, weight_decay, first) in enumerate([
            ("default", 0.999, 1e-8, 0.0, False),
            ("decay", 0.999, 1e-8, 0.1, False),
            ("large_eps", 0.99, 0.5, 0.0, False),
            ("first_gradient", 0.999, 1e-8, 0.1, True)], start=200):
        config = {"lr": 0.001, "beta1": 0.9, "beta2": beta2, "eps": eps, "weight_decay": weight_decay,
                  "first_gradient": float(first)}
        arguments = (0.9, beta2, eps, weight_decay, first)
        trajectory(out, name, config, np.full(25, 0.001), Adam64(*arguments), Adam32(*arguments), seed)
    out.save("adam.txt")


if __name__ == "__main__":
    main()
