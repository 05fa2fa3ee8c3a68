# SPDX-License-Identifier: Apache-2.0
"""Golden trajectories of MeZO, in float32 arithmetic with every operation rounded once.

    u = (c_0 z_0 + c_1 z_1 + c_2 z_2 + c_3 z_3) + (c_4 z_4 + ...) + ...    fours and terms added in this order
                     a tensor's coordinates begin at multiples of 128
    without momentum c_i = -(lr p_i / n), computed as (-lr) (p_i / n) in double and rounded:
                     x = (x - decay x) + u,       decay = lr weight_decay
    with momentum    c_i = p_i / n:  m = momentum m + u,   x = (x - decay x) - lr m
    probe            x + (sign epsilon) z_i;      direction i of step t has the id t 2^32 + i, t = 1, 2, ...
    a group's factors multiply lr and weight_decay; scalars p_i are given
"""
import numpy as np

import normal
import philox
from common import Writer

F = np.float32
SIZES = (33, 1, 6)  # of the tensors; the second is in a group of its own: half the rate, no decay
LR_OF, DECAY_OF = (1.0, 0.5, 1.0), (1.0, 0.0, 1.0)


def entries(kind, seed, direction):
    parts, address = [], 0
    for size in SIZES:
        if kind == "rademacher":
            signs = [philox.word(seed, direction, j // 32) >> (j % 32) & 1 for j in range(address, address + size)]
            parts.append(np.where(np.array(signs) == 1, F(-1), F(1)))
        else:
            parts.append(normal.normals(seed, direction, address, size))
        address += -(-size // 128) * 128
    return parts


def in_order(all):
    total = all[0]
    for each in all[1:]:
        total = total + each
    return total


def run(out, name, kind, count, momentum, decay, seed):
    random = np.random.RandomState(seed)
    x = [random.standard_normal(size).astype(F) for size in SIZES]
    m = [np.zeros(size, F) for size in SIZES]
    epsilon, steps = 1e-3, 20
    out.line("case", name)
    out.config({"seed": seed, "epsilon": epsilon, "momentum": momentum, "weight_decay": decay, "directions": count,
                "steps": steps})
    out.line("direction", kind)
    out.line("x0", *np.concatenate(x))
    for t in range(1, steps + 1):
        lr = 0.05 / t
        p = random.standard_normal(count) * 3
        z = [entries(kind, seed, t * 2**32 + i) for i in range(count)]
        out.line("step", t)
        out.line("lr", lr)
        out.line("p", *p)
        if t in (1, 7):
            out.line("probe", *np.concatenate([a + F(-2 * epsilon) * b for a, b in zip(x, z[count - 1])]))
        for k in range(len(SIZES)):
            rate = lr * LR_OF[k]
            shrink = rate * (decay * DECAY_OF[k])
            terms = [F(p[i] / count if momentum else -rate * (p[i] / count)) * z[i][k] for i in range(count)]
            fours = [in_order(terms[i:i + 4]) for i in range(0, count, 4)]
            u = in_order(fours)
            kept = x[k] - F(shrink) * x[k]
            if momentum:
                m[k] = F(momentum) * m[k] + u
                x[k] = kept - F(rate) * m[k]
            else:
                x[k] = kept + u
            assert x[k].dtype == F and u.dtype == F
        out.line("x", *np.concatenate(x))
    out.line("m", *np.concatenate(m))


def main():
    philox.check()
    out = Writer()
    for kind in ("rademacher", "gaussian"):
        run(out, f"{kind}_plain", kind, 1, 0, 0, 1)
        run(out, f"{kind}_decay", kind, 2, 0, 0.1, 2)
        run(out, f"{kind}_momentum", kind, 22, 0.9, 0.1, 3)
    out.save("mezo.txt")


if __name__ == "__main__":
    main()
