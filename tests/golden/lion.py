# SPDX-License-Identifier: Apache-2.0
"""Golden trajectories of Lion (decoupled weight decay with the scheduled rate).

Double (x64, m64; m is 0 at the start); the order of the operations matters only where c is close to 0, which the
inputs avoid (asserted):
    x <- (1 - lr weight_decay) x;  c = beta1 m + (1-beta1) g;  x <- x - lr sign(c), sign(0) = 0
    m <- beta2 m + (1-beta2) g

Float contract (x32, m32), every operation rounds once, coefficients are double values rounded once to float:
    b1 = beta1, o1 = 1-beta1, b2 = beta2, o2 = 1-beta2, shrink = 1 - lr*wd
    c = (b1*m) + (o1*g);  x = (shrink*x) - (lr*sign(c));  m = (b2*m) + (o2*g)
"""
import numpy as np

from common import Writer, trajectory

f32 = np.float32


class Lion64:
    states = ("m",)

    def __init__(self, beta1, beta2, weight_decay):
        self.beta1, self.beta2, self.weight_decay = beta1, beta2, weight_decay

    def start(self, n):
        self.m = np.zeros(n)

    def step(self, lr, x, g):
        x = (1 - lr * self.weight_decay) * x
        c = self.beta1 * self.m + (1 - self.beta1) * g
        terms = np.abs(self.beta1 * self.m) + np.abs((1 - self.beta1) * g)
        assert np.all((terms == 0) | (np.abs(c) > 1e-5 * terms))
        self.m = self.beta2 * self.m + (1 - self.beta2) * g
        return x - lr * np.sign(c)


class Lion32:
    states = ("m",)

    def __init__(self, beta1, beta2, weight_decay):
        self.b1, self.o1, self.b2, self.o2 = f32(beta1), f32(1 - beta1), f32(beta2), f32(1 - beta2)
        self.weight_decay = weight_decay

    def start(self, n):
        self.m = np.zeros(n, f32)

    def step(self, lr, x, g):
        shrink = f32(1 - lr * self.weight_decay)
        c = (self.b1 * self.m) + (self.o1 * g)
        self.m = (self.b2 * self.m) + (self.o2 * g)
        return (shrink * x) - (f32(lr) * np.sign(c))


def check():
    """Worked numbers: two steps, lr 0.1, betas (0.9, 0.99), weight decay 0.5."""
    rule = Lion64(0.9, 0.99, 0.5)
    rule.start(3)
    x = np.array([1, -2, 0.5])
    for g, x_expected, m_expected in [
            ((0.3, -0.1, 0), (0.85, -1.8, 0.475), (0.003, -0.001, 0)),
            ((-0.1, 0.4, 0), (0.9075, -1.81, 0.45125), (0.00197, 0.00301, 0))]:
        x = rule.step(0.1, x, np.array(g))
        assert np.allclose(x, x_expected, rtol=0, atol=1e-15)
        assert np.allclose(rule.m, m_expected, rtol=0, atol=1e-17)


def main():
    check()
    out = Writer()
    for seed, (name, lr, beta1, beta2, weight_decay, scheduled) in enumerate([
            ("default", 0.0001, 0.9, 0.99, 0.0, False),
            ("decay", 0.001, 0.9, 0.99, 0.5, False),
            ("language_betas", 0.0003, 0.95, 0.98, 0.1, False),
            ("schedule", 0.01, 0.9, 0.99, 1.0, True)], start=400):
        rates = lr / np.sqrt(np.arange(1, 26)) if scheduled else np.full(25, lr)
        config = {"lr": lr, "beta1": beta1, "beta2": beta2, "weight_decay": weight_decay}
        arguments = (beta1, beta2, weight_decay)
        trajectory(out, name, config, rates, Lion64(*arguments), Lion32(*arguments), seed)
    out.save("lion.txt")


if __name__ == "__main__":
    main()
