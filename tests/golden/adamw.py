# SPDX-License-Identifier: Apache-2.0
"""Golden trajectories of AdamW (decoupled weight decay with the scheduled rate, before the step).

Double (x64, m64, v64; m and v 0 at the start, t = 1, 2, ...), any evaluation order:
    x <- (1 - lr weight_decay) x;  m <- beta1 m + (1-beta1) g;  v <- beta2 v + (1-beta2) g^2
    x <- x - (lr/c1) m / (sqrt(v)/sqrt(c2) + eps),  c1 = 1 - beta1^t,  c2 = 1 - beta2^t

first_gradient: at t = 1  m = g, v = g^2, with the same c1 and c2.

Float contract (x32, m32, v32), every operation rounds once, coefficients are double values rounded once to float:
    b1 = beta1, o1 = 1-beta1, b2 = beta2, o2 = 1-beta2; p1 *= beta1 and p2 *= beta2 in double each step (from 1)
    rate = lr/(1-p1), unbias = 1/sqrt(1-p2), shrink = 1 - lr*wd
    m = (b1*m) + (o1*g);  v = (b2*v) + (o2*(g*g))
    x = (shrink*x) - (rate*(m / ((unbias*sqrt(v)) + eps)))
"""
import math

import numpy as np

from common import Writer, trajectory

f32 = np.float32


class AdamW64:
    states = ("m", "v")

    def __init__(self, beta1, beta2, eps, weight_decay, first_gradient=False):
        self.first_gradient = first_gradient
        self.beta1, self.beta2, self.eps, self.weight_decay = beta1, beta2, eps, weight_decay

    def start(self, n):
        self.m, self.v, self.t = np.zeros(n), np.zeros(n), 0

    def step(self, lr, x, g):
        self.t += 1
        x = (1 - lr * self.weight_decay) * x
        self.m = self.beta1 * self.m + (1 - self.beta1) * g
        self.v = self.beta2 * self.v + (1 - self.beta2) * g**2
        if self.t == 1 and self.first_gradient:
            self.m, self.v = g, g**2
        c1, c2 = 1 - self.beta1**self.t, 1 - self.beta2**self.t
        return x - (lr / c1) * self.m / (np.sqrt(self.v) / math.sqrt(c2) + self.eps)


class AdamW32:
    states = ("m", "v")

    def __init__(self, beta1, beta2, eps, weight_decay, first_gradient=False):
        self.first_gradient = first_gradient
        self.beta1, self.beta2, self.weight_decay = beta1, beta2, weight_decay
        self.b1, self.o1, self.b2, self.o2 = f32(beta1), f32(1 - beta1), f32(beta2), f32(1 - beta2)
        self.eps = f32(eps)

    def start(self, n):
        self.m, self.v = np.zeros(n, f32), np.zeros(n, f32)
        self.p1 = self.p2 = 1.0
        self.t = 0

    def step(self, lr, x, g):
        self.p1, self.p2 = self.p1 * self.beta1, self.p2 * self.beta2
        rate, unbias = f32(lr / (1 - self.p1)), f32(1 / math.sqrt(1 - self.p2))
        shrink = f32(1 - lr * self.weight_decay)
        self.m = (self.b1 * self.m) + (self.o1 * g)
        self.v = (self.b2 * self.v) + (self.o2 * (g * g))
        self.t += 1
        if self.t == 1 and self.first_gradient:
            self.m, self.v = g + f32(0), g * g  # no negative zeros
        return (shrink * x) - (rate * (self.m / ((unbias * np.sqrt(self.v)) + self.eps)))


def check():
    """Worked number: x = 1, g = 0.5, t = 1, lr 0.1, betas (0.9, 0.999), eps 1e-8, weight decay 0.01."""
    rule = AdamW64(0.9, 0.999, 1e-8, 0.01)
    rule.start(1)
    assert abs(rule.step(0.1, np.array([1.0]), np.array([0.5]))[0] - 0.8990000020) < 5e-11


def main():
    check()
    out = Writer()
    for seed, (name, lr, weight_decay, scheduled, first) in enumerate([
            ("default", 0.001, 0.0, False, False),
            ("decay", 0.01, 0.1, False, False),
            ("schedule", 0.02, 0.2, True, False),
            ("first_gradient", 0.01, 0.1, True, True)], start=300):
        rates = lr / np.sqrt(np.arange(1, 26)) if scheduled else np.full(25, lr)
        config = {"lr": lr, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": weight_decay,
                  "first_gradient": float(first)}
        arguments = (0.9, 0.999, 1e-8, weight_decay, first)
        trajectory(out, name, config, rates, AdamW64(*arguments), AdamW32(*arguments), seed)
    out.save("adamw.txt")


if __name__ == "__main__":
    main()
