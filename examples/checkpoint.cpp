// SPDX-License-Identifier: Apache-2.0
/// @file A job that saves itself every fifty steps and, started again, goes on from there: to the bit, whatever stopped
/// it. The file is a safetensors file, which other programs can read.
#include <frugal/backend/tbb.hpp>
#include <frugal/interop/safetensors.hpp>
#include <frugal/optim/adamw.hpp>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <vector>

namespace {

const frugal::layout model({{"layer1.weight", {64, 256}}, {"layer1.bias", {256}}, {"layer2.weight", {256, 4}}});

// Runs until step `last`, from the file if there is one; returns the weights.
std::vector<float> job(std::filesystem::path const& path, int last) {
  const frugal::tbb_backend cpu;
  std::vector<float> w(std::size_t(model.size()), 0.f), g(w.size());
  frugal::adamw opt(cpu, model, {}, frugal::blockwise8{});

  frugal::checkpoint run;
  run.add("optimizer", opt).add("weights", cpu, model, w);
  int t = 0;
  if (std::filesystem::exists(path)) {
    run.load(path);
    t = std::stoi(run.notes()["step"]);
    std::printf("goes on at step %d\n", t);
  }
  for (; t < last; ++t) {
    if (t > 0 && t % 50 == 0) {
      run.notes()["step"] = std::to_string(t);
      run.save(path);
    }
    for (std::size_t i = 0; i < w.size(); ++i) g[i] = w[i] - std::sin(float(i));
    opt.config().lr = 0.05 * (1 - double(t) / 200);  // not in the file: it follows from t
    opt.step(w, g);
  }
  return w;
}

}  // namespace

int main() {
  namespace fs = std::filesystem;
  std::string name = (fs::temp_directory_path() / "frugal.XXXXXX").string();
  const fs::path folder = ::mkdtemp(name.data());
  const std::vector<float> whole = job(folder / "whole.safetensors", 200);
  job(folder / "run.safetensors", 130);  // stopped; the last file is of step 100
  const bool same = job(folder / "run.safetensors", 200) == whole;
  std::printf("%ju bytes; resumed: %s\n", std::uintmax_t(fs::file_size(folder / "run.safetensors")),
              same ? "same" : "OTHER");
  fs::remove_all(folder);
  return same ? 0 : 1;
}
