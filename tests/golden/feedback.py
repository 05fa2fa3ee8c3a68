# SPDX-License-Identifier: Apache-2.0
"""Golden trajectories of error feedback (EF14, EF21, EF21-SGDM) with three workers, and two counterexamples to
compression without it. Worker i has f_i(x) = sum_j a_ij (x_j - c_ij)^2 / 2, gradient g_i(x) = a_i * (x - c_i).

One step, in this order; C is the identity, top-k or scaled sign (compressors.py), vectors are elementwise:
    EF14       g_i = g_i(x);  p_i = e_i + eta g_i;  D_i = C(p_i);  e_i <- p_i - D_i;  x <- x - mean_i D_i
    EF21       x <- x - eta hbar;  g_i = g_i(x);  D_i = C(g_i - h_i);  h_i <- h_i + D_i;  hbar <- hbar + mean_i D_i
    EF21-SGDM  x <- x - eta hbar;  g_i = g_i(x);  v_i <- (1-b) v_i + b g_i;  D_i = C(v_i - h_i);
               h_i <- h_i + D_i;  hbar <- hbar + mean_i D_i
    mean_i D_i = ((0 + r D_0) + r D_1) + r D_2 with r = 1/3
e_i = 0 at the start. Cases named `zero` start from h_i = v_i = hbar = 0 (the first step does not move x), cases named
`gradient` from h_i = v_i = g_i(x0), hbar = mean_i h_i. EF14 has eta_t = eta / sqrt(t), the others a constant eta.
To refresh first and move then is the same sequence one move later: after t such calls x is x_{t+1} of `zero`.

x64, e64, h64, v64, hbar64 are double trajectories. x32 and the like are exact: float, every operation above rounds
once, in that order, without fused operations; eta_t, 1-b, b and r are double values rounded once to float (1-b is
computed in double); the scale of a sign is a float. A sign is that of x >= 0: 0 and -0.0 give +scale.

Counterexamples, in double:
    top_1: f_i(x) = <a_i, x>^2 + |x|^2 / 4, a = (-3,2,2), (2,-3,2), (2,2,-3), x_0 = (1,1,1), k = 1. Without feedback
        (x <- x - eta mean_i C(g_i)) x_t = (1 + 11 eta / 6)^t x_0; EF14 and EF21 converge with
        eta = 1 / (L + L_i xi), xi = (1 + sqrt(1 - alpha)) / alpha - 1, alpha = 1/3.
    sign: f(x) = |x_1 + x_2| / 2 + |x_1 - x_2|, subgradient (s/2 + d, s/2 - d) with s, d = +-1 the signs of x_1 + x_2
        and x_1 - x_2, + for 0; x_0 = (1,1), eta_t = 0.1 / sqrt(t). x <- x - eta_t sign(g) keeps x_1 + x_2 = 2;
        EF14 with the scaled sign converges.
"""
import numpy as np

from common import Writer, draw
from compressors import scaled_sign, top_k

WORKERS, STEPS, SIZE, K = 3, 25, 20, 3
NOTES = """
case METHOD_COMPRESSOR or METHOD_COMPRESSOR_START: a trajectory. config: eta (eta / sqrt(t) for ef14), k, b.
a i ..., c i ...: worker i (from 0) has gradient a * (x - c), one subtraction, then one product. x0: the start.
step t, eta: the step's number from 1 and its eta in double. x64, x32: x after this step, one line each for every step.
e64 i ..., e32 i ... (ef14) and h64, h32 (ef21, sgdm) and v64, v32 (sgdm): worker i after the last step.
hbar64, hbar32: the server's estimate after the last step (ef21, sgdm).
case counterexample_top_1: config (constants of the problem, eta); growth (1 + 11 eta / 6);
 steps (to |x| < 1e-6: ef14, ef21 from h = 0, ef21 from h_i = g_i(x0)); norms t |x_t| (without feedback).
case counterexample_sign: without (the least f and the last f in 4000 steps of the sign), with (the least f, the mean
 of f over the last 100 of 4000 steps of EF14); f is that after each step. All in double: to be compared loosely.
""".strip("\n").splitlines()


def identity(x):
    return x


def top(x):
    out = np.zeros_like(x)
    chosen = top_k(x, K)
    out[chosen] = x[chosen]
    return out


COMPRESSORS = {"identity": identity, "topk": top, "sign": scaled_sign}


def mean(parts):
    r = parts[0].dtype.type(1 / WORKERS)
    acc = np.zeros_like(parts[0])
    for part in parts:
        acc = acc + r * part
    return acc


class Problem:
    def __init__(self, a, c, kind):
        self.a, self.c = a.astype(kind), c.astype(kind)

    def gradients(self, x):
        return [a * (x - c) for a, c in zip(self.a, self.c)]


