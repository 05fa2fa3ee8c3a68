# SPDX-License-Identifier: Apache-2.0
"""Golden trajectories of decentralized SGD with momentum and local steps on a ring of five ranks, Metropolis weights
(all 1/3). The gradients g_i(t), t = 0, 1, ..., are given. H local steps a round of gossip:
    cta, combine then adapt: at t = 0, H, 2H, ... x_i <- sum_j W_ij x_j; then every t: x_i <- step(x_i, g_i)
    atc, adapt then combine: every t: x_i <- step(x_i, g_i); after t = H-1, 2H-1, ... x_i <- sum_j W_ij x_j
    step: g <- g + decay x; m <- mu m + g; x <- x - lr m (m is local, 0 at the start, and not mixed)
Float: every operation rounds once, coefficients are double values rounded once, mixing as in gossip.py.

case NAME: order, local_steps, config (lr, momentum, weight_decay), ranks, n; x0 i ...; step t, then for each rank
g i ..., x32 i ... after the step; m32 i ... after the last.
"""
import numpy as np

from common import Writer
from gossip import float_rows, metropolis, mix

f32 = np.float32
RANKS, SIZE, STEPS = 5, 6, 14
RING = [(i, (i + 1) % RANKS) for i in range(RANKS)]
CONFIG = {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.01}


def local(x, m, g):
    lr, mu, decay = (f32(CONFIG[k]) for k in ("lr", "momentum", "weight_decay"))
    g = g + decay * x
    m = mu * m + g
    return x - lr * m, m


def run(out, name, order, local_steps, seed):
    random = np.random.RandomState(seed)
    xs = list(random.standard_normal((RANKS, SIZE)).astype(f32))
    ms = [np.zeros(SIZE, f32) for _ in xs]
    rows = float_rows(metropolis(RANKS, RING))
    out.line("case", name)
    out.line("order", order)
    out.line("local_steps", local_steps)
    out.config(CONFIG)
    out.line("ranks", RANKS)
    out.line("n", SIZE)
    for i, x in enumerate(xs):
        out.line("x0", i, *x)
    for t in range(STEPS):
        gs = list(random.standard_normal((RANKS, SIZE)).astype(f32))
        if order == "cta" and t % local_steps == 0:
            xs = mix(rows, xs)
        xs, ms = map(list, zip(*[local(x, m, g) for x, m, g in zip(xs, ms, gs)]))
        if order == "atc" and t % local_steps == local_steps - 1:
            xs = mix(rows, xs)
        out.line("step", t + 1)
        for i in range(RANKS):
            assert xs[i].dtype == f32 and ms[i].dtype == f32
            out.line("g", i, *gs[i])
            out.line("x32", i, *xs[i])
    for i in range(RANKS):
        out.line("m32", i, *ms[i])


def main():
    out = Writer()
    run(out, "cta", "cta", 1, 11)
    run(out, "atc", "atc", 1, 12)
    run(out, "cta_4_local", "cta", 4, 13)
    run(out, "atc_3_local", "atc", 3, 14)
    out.save("d_psgd.txt")


if __name__ == "__main__":
    main()
