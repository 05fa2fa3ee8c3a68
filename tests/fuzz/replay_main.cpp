// SPDX-License-Identifier: Apache-2.0
// Stands in for libFuzzer: runs the target on every file named, and on every file of every folder named.
#include <filesystem>
#include <fstream>
#include <iterator>

#include "fuzz.hpp"

int main(int argc, char** argv) {
  namespace fs = std::filesystem;
  int inputs = 0;
  const auto run = [&](fs::path const& file) {
    std::ifstream in(file, std::ios::binary);
    const frugal_fuzz::bytes data{std::istreambuf_iterator<char>(in), {}};
    std::fprintf(stderr, "%s\n", file.c_str());
    LLVMFuzzerTestOneInput(data.data(), data.size());
    ++inputs;
  };
  for (int k = 1; k < argc; ++k) {
    if (!fs::is_directory(argv[k])) run(argv[k]);
    else
      for (auto const& entry : fs::directory_iterator(argv[k])) run(entry.path());
  }
  std::printf("%d inputs\n", inputs);
  return inputs > 0 ? 0 : 1;
}
