// SPDX-License-Identifier: Apache-2.0
/// @file Fashion-MNIST (Xiao, Rasul and Vollgraf 2017): 60,000 + 10,000 grey images of 28 x 28, ten classes.
#pragma once
#include <zlib.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/sha256.hpp"
#include "training/random.hpp"

namespace bench {

struct labelled_images {
  static constexpr std::size_t pixels = 28 * 28;
  std::vector<std::uint8_t> image;  ///< one after the other, row by row
  std::vector<std::uint8_t> label;  ///< 0 to 9
  std::size_t size() const { return label.size(); }
};

struct fashion_mnist {
  labelled_images train, test;
  double mean = 0, deviation = 1;  ///< of the training pixels, in [0, 255]

  /// An image's pixels, shifted and scaled so that all training pixels together have mean 0 and deviation 1.
  void normalized(labelled_images const& from, std::size_t image, float* to) const {
    float const scale = float(1 / deviation), shift = float(-mean / deviation);
    std::uint8_t const* pixel = from.image.data() + image * labelled_images::pixels;
    for (std::size_t i = 0; i < labelled_images::pixels; ++i) to[i] = scale * float(pixel[i]) + shift;
  }
  /// The training images alone, the last of them in the place of the test images.
  fashion_mnist held_out(std::size_t count) const {
    fashion_mnist s;
    auto const cut = std::ptrdiff_t(train.size() - count);
    auto const pixels = cut * std::ptrdiff_t(labelled_images::pixels);
    s.train.label.assign(train.label.begin(), train.label.begin() + cut);
    s.train.image.assign(train.image.begin(), train.image.begin() + pixels);
    s.test.label.assign(train.label.begin() + cut, train.label.end());
    s.test.image.assign(train.image.begin() + pixels, train.image.end());
    s.measure_pixels();
    return s;
  }
  void measure_pixels() {
    std::uint64_t sum = 0, squares = 0;
    for (std::uint8_t p : train.image) {
      sum += p;
      squares += std::uint64_t(p) * p;
    }
    double const n = double(train.image.size());
    mean = double(sum) / n;
    deviation = std::sqrt(double(squares) / n - mean * mean);
  }
};

/// A damaged, truncated or missing data set; the text says what was expected, what was found and what to do.
struct data_error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline constexpr char const* how_to_get_fashion_mnist =
    "Install Debian's package dataset-fashion-mnist, or unpack it anywhere (apt-get download dataset-fashion-mnist, "
    "then "
    "dpkg-deb -x) and name its folder usr/share/datasets/fashion-mnist with --data or in FRUGAL_DATA.";

/// Where the set is looked for when no folder is named.
inline std::filesystem::path fashion_mnist_folder() {
  char const* named = std::getenv("FRUGAL_DATA");
  return named ? named : "/usr/share/datasets/fashion-mnist";
}

/// The bytes of an IDX file, compressed (`path` and ".gz") or plain, after its header: an array of the given extents.
/// The digest is of the contents before compression; an empty one is not checked.
inline std::vector<std::uint8_t> read_idx(std::filesystem::path path, std::vector<std::uint32_t> const& extents,
                                          std::string const& digest = {}) {
  if (std::filesystem::path const compressed = path.string() + ".gz"; std::filesystem::exists(compressed))
    path = compressed;
  auto const require = [&](bool ok, std::string const& what, std::string const& expected, std::string const& got) {
    if (!ok)
      throw data_error(path.string() + ": " + what + ": expected " + expected + ", got " + got + ". " +
                       how_to_get_fashion_mnist);
  };
  require(std::filesystem::is_regular_file(path), "data set", "this file or its .gz", "neither");
  std::unique_ptr<gzFile_s, int (*)(gzFile)> const file(gzopen(path.c_str(), "rb"), gzclose);
  require(file != nullptr, "data set", "a readable file", "one that cannot be opened");

  std::size_t const header = 4 * (1 + extents.size());
  std::size_t const size =
      header + std::accumulate(extents.begin(), extents.end(), std::size_t(1), std::multiplies<>());
  std::string contents(size + 1, '\0');  // one more, to see whether more follows
  int const got = gzread(file.get(), contents.data(), unsigned(contents.size()));
  int status = Z_OK;
  gzerror(file.get(), &status);
  bool const whole = got >= 0 && (status == Z_OK || status == Z_STREAM_END);
  contents.resize(got > 0 ? std::size_t(got) : 0);
  require(whole, "contents", std::to_string(size) + " bytes",
          std::to_string(contents.size()) + " before the file is damaged or ends");
  require(contents.size() >= header, "header", std::to_string(header) + " bytes", std::to_string(contents.size()));

  auto const word = [&](std::size_t k) {
    std::uint32_t w = 0;  // big endian
    for (std::size_t byte = 0; byte < 4; ++byte) w = w << 8 | std::uint8_t(contents[4 * k + byte]);
    return w;
  };
  std::uint32_t const magic = 0x800 + std::uint32_t(extents.size());  // unsigned bytes, and the number of extents
  require(word(0) == magic, "magic number", std::to_string(magic), std::to_string(word(0)));
  for (std::size_t k = 0; k < extents.size(); ++k)
    require(word(k + 1) == extents[k], "extent " + std::to_string(k), std::to_string(extents[k]),
            std::to_string(word(k + 1)));
  require(contents.size() == size, "contents", std::to_string(size) + " bytes",
          contents.size() > size ? "more" : std::to_string(contents.size()));
  if (!digest.empty()) {
    std::string const found = sha256(contents);
    require(found == digest, "SHA-256 of the contents", digest, found);
  }
  return {contents.begin() + std::ptrdiff_t(header), contents.end()};
}

inline fashion_mnist load_fashion_mnist(std::filesystem::path const& folder) {
  fashion_mnist set;
  set.train.image = read_idx(folder / "train-images-idx3-ubyte", {60000, 28, 28},
                             "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888");
  set.train.label = read_idx(folder / "train-labels-idx1-ubyte", {60000},
                             "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9");
  set.test.image = read_idx(folder / "t10k-images-idx3-ubyte", {10000, 28, 28},
                            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b");
  set.test.label = read_idx(folder / "t10k-labels-idx1-ubyte", {10000},
                            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34");

  set.measure_pixels();
  return set;
}

/// A small set of the same shape for tests: noise, brighter in one tenth of the image, which the label tells.
inline fashion_mnist made_up_images(int train, int test) {
  fashion_mnist set;
  generator random(1);
  for (auto [images, count] : {std::pair(&set.train, train), std::pair(&set.test, test)})
    for (int j = 0; j < count; ++j) {
      std::uint32_t const label = random.below(10);
      images->label.push_back(std::uint8_t(label));
      for (std::uint32_t i = 0; i < images->pixels; ++i)
        images->image.push_back(std::uint8_t(random.below(10 * i / images->pixels == label ? 256 : 128)));
    }
  set.measure_pixels();
  return set;
}

}  // namespace bench
