# SPDX-License-Identifier: Apache-2.0
"""MKOR: Mozaffari et al., "MKOR: Momentum-Enabled Kronecker-Factor-Based Optimizer Using Rank-1 Updates", NeurIPS 2023.

    a = mean over rows of clip(A / k), with a column of 1 / k for a bias; g = mean over rows of clip(b scale dY / k);
        b rows, k micro-batches, whose means are added
    exact:     u = J v;  J <- 1/gamma [J - (1 - gamma) / (gamma + (1 - gamma) v'u) u u']
    released:  M = gamma J + (1 - gamma) I;  w = M v;  J <- M - w w' / (1 + v'w); the first refresh does nothing
    printed:   u = J v;  J <- gamma J + (1 - gamma) / (gamma^2 (1 + gamma (1 - gamma) v'u)) u u'
    before each: if max |J| > threshold: J <- zeta J + (1 - zeta) I
    D = J_G [dW | db] J_A, times (|dW| + |db|) / (|D_W| + |D_b|)
    refresh where (t mod every = 0) or t < warmup, t from 0, before the step

Inputs are not in the file: number j of stream s is x_j, where r_0 = s, r_(j+1) = 1664525 r_j + 1013904223 mod 2^32 and
x_j = floor(r_(j+1) / 256) / 2^23 - 1, all exact in float. At step t and micro-batch m:
    s = 10000 + 100 t + 10 m + 1: activations of layer 1, 6 x 3, times 2, + 0.5 (times 512 at t = 7, which is clipped)
    + 2: its output gradients, 6 x 4, times 1/4;  + 3: activations of layer 2, 6 x 4, + 0.25;  + 4: 6 x 2, times 1/2
    s = 10000 + 100 t: the gradient: w1 4 x 3, b1 4, w2 2 x 4, rest 5
Layer 1 has a bias, layer 2 has none.

case NAME: update, config; then step t, d64 (all 29 numbers); after the last a1 (4 x 4), g1 (4 x 4), a2, g2.
"""
import numpy as np

from common import Writer

STEPS = 25


def numbers(stream, *shape):
    out, r = [], stream
    for _ in range(int(np.prod(shape))):
        r = (1664525 * r + 1013904223) % 2**32
        out.append((r >> 8) / 2.0**23 - 1)
    return np.array(out).reshape(shape)


def inputs(t, m):
    s = 10000 + 100 * t + 10 * m
    a1 = 2 * numbers(s + 1, 6, 3) + 0.5
    if t == 7:
        a1 = 512 * a1
    return [(a1, numbers(s + 2, 6, 4) / 4), (numbers(s + 3, 6, 4) + 0.25, numbers(s + 4, 6, 2) / 2)]


def gradient(t):
    g = numbers(10000 + 100 * t, 29)
    return g[:12].reshape(4, 3), g[12:16].reshape(4, 1), g[16:24].reshape(2, 4), g[24:]


def direction(ja, jg, w, b, rescale):
    d = jg @ (w if b is None else np.hstack([w, b])) @ ja
    norm = np.linalg.norm
    before = norm(w) + (0 if b is None else norm(b))
    after = norm(d) if b is None else norm(d[:, :-1]) + norm(d[:, -1])
    return d * (before / after) if rescale else d


def both(inverses, t, rescale):
    w1, b1, w2, rest = gradient(t)
    d1 = direction(inverses[0], inverses[1], w1, b1, rescale)
    d2 = direction(inverses[2], inverses[3], w2, None, rescale)
    return np.concatenate([d1[:, :3].ravel(), d1[:, 3], d2.ravel(), rest])


def due(config, t):
    return t % config["refresh_every"] == 0 or t < config["warmup_steps"]


def refreshed(update, c, j, v):
    eye = np.eye(len(v))
    if np.abs(j).max() > c["threshold"]:
        j = c["zeta"] * j + (1 - c["zeta"]) * eye
    gamma = c["gamma"]
    if update == "released":
        j = gamma * j + (1 - gamma) * eye
        w = j @ v
        return j - np.outer(w, w) / (1 + v @ w)
    u = j @ v
    if update == "printed":
        return gamma * j + (1 - gamma) / (gamma**2 * (1 + gamma * (1 - gamma) * (v @ u))) * np.outer(u, u)
    return (j - (1 - gamma) / (gamma + (1 - gamma) * (v @ u)) * np.outer(u, u)) / gamma


def run(out, name, update, **changes):
    c = {"gamma": 0.9, "refresh_every": 1, "warmup_steps": 0, "clip": 100.0, "threshold": 50.0, "zeta": 0.9,
         "rescale": True, "micro_batches": 1, "gradient_scale": 1.0}
    c.update(changes)
    out.line("case", name)
    out.line("update", update)
    out.config(c)
    js = [np.eye(4), np.eye(4), np.eye(4), np.eye(2)]
    k, clip = c["micro_batches"], lambda x: np.clip(x, -c["clip"], c["clip"])
    stabilised = 0
    for t in range(STEPS):
        if due(c, t):
            v = [0, 0, 0, 0]
            for m in range(k):
                for layer, (a, dy) in enumerate(inputs(t, m)):
                    rows = len(a)
                    if layer == 0:
                        a = np.hstack([a, np.ones((rows, 1))])
                    v[2 * layer] = v[2 * layer] + clip(a / k).mean(axis=0)
                    v[2 * layer + 1] = v[2 * layer + 1] + clip(rows * c["gradient_scale"] * dy / k).mean(axis=0)
            if not (update == "released" and t == 0):
                stabilised += sum(np.abs(j).max() > c["threshold"] for j in js)
                js = [refreshed(update, c, j, x) for j, x in zip(js, v)]
        out.line("step", t + 1)
        out.line("d64", *both(js, t, c["rescale"]))
    for key, j in zip(["a1", "g1", "a2", "g2"], js):
        out.line(key, *j.ravel())
    return stabilised


def main():
    out = Writer()
    run(out, "exact", "sherman_morrison")
    assert run(out, "exact_stabilised", "sherman_morrison", gamma=0.7, threshold=3.0, zeta=0.8) > 10
    run(out, "exact_every_4_after_3", "sherman_morrison", refresh_every=4, warmup_steps=3, micro_batches=2,
        gradient_scale=0.25, clip=0.75)
    run(out, "exact_not_rescaled", "sherman_morrison", rescale=False)
    run(out, "released", "released", gamma=0.95)
    run(out, "printed", "printed", threshold=10.0, zeta=0.5)
    out.save("mkor.txt")


if __name__ == "__main__":
    main()
