# SPDX-License-Identifier: Apache-2.0
"""Golden trajectories of Muon over three tensors: 5 x 8, 8 x 5, and 3 x 2 x 2, which is a matrix of 3 rows.

Double (x64; m is 0 at the start), any evaluation order:
    m <- mu m + (1-mu) g;  u = (1-mu) g + mu m with Nesterov, else m;  X = u / (|u|_F + 1e-7)
    some times: A = X X^T;  X <- a X + (b A + c A A) X      (of the transpose, where rows > columns)
    x <- (1 - lr weight_decay) x - lr s X,  s = sqrt(max(1, rows/cols)) or 0.2 sqrt(max(rows, cols))

Float contract (x32, m32), every operation rounds once, coefficients are double values rounded once to float:
    m = (mu*m) + (o*g), o = 1-mu;  u = (o*g) + (mu*m), or (0*g) + (1*m)
    q = sum of u*u: element j is added to slot j mod 256, then slots are added by halving; X = u * (1/(sqrt(q) + 1e-7))
    all products of matrices are sums in increasing order of the inner index; S = A A, B = (c*S) + (b*A)
    X = (B X) + (a*X), or (X B) + (a*X) with A = X^T X where rows > columns
    x = (shrink*x) - ((lr s)*X),  shrink = 1 - lr weight_decay
"""
import math

import numpy as np

from common import Writer

f32 = np.float32
SHAPES = [(5, 8), (8, 5), (3, 4)]
STEEP, TO_ONE = (3.4445, -4.7750, 2.0315), (1.875, -1.25, 0.375)


def scale(kind, rows, cols):
    return 0.2 * math.sqrt(max(rows, cols)) if kind == "match_adamw" else math.sqrt(max(1.0, rows / cols))


def product(a, b):
    """Sums in increasing order of the inner index, every product and sum rounded to the type of the factors."""
    total = a[:, :1] * b[:1, :]
    for k in range(1, a.shape[1]):
        total = total + a[:, k:k + 1] * b[k:k + 1, :]
    assert total.dtype == a.dtype
    return total


def squares(u):
    slots = np.zeros(256, f32)
    for j, value in enumerate(u.reshape(-1)):
        slots[j % 256] += value * value
    half = 128
    while half:
        slots[:half] += slots[half:2 * half]
        half //= 2
    return slots[0]


class Muon64:
    def __init__(self, mu, weight_decay, nesterov, kind, coefficients, iterations):
        self.mu, self.weight_decay, self.nesterov, self.kind = mu, weight_decay, nesterov, kind
        self.coefficients, self.iterations = coefficients, iterations
        self.m = [np.zeros(shape) for shape in SHAPES]

    def step(self, lr, xs, gs):
        return [self.one(k, lr, x, g) for k, (x, g) in enumerate(zip(xs, gs))]

    def one(self, k, lr, x, g):
        a, b, c = self.coefficients
        self.m[k] = self.mu * self.m[k] + (1 - self.mu) * g
        u = (1 - self.mu) * g + self.mu * self.m[k] if self.nesterov else self.m[k]
        rows, cols = u.shape
        X = (u if rows <= cols else u.T) / (np.linalg.norm(u) + 1e-7)
        for _ in range(self.iterations):
            A = X @ X.T
            X = a * X + (b * A + c * A @ A) @ X
        return (1 - lr * self.weight_decay) * x - lr * scale(self.kind, rows, cols) * (X if rows <= cols else X.T)


class Muon32(Muon64):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.m = [np.zeros(shape, f32) for shape in SHAPES]

    def one(self, k, lr, x, g):
        mu, o = f32(self.mu), f32(1 - self.mu)
        a, b, c = (f32(value) for value in self.coefficients)
        self.m[k] = (mu * self.m[k]) + (o * g)
        u = (o * g) + (mu * self.m[k]) if self.nesterov else (f32(0) * g) + (f32(1) * self.m[k])
        rows, cols = u.shape
        X = u * f32(1 / (math.sqrt(float(squares(u))) + 1e-7))
        for _ in range(self.iterations):
            A = product(X, X.T) if rows <= cols else product(X.T, X)
            B = (c * product(A, A)) + (b * A)
            X = (product(B, X) if rows <= cols else product(X, B)) + (a * X)
        shrink, rate = f32(1 - lr * self.weight_decay), f32(lr * scale(self.kind, rows, cols))
        return (shrink * x) - (rate * X)


def split(flat):
    out, at = [], 0
    for rows, cols in SHAPES:
        out.append(flat[at:at + rows * cols].reshape(rows, cols))
        at += rows * cols
    return out


def flat(parts):
    return np.concatenate([part.reshape(-1) for part in parts])


def check():
    """Orthogonal factors: the polynomial that tends to 1 gives U V^T; the other, singular values in the band."""
    g = np.random.RandomState(1).standard_normal((5, 8))
    u, _, v = np.linalg.svd(g, full_matrices=False)
    rule = Muon64(0.0, 0.0, False, "spectral", TO_ONE, 30)
    zeros = [np.zeros(shape) for shape in SHAPES]
    assert np.allclose(rule.one(0, 1.0, zeros[0], g), -u @ v, rtol=0, atol=1e-12)
    rule = Muon64(0.0, 0.0, False, "spectral", STEEP, 5)
    values = np.linalg.svd(rule.one(1, 1.0, zeros[1], g.T) / math.sqrt(8 / 5), compute_uv=False)
    assert np.all((values > 0.65) & (values < 1.25)), values


def main():
    check()
    out = Writer()
    for seed, (name, lr, mu, decay, nesterov, kind, coefficients, iterations) in enumerate([
            ("default", 0.02, 0.95, 0.0, True, "spectral", STEEP, 5),
            ("match_adamw", 0.005, 0.9, 0.1, True, "match_adamw", STEEP, 5),
            ("to_one", 0.02, 0.95, 0.5, False, "spectral", TO_ONE, 12)], start=800):
        random = np.random.RandomState(seed)
        n, steps = sum(rows * cols for rows, cols in SHAPES), 20
        x0 = random.standard_normal(n).astype(f32)
        gradients = (random.standard_normal((steps, n)) * 10 ** random.uniform(-2, 1, (steps, 1))).astype(f32)
        gradients[7, :40] = 0
        arguments = (mu, decay, nesterov, kind, coefficients, iterations)
        exact, contract = Muon64(*arguments), Muon32(*arguments)
        out.line("case", name)
        out.config({"lr": lr, "momentum": mu, "weight_decay": decay, "nesterov": float(nesterov),
                    "match_adamw": float(kind == "match_adamw"), "a": coefficients[0], "b": coefficients[1],
                    "c": coefficients[2], "iterations": float(iterations)})
        out.line("x0", *x0)
        x64, x32 = split(x0.astype(np.float64)), split(x0)
        for t, g in enumerate(gradients, start=1):
            x64, x32 = exact.step(lr, x64, split(g.astype(np.float64))), contract.step(lr, x32, split(g))
            out.line("step", t)
            out.line("g", *g)
            out.line("x64", *flat(x64))
            out.line("x32", *flat(x32))
            out.line("m32", *flat(contract.m))
            assert flat(x32).dtype == f32 and np.all(np.isfinite(flat(x64)))
            assert np.all(np.abs(flat(x32) - flat(x64)) < 2e-4), np.max(np.abs(flat(x32) - flat(x64)))
    out.save("muon.txt")


if __name__ == "__main__":
    main()