class EF14:
    states = ("e",)

    def __init__(self, problem, compressor, x0):
        self.problem, self.compressor = problem, compressor
        self.e = [np.zeros_like(x0) for _ in range(WORKERS)]

    def step(self, eta, x):
        eta = x.dtype.type(eta)
        p = [e + eta * g for e, g in zip(self.e, self.problem.gradients(x))]
        sent = [self.compressor(q) for q in p]
        self.e = [q - d for q, d in zip(p, sent)]
        self.inputs = p
        return x - mean(sent)


class EF21:
    states = ("h",)

    def __init__(self, problem, compressor, x0, start):
        self.problem, self.compressor = problem, compressor
        zero = [np.zeros_like(x0) for _ in range(WORKERS)]
        self.h = problem.gradients(x0) if start == "gradient" else zero
        self.v = list(self.h)
        self.hbar = mean(self.h)

    def target(self, g):
        return g

    def step(self, eta, x):
        x = x - x.dtype.type(eta) * self.hbar
        self.inputs = [t - h for t, h in zip(self.target(self.problem.gradients(x)), self.h)]
        sent = [self.compressor(q) for q in self.inputs]
        self.h = [h + d for h, d in zip(self.h, sent)]
        self.hbar = self.hbar + mean(sent)
        return x


class SGDM(EF21):
    states = ("h", "v")
    b = 0.1

    def target(self, g):
        kind = g[0].dtype.type
        keep, take = kind(1 - self.b), kind(self.b)
        self.v = [keep * v + take * q for v, q in zip(self.v, g)]
        return self.v


METHODS = {"ef14": EF14, "ef21": EF21, "sgdm": SGDM}


def inputs():
    """a, c of every worker and x0, all float32: of worker 0 coordinate 7 and of every worker coordinate 0 is flat (and
    x0 > c there, so that no h is -0.0: adding what top-k does not send, 0, would make it 0.0)."""
    random = np.random.RandomState(904)  # all choices of the trajectories are clear ones, see safe
    a = random.uniform(0.2, 2, (WORKERS, SIZE))
    a[0, 7] = 0
    a[:, 0] = 0
    c = random.standard_normal((WORKERS, SIZE)) * 10 ** random.uniform(-1, 0.5, SIZE)
    x0, _ = draw(901, SIZE, 1)
    x0[0] = abs(x0[0])
    assert np.all(x0[0] > c[:, 0]) and x0[7] > c[0, 7]
    return a.astype(np.float32), c.astype(np.float32), x0


def safe(name, p):
    """Whether the compressor's choice on this double input is far from every other choice."""
    size = np.abs(p)
    if name == "topk":
        kept = np.zeros(SIZE, bool)
        kept[top_k(p, K)] = True
        return np.min(size[kept]) > (1 + 1e-4) * np.max(size[~kept])
    if name == "sign":
        return np.all((size == 0) | (size > 1e-4 * np.mean(size)))
    return True


def trajectory(out, method, name, start, eta, a, c, x0):
    runs = []
    for kind in (np.float64, np.float32):
        arguments = (Problem(a, c, kind), COMPRESSORS[name], x0.astype(kind), *([start] if start else []))
        runs.append(METHODS[method](*arguments))
    x = [x0.astype(np.float64), x0]
    out.line("case", "_".join(filter(None, (method, name, start))))
    config = {"eta": eta}
    if name == "topk":
        config["k"] = K
    if method == "sgdm":
        config["b"] = SGDM.b
    out.config(config)
    out.line("n", SIZE)
    out.line("workers", WORKERS)
    out.line("steps", STEPS)
    for i in range(WORKERS):
        out.line("a", i, *a[i])
        out.line("c", i, *c[i])
    out.line("x0", *x0)
    for t in range(1, STEPS + 1):
        rate = eta / np.sqrt(t) if method == "ef14" else eta
        x = [run.step(rate, y) for run, y in zip(runs, x)]
        assert all(safe(name, p) for p in runs[0].inputs), (method, name, start, t)
        out.line("step", t)
        out.line("eta", float(rate))
        out.line("x64", *x[0])
        out.line("x32", *x[1])
    for bits, kind, run, y in (("64", np.float64, runs[0], x[0]), ("32", np.float32, runs[1], x[1])):
        assert y.dtype == kind
        for state in run.states:
            for i, vector in enumerate(getattr(run, state)):
                assert vector.dtype == kind and np.all(np.isfinite(vector))
                out.line(state + bits, i, *vector)
        if method != "ef14":
            assert run.hbar.dtype == kind and np.allclose(run.hbar, mean(run.h), rtol=0, atol=1e-5)
            out.line("hbar" + bits, *run.hbar)
    assert np.max(np.abs(x[0] - x[1])) < 1e-5 * (1 + np.max(np.abs(x0)))


class Top1Problem:
    a = np.array([(-3, 2, 2), (2, -3, 2), (2, 2, -3)], np.float64)

    def gradients(self, x):
        return [2 * (a[0] * x[0] + a[1] * x[1] + a[2] * x[2]) * a + x / 2 for a in self.a]


def top_1(x):
    out = np.zeros_like(x)
    at = top_k(x, 1)
    out[at] = x[at]
    return out


