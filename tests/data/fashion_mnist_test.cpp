// SPDX-License-Identifier: Apache-2.0
// The demo's data set: a missing, truncated or altered file is refused with what was expected and what was got.
#include "training/fashion_mnist.hpp"

#include <gtest/gtest.h>

#include <fstream>

namespace {

class idx : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
  }
  void TearDown() override { std::filesystem::remove_all(folder); }
  void write(std::string const& bytes, bool compressed = false) {
    if (compressed) {
      gzFile f = gzopen((file.string() + ".gz").c_str(), "wb");
      gzwrite(f, bytes.data(), unsigned(bytes.size()));
      gzclose(f);
    } else {
      std::ofstream(file, std::ios::binary) << bytes;
    }
  }
  void refused(std::initializer_list<char const*> words, std::string const& digest = {}) {
    try {
      bench::read_idx(file, {2, 3}, digest);
      ADD_FAILURE() << "accepted";
    } catch (bench::data_error const& e) {
      for (char const* word : words) EXPECT_NE(std::string(e.what()).find(word), std::string::npos) << e.what();
      EXPECT_NE(std::string(e.what()).find("dataset-fashion-mnist"), std::string::npos) << "says how to get it";
    }
  }
  // Bytes, two dimensions, 2 x 3.
  const std::string good{
      "\0\0\x08\x02\0\0\0\x02\0\0\0\x03"
      "abcdef",
      18};
  const std::filesystem::path folder = std::filesystem::temp_directory_path() / "frugal_idx_test",
                              file = folder / "set";
};

TEST_F(idx, reads_plain_and_compressed_files) {
  const std::vector<std::uint8_t> expected{'a', 'b', 'c', 'd', 'e', 'f'};
  write(good);
  EXPECT_EQ(bench::read_idx(file, {2, 3}), expected);
  std::filesystem::remove(file);
  write(good, true);
  EXPECT_EQ(bench::read_idx(file, {2, 3}), expected);
}

TEST_F(idx, refuses_what_is_not_there) { refused({"expected this file or its .gz", "got neither"}); }

TEST_F(idx, refuses_truncated_files) {
  for (std::size_t length : {0, 1, 11, 12, 17}) {
    write(good.substr(0, length));
    refused({"expected", "got"});
  }
  write(good, true);
  std::filesystem::resize_file(file.string() + ".gz", 20);
  refused({"expected", "got"});
}

TEST_F(idx, refuses_what_is_too_long_or_of_another_shape) {
  write(good + "g");
  refused({"expected", "got"});
  for (std::size_t at : {2, 3, 7, 11}) {
    std::string other = good;
    other[at] = char(other[at] + 1);
    write(other);
    refused({"expected", "got"});
  }
}

TEST_F(idx, refuses_altered_contents) {
  write(good);
  refused({"expected", "got"}, std::string(64, '0'));
}

TEST(sha256, known_answers) {  // FIPS 180-4
  EXPECT_EQ(bench::sha256(std::string_view("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(bench::sha256(std::string_view("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(fashion_mnist, the_last_training_images_are_held_out) {
  bench::fashion_mnist const all = bench::made_up_images(30, 5), part = all.held_out(10);
  auto const joined = [](std::vector<std::uint8_t> a, std::vector<std::uint8_t> const& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  };
  EXPECT_EQ(part.train.size(), 20u);
  EXPECT_EQ(joined(part.train.label, part.test.label), all.train.label);
  EXPECT_EQ(joined(part.train.image, part.test.image), all.train.image);
  EXPECT_NE(part.mean, all.mean);  // of the images that are left
}

}  // namespace
