// SPDX-License-Identifier: Apache-2.0
/// @file The demo's four workers as processes: mpirun -n 4 demo_workers. Computes the same bits as the demo, which runs
/// them in one process.
#include "training/workers_loopback.hpp"

#include <CLI/CLI.hpp>
#include <frugal/comm/mpi.hpp>

#include <iostream>

#include "training/workers_figures.hpp"

namespace {

template <class World>
nlohmann::json train_all(World world, std::uint64_t seed, bench::workers_task const& t, std::size_t looks,
                         bool print = false) {
  nlohmann::json all;
  for (auto const& m : bench::methods<World>()) {
    auto const seen = bench::train(world, m, seed, t, looks);
    if (print && world.rank() == 0)
      std::printf("%-18s %6d steps %10.1f MB  %6.2f %%  weights %s\n", m.name.c_str(), seen.back().step,
                  1e-6 * double(seen.back().bytes), seen.back().accuracy,
                  bench::figures(seen).back()["digest"].template get<std::string>().c_str());
    all[m.name] = bench::figures(seen);
  }
  return all;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Four workers train together, each a process: mpirun -n 4 demo_workers");
  std::string data = bench::fashion_mnist_folder().string();
  int epochs = 5;
  std::uint64_t seed = 1;
  std::size_t looks = 99;
  bool quick = false, synthetic = false, json = false, compare = false;
  app.add_option("--data", data, "folder of Fashion-MNIST")->capture_default_str();
  app.add_option("--epochs", epochs, "passes over the training set")->check(CLI::Range(1, 1000))->capture_default_str();
  app.add_option("--seed", seed, "of the weights, the shards and the batches")->capture_default_str();
  app.add_option("--looks", looks, "stop at this one of the looks at the weights")->check(CLI::Range(1, 99));
  app.add_flag("--quick", quick, "a few steps");
  app.add_flag("--synthetic", synthetic, "no data set: a small one is made up");
  app.add_flag("--json", json, "print everything that was seen instead of a table");
  app.add_flag("--compare", compare, "rank 0 does the same in one process and fails where the numbers differ");
  CLI11_PARSE(app, argc, argv);

  int status = 0;
  auto const body = [&](frugal::mpi_comm& world) {
    frugal::require(world.size() == bench::workers_task::workers, "processes", bench::workers_task::workers,
                    world.size());
    bench::fashion_mnist const set = synthetic ? bench::made_up_images(1280, 200) : bench::load_fashion_mnist(data);
    bench::workers_task const t(set, quick ? 0 : epochs);
    nlohmann::json const figures = train_all(world, seed, t, looks, !json);
    if (world.rank() > 0) return;
    if (json) std::cout << figures.dump(2) << std::endl;
    if (!compare) return;
    frugal::run_loopback(t.workers, [&](bench::local_world& local) {
      nlohmann::json const there = train_all(local, seed, t, looks);
      if (local.rank() == 0) status = there == figures ? 0 : 1;
    });
    std::printf("%s\n", status == 0 ? "the same in one process, bit for bit" : "NOT the same in one process");
  };
  int const mpi = frugal::run_mpi(argc, argv, body, {.timeout = 300});  // seconds: the demo must not wait for ever
  return mpi != 0 ? mpi : status;
}