def counterexample_top_1(out):
    hessians = [2 * np.outer(a, a) + np.eye(3) / 2 for a in Top1Problem.a]
    spectrum = np.linalg.eigvalsh(sum(hessians) / 3)
    big, mu, big_i, alpha = spectrum[-1], spectrum[0], np.linalg.eigvalsh(hessians[0])[-1], 1 / 3
    xi = (1 + np.sqrt(1 - alpha)) / alpha - 1
    eta = 1 / (big + big_i * xi)
    problem, x0 = Top1Problem(), np.ones(3)
    runs = [EF14(problem, top_1, x0), EF21(problem, top_1, x0, "zero"), EF21(problem, top_1, x0, "gradient")]
    steps = []
    for run in runs:
        x, t = x0, 0
        while np.linalg.norm(x) >= 1e-6:
            x, t = run.step(eta, x), t + 1
            assert t < 10000
        steps.append(t)
    growth, x, norms = 1 + 11 * eta / 6, x0, []
    for t in range(1, 201):
        x = x - eta * mean([top_1(g) for g in problem.gradients(x)])
        assert np.allclose(x, growth**t, rtol=1e-12)
        if t in (1, 10, 50, 100, 200):
            norms.append((t, np.linalg.norm(x)))
    assert np.allclose((big, big_i, mu, eta), (17 + 1 / 6, 34.5, 1 + 1 / 6, 0.005859), rtol=1e-4)
    assert steps[0] == 2079 and 2081 in steps[1:] and abs(norms[-1][1] - 14.6757) < 1e-4
    out.line("case", "counterexample_top_1")
    out.config({"L": big, "L_i": big_i, "mu": mu, "alpha": alpha, "xi": xi, "eta": eta})
    out.line("growth", growth)
    out.line("steps", *steps)
    for t, norm in norms:
        out.line("norms", t, norm)


def counterexample_sign(out):
    def sign(value):
        return np.where(value >= 0, 1.0, -1.0)

    def value(x):
        return abs(x[0] + x[1]) / 2 + abs(x[0] - x[1])

    def gradient(x):
        s, d = sign(x[0] + x[1]), sign(x[0] - x[1])
        return np.array([s / 2 + d, s / 2 - d])

    x, y, e, without, fed = np.ones(2), np.ones(2), np.zeros(2), [], []
    for t in range(1, 4001):
        eta = 0.1 / np.sqrt(t)
        x = x - eta * sign(gradient(x))
        p = e + eta * gradient(y)
        sent = scaled_sign(p)
        e, y = p - sent, y - sent
        without.append(value(x))
        fed.append(value(y))
    assert min(without) > 1 - 1e-12 and min(fed) < 1e-6 and np.mean(fed[-100:]) < 1e-2
    out.line("case", "counterexample_sign")
    out.config({"eta": 0.1})
    out.line("without", min(without), without[-1])
    out.line("with", min(fed), float(np.mean(fed[-100:])))


def check():
    """The identity gives gradient descent; the virtual iterate of EF14 is that of gradient descent, whatever is sent;
    EF21-SGDM with b = 1 is EF21; a vector that stays is approached at the rate 1 - k/n."""
    a, c, x0 = inputs()
    problem, x0 = Problem(a, c, np.float64), x0.astype(np.float64)
    for name, compressor in COMPRESSORS.items():
        ef14, ef21, sgdm = EF14(problem, compressor, x0), EF21(problem, compressor, x0, "zero"), \
            SGDM(problem, compressor, x0, "zero")
        sgdm.b = 1.0
        x, virtual, y, z, plain = x0, x0, x0, x0, x0
        for t in range(1, 30):
            virtual = virtual - 0.3 / t * mean(problem.gradients(x))
            x = ef14.step(0.3 / t, x)
            assert np.allclose(x - mean(ef14.e), virtual, rtol=0, atol=1e-12)
            y, z = ef21.step(0.1, y), sgdm.step(0.1, z)
            assert np.allclose(y, z, rtol=0, atol=1e-12)
            if name == "identity":
                assert np.allclose(y, plain, rtol=0, atol=1e-12)
                plain = plain - 0.1 * mean(problem.gradients(plain))
    still = EF21(problem, top, x0, "zero")
    g = problem.gradients(x0)
    for t in range(1, 8):
        still.step(0, x0)
        for h, target in zip(still.h, g):
            assert np.sum((h - target)**2) <= (1 - K / SIZE)**t * np.sum(target**2) * (1 + 1e-12) + 1e-12


def main():
    check()
    out = Writer()
    out.line("case", "format")
    for note in NOTES:
        out.line("note", note)
    a, c, x0 = inputs()
    for name in COMPRESSORS:
        trajectory(out, "ef14", name, None, 0.3, a, c, x0)
        for method in ("ef21", "sgdm"):
            for start in ("zero", "gradient"):
                trajectory(out, method, name, start, 0.1, a, c, x0)
    counterexample_top_1(out)
    counterexample_sign(out)
    out.save("feedback.txt")


if __name__ == "__main__":
    main()
