# SPDX-License-Identifier: Apache-2.0
"""K-FAC: Martens, Grosse, "Optimizing Neural Networks with Kronecker-factored Approximate Curvature", ICML 2015.

    S_A = A'A / b, with a column of ones for a bias; S_G = (b scale dY)'(b scale dY) / b; means over micro-batches
    F <- gamma F + (1 - gamma) S, from I;  J = (F + damping I)^-1, or, by traces,
    J_A = (F_A + pi sqrt(damping) I)^-1, J_G = (F_G + sqrt(damping) / pi I)^-1, pi^2 = (tr F_A / d_A) / (tr F_G / d_G)
    D = J_G [dW | db] J_A

Inputs and layers as in mkor.py.  case NAME: damped, config; step t, d64; after the last a1, g1, a2, g2.
"""
import numpy as np

from common import Writer
from mkor import STEPS, both, due, inputs


def run(out, name, damped, **changes):
    c = {"gamma": 0.95, "refresh_every": 1, "warmup_steps": 0, "damping": 0.03, "rescale": False, "micro_batches": 1,
         "gradient_scale": 1.0}
    c.update(changes)
    out.line("case", name)
    out.line("damped", damped)
    out.config(c)
    sizes = [4, 4, 4, 2]
    fs = [np.eye(n) for n in sizes]
    js = [np.eye(n) for n in sizes]
    k = c["micro_batches"]
    for t in range(STEPS):
        if due(c, t):
            s = [np.zeros((n, n)) for n in sizes]
            for m in range(k):
                for layer, (a, dy) in enumerate(inputs(t, m)):
                    rows = len(a)
                    if layer == 0:
                        a = np.hstack([a, np.ones((rows, 1))])
                    g = rows * c["gradient_scale"] * dy
                    s[2 * layer] += a.T @ a / rows / k
                    s[2 * layer + 1] += g.T @ g / rows / k
            fs = [c["gamma"] * f + (1 - c["gamma"]) * x for f, x in zip(fs, s)]
            for layer in range(2):
                fa, fg = fs[2 * layer], fs[2 * layer + 1]
                da = dg = c["damping"]
                if damped == "by_traces":
                    pi = np.sqrt((np.trace(fa) / len(fa)) / (np.trace(fg) / len(fg)))
                    da, dg = pi * np.sqrt(c["damping"]), np.sqrt(c["damping"]) / pi
                js[2 * layer] = np.linalg.inv(fa + da * np.eye(len(fa)))
                js[2 * layer + 1] = np.linalg.inv(fg + dg * np.eye(len(fg)))
        out.line("step", t + 1)
        out.line("d64", *both(js, t, c["rescale"]))
    for key, j in zip(["a1", "g1", "a2", "g2"], js):
        out.line(key, *j.ravel())


def main():
    out = Writer()
    run(out, "each_factor", "each_factor")
    run(out, "by_traces", "by_traces", damping=0.1)
    run(out, "every_4_after_3", "each_factor", refresh_every=4, warmup_steps=3, micro_batches=2, gradient_scale=0.25,
        rescale=True)
    out.save("kfac.txt")


if __name__ == "__main__":
    main()
