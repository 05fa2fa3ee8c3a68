// SPDX-License-Identifier: Apache-2.0
// Checkpoints as bytes and as files: what they hold, what is refused, what stays when writing fails. That every
// algorithm goes on to the bit is in safetensors_algorithms_test.cpp.
#include <sys/resource.h>
#include <sys/wait.h>
#include <frugal/backend/emulated.hpp>
#include <frugal/backend/serial.hpp>
#include <frugal/interop/safetensors.hpp>
#include <frugal/optim/adamw.hpp>
#include <frugal/optim/lion.hpp>

#include <csignal>
#include <cstdio>
#include <fstream>

#include "support/bits.hpp"
#include "support/refusal.hpp"

namespace {
using namespace frugal_test;
namespace fs = std::filesystem;
using bytes = std::vector<std::uint8_t>;
using frugal::checkpoint, frugal::layout;

layout two() { return {{"w", {5, 3}}, {"b", {2}}}; }

// A model in training: a 8-bit AdamW and parameters of three types.
struct run {
  frugal::serial_backend cpu;
  frugal::adamw<frugal::serial_backend, frugal::blockwise8> opt{cpu, two(), {}, frugal::blockwise8{.min_size = 4}};
  std::vector<float> w = numbers(17, 1);
  std::vector<frugal::bf16> half = numbers<frugal::bf16>(3, 2);
  std::vector<double> wide = numbers<double>(0, 3);
  checkpoint file;

  explicit run(int steps = 2) {
    for (int t = 0; t < steps; ++t) step(t);
    file.add("optimizer", opt).add("weights", cpu, two(), w);
    file.add("half", cpu, layout({{"x.y", {3, 1}}}), half).add("wide", cpu, layout({{"z", {4, 0}}}), wide);
    file.notes()["epoch"] = "7";
    file.notes()["a \"note\""] = "\xc3\xa9\n";
  }
  void step(int t) { opt.step(w, numbers(17, 10 + std::uint64_t(t))); }
  // All that a load changes.
  bytes all() const { return file.to_bytes(); }
};

// A checkpoint with another header, its length and checksum repaired.
std::string header_of(bytes const& b) {
  std::uint64_t n = 0;
  memcpy(&n, b.data(), 8);
  return {b.begin() + 8, b.begin() + 8 + std::ptrdiff_t(n)};
}
constexpr std::size_t sum_at = 36;  // of the header's checksum
bytes with_header(bytes const& b, std::string s) {
  const auto old = header_of(b).size();
  if (s.size() >= sum_at + 16) {
    s.replace(sum_at, 16, 16, '0');
    s.replace(sum_at, 16, frugal::detail::hex(frugal::word_hash(s.data(), s.size())));
  }
  const std::uint64_t n = s.size();
  bytes out(b.size() - old + s.size());
  memcpy(out.data(), &n, 8);
  std::copy(s.begin(), s.end(), out.begin() + 8);
  std::copy(b.begin() + 8 + std::ptrdiff_t(old), b.end(), out.begin() + 8 + std::ptrdiff_t(n));
  return out;
}
bytes edited(bytes const& b, std::string const& from, std::string const& to) {
  std::string s = header_of(b);
  const auto at = s.find(from);
  EXPECT_NE(at, std::string::npos) << from << " is not in " << s;
  if (at == std::string::npos) return b;
  return with_header(b, s.replace(at, from.size(), to));
}

// Refused with exactly these words, and nothing changed.
void expect_refusal(bytes const& wrong, std::string const& message) {
  run other(3);
  const bytes before = other.all();
  try {
    other.file.from_bytes(wrong);
    ADD_FAILURE() << "taken, in place of: " << message;
  } catch (frugal::invalid_argument const& e) {
    EXPECT_EQ(e.what(), "frugal: " + message);
  }
  EXPECT_EQ(before, other.all());
}

// ---- what is in it --------------------------------------------------------------------------------------------------
TEST(checkpoint, holds_all_of_it) {
  run a;
  const bytes saved = a.all();
  run b(5);
  EXPECT_NE(saved, b.all());
  b.w.assign(17, 0.f), b.half.assign(3, {}), b.file.notes() = {{"other", ""}};
  b.file.from_bytes(saved);
  EXPECT_TRUE(same_bits(a.w, b.w));
  EXPECT_TRUE(same_bits(a.half, b.half));
  EXPECT_TRUE(same_bits(save_state(a.opt), save_state(b.opt)));
  EXPECT_EQ(a.file.notes(), b.file.notes());
  a.step(2), b.step(2);
  EXPECT_TRUE(same_bits(a.w, b.w));
  EXPECT_EQ(a.all(), b.all());
}

TEST(checkpoint, takes_a_part_of_a_file) {
  run a;
  run b(3);
  const auto before = save_state(b.opt);
  checkpoint weights;
  weights.add("weights", b.cpu, two(), b.w);
  weights.from_bytes(a.all());
  EXPECT_TRUE(same_bits(a.w, b.w));
  EXPECT_TRUE(same_bits(before, save_state(b.opt)));
  EXPECT_EQ(weights.notes(), a.file.notes());
}

TEST(checkpoint, separate_tensors) {
  run a;
  frugal::serial_backend cpu;
  std::vector<float> w(15), b(2);
  const std::vector<frugal::view<float>> parts{w, b};
  checkpoint file;
  file.add("weights", cpu, two(), parts);
  file.from_bytes(a.all());
  EXPECT_TRUE(same_bits(std::vector<float>(a.w.begin(), a.w.begin() + 15), w));
  EXPECT_TRUE(same_bits(std::vector<float>(a.w.begin() + 15, a.w.end()), b));
  checkpoint flat;
  flat.add("weights", cpu, two(), a.w).notes() = a.file.notes();
  EXPECT_EQ(file.to_bytes(), flat.to_bytes());
}

// The tiniest file, letter by letter.
TEST(checkpoint, is_as_documented) {
  frugal::serial_backend cpu;
  std::vector<float> x{1, -2};
  checkpoint file;
  file.add("p", cpu, layout({{"x", {2, 1}}}), x);
  file.notes()["k"] = "v";
  const bytes b = file.to_bytes();
  EXPECT_EQ(
      header_of(b),
      "{\"__metadata__\":{\"frugal.checksum\":\"a94e1c8e83c7c1c8\",\"frugal.algorithm.p\":\"parameters\","
      "\"frugal.checksum.p.x\":\"2481926229effbcc\",\"frugal.format\":\"1\",\"frugal.layout.p\":\"fb91e51520cf58b5\","
      "\"frugal.random_format\":\"1\",\"frugal.role.p.x\":\"weights\",\"k\":\"v\"},"
      "\"p.x\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[0,8]}}     ");
  EXPECT_EQ(bytes(b.end() - 8, b.end()), (bytes{0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0}));
}

// ---- files ----------------------------------------------------------------------------------------------------------
struct folder {
  fs::path path;
  folder() {
    std::string name = (fs::temp_directory_path() / "frugal.XXXXXX").string();
    path = ::mkdtemp(name.data());
  }
  ~folder() { fs::remove_all(path); }
  std::vector<std::string> files() const {
    std::vector<std::string> all;
    for (auto const& e : fs::directory_iterator(path)) all.push_back(e.path().filename());
    std::sort(all.begin(), all.end());
    return all;
  }
};
using names = std::vector<std::string>;
bytes content(fs::path const& p) {
  std::ifstream in(p, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(checkpoint, as_a_file) {
  const folder here;
  const fs::path path = here.path / "run.safetensors";
  run a;
  a.file.save(path);
  EXPECT_EQ(content(path), a.all());
  run b(5);
  b.file.save(path);  // in place of the first
  EXPECT_EQ(content(path), b.all());
  EXPECT_EQ(here.files(), names{"run.safetensors"});
  a.file.load(path);
  EXPECT_EQ(a.all(), b.all());
}

// Tensors of just one piece of a file, one more, and several; the same from memory that the host does not see.
TEST(checkpoint, large_and_from_a_device) {
  const folder here;
  const layout l({{"a", {1 << 18}}, {"b", {(1 << 18) + 1}}, {"c", {700001}}});
  frugal::serial_backend cpu;
  frugal::emulated_backend gpu;
  const std::vector<float> x = numbers(l.size(), 1);
  std::vector<float> y(x.size()), w = x;
  const frugal::buffer there(gpu, x);
  frugal::lion on_cpu(cpu, l);
  frugal::lion on_gpu(gpu, l);
  on_cpu.step(w, numbers(l.size(), 2));
  checkpoint host, device;
  host.add("opt", on_cpu).add("x", cpu, l, w);
  device.add("opt", on_gpu).add("x", gpu, l, there.view());
  host.save(here.path / "a");
  device.load(here.path / "a");
  EXPECT_TRUE(same_bits(w, to_host(gpu, there.view())));
  EXPECT_TRUE(same_bits(save_state(on_cpu), save_state(on_gpu)));
  device.save(here.path / "b");
  EXPECT_EQ(content(here.path / "a"), content(here.path / "b"));
}

// What somebody else makes of it, who has read the page only.
TEST(checkpoint, is_read_by_python) {
#ifdef FRUGAL_PYTHON
  const folder here;
  run a;
  std::vector<float> large = numbers(300000, 4);
  a.file.add("large", a.cpu, 300000, large);
  a.file.save(here.path / "x");
  const std::string command = std::string(FRUGAL_PYTHON " " FRUGAL_SOURCE_DIR "/tests/interop/read_safetensors.py ") +
                              (here.path / "x").string() + " 2>&1";
  std::FILE* const pipe = ::popen(command.c_str(), "r");
  ASSERT_TRUE(pipe);
  std::string said;
  for (int c; (c = std::fgetc(pipe)) != EOF;) said += char(c);
  EXPECT_EQ(::pclose(pipe), 0) << said;

  const auto sum = [](void const* p, std::size_t n) {
    std::uint64_t s = 0;
    auto const* at = static_cast<char const*>(p);
    for (; n > (1u << 20); n -= 1u << 20, at += 1u << 20) s = frugal::word_hash(at, 1u << 20, s);
    return frugal::detail::hex(n > 0 ? frugal::word_hash(at, n, s) : s);
  };
  const auto expect_line = [&](std::string const& line) {
    EXPECT_NE(("\n" + said).find("\n" + line + "\n"), std::string::npos) << line << "\n\nis not in\n" << said;
  };
  expect_line("epoch = 7");
  expect_line("frugal.algorithm.optimizer = adamw/blockwise8");
  expect_line("frugal.layout.optimizer = " + frugal::detail::hex(a.opt.state_layout()));
  expect_line("frugal.layout.weights = " + frugal::detail::hex(two().hash()));
  expect_line("frugal.role.optimizer.v.scales = scales");
  expect_line("weights.w F32 [5, 3] " + sum(a.w.data(), 60));
  expect_line("weights.b F32 [2] " + sum(a.w.data() + 15, 8));
  expect_line("half.x.y BF16 [3, 1] " + sum(a.half.data(), 6));
  expect_line("wide.z F64 [4, 0] 0000000000000000");
  expect_line("large.flat F32 [300000] " + sum(large.data(), 1200000));
  const std::pair<char const*, char const*> types[] = {
      {"int64", "I64"}, {"double", "F64"}, {"float", "F32"}, {"uint8", "U8"}};
  for (auto const& p : save_state(a.opt).pieces)
    for (auto const& [ours, theirs] : types)
      if (p.type == ours)
        expect_line("optimizer." + p.name + " " + theirs + " [" + std::to_string(p.count) + "] " +
                    sum(p.bytes.data(), p.bytes.size()));
#else
  GTEST_SKIP() << "python3 was not found";
#endif
}

// Where writing fails the old file stays, and no other.
class small_files {  // none grows beyond this
 public:
  explicit small_files(rlim_t most) {
    ::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit now{most, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &now);
  }
  ~small_files() { ::setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_;
};
template <class F>
testing::AssertionResult fails(int code, std::string const& text, F const& f) {
  try {
    f();
  } catch (frugal::file_error const& e) {
    if (e.code() == code && e.what() == text) return testing::AssertionSuccess();
    return testing::AssertionFailure() << e.code() << ": " << e.what() << ", in place of " << text;
  }
  return testing::AssertionFailure() << "nothing was thrown";
}

TEST(checkpoint, a_failed_write_leaves_the_old_file) {
  const folder here;
  const fs::path path = here.path / "run";
  run a;
  a.file.save(path);
  const bytes old = content(path);
  run b(5);
  for (rlim_t most : {rlim_t(0), rlim_t(7), rlim_t(100), rlim_t(old.size() - 1)}) {
    const small_files limit(most);
    try {
      b.file.save(path);
      ADD_FAILURE() << most;
    } catch (frugal::file_error const& e) {
      EXPECT_EQ(e.code(), EFBIG);
    }
    EXPECT_EQ(content(path), old);
    EXPECT_EQ(here.files(), names{"run"});
  }
  b.file.save(path);
  EXPECT_EQ(content(path), b.all());

  EXPECT_TRUE(fails(ENOENT, "frugal: " + (here.path / "no/run").string() + ": open failed: No such file or directory",
                    [&] { b.file.save(here.path / "no/run"); }));
  fs::create_directory(here.path / "folder");
  EXPECT_TRUE(fails(EISDIR, "frugal: " + (here.path / "folder").string() + ": rename failed: Is a directory",
                    [&] { b.file.save(here.path / "folder"); }));
  // Nor does a mistake that is seen late.
  b.file.notes()["frugal.mine"] = "";
  EXPECT_TRUE(refused([&] { b.file.save(path); }, "a note of a checkpoint", "a key that does not begin with 'frugal.'",
                      "frugal.mine"));
  b.file.notes() = {{"k", "\xff"}};
  EXPECT_TRUE(refused([&] { b.file.save(path); }, "a text in a checkpoint", "UTF-8", "other bytes"));
  EXPECT_EQ(here.files(), (names{"folder", "run"}));
  EXPECT_TRUE(fs::is_empty(here.path / "folder"));
}

// A process that is killed in the middle of writing leaves the old file, and what it wrote beside it.
TEST(checkpoint, survives_a_kill) {
  const folder here;
  const fs::path path = here.path / "run";
  run a;
  a.file.save(path);
  const bytes old = content(path);
  for (rlim_t most : {rlim_t(0), rlim_t(100), rlim_t(old.size() - 1), rlim_t(old.size())}) {
    const ::pid_t child = ::fork();
    if (child == 0) {
      const rlimit none{0, 0}, now{most, most};
      ::setrlimit(RLIMIT_CORE, &none);
      ::setrlimit(RLIMIT_FSIZE, &now);
      ::signal(SIGXFSZ, SIG_DFL);  // kills who writes more
      a.step(2);
      a.file.save(path);
      ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    if (most < old.size()) {
      EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ);
      EXPECT_EQ(content(path), old);
    } else {
      EXPECT_TRUE(WIFEXITED(status));
      EXPECT_NE(content(path), old);
    }
    a.file.load(path);
    for (std::string const& name : here.files())
      if (name != "run") fs::remove(here.path / name);
  }
}

TEST(checkpoint, what_is_no_file_is_not_read) {
  const folder here;
  run a;
  const bytes before = a.all();
  EXPECT_TRUE(fails(ENOENT, "frugal: " + (here.path / "x").string() + ": open failed: No such file or directory",
                    [&] { a.file.load(here.path / "x"); }));
  EXPECT_TRUE(fails(EISDIR, "frugal: " + here.path.string() + ": read failed: Is a directory",
                    [&] { a.file.load(here.path); }));
  ASSERT_EQ(::mkfifo((here.path / "pipe").c_str(), 0600), 0);
  EXPECT_TRUE(fails(EINVAL, "frugal: " + (here.path / "pipe").string() + ": read failed: Invalid argument",
                    [&] { a.file.load(here.path / "pipe"); }));
  EXPECT_TRUE(fails(EINVAL, "frugal: /dev/full: read failed: Invalid argument", [&] { a.file.load("/dev/full"); }));
  std::ofstream(here.path / "empty");
  EXPECT_TRUE(refused([&] { a.file.load(here.path / "empty"); }, "the bytes of a checkpoint", "8 or more", "0"));
  EXPECT_EQ(before, a.all());
}

// ---- what is refused ------------------------------------------------------------------------------------------------
TEST(checkpoint, every_truncation_is_refused) {
  run a, b(3);
  const bytes good = a.all(), before = b.all();
  for (std::size_t n = 0; n < good.size() + 2; ++n) {
    bytes wrong = good;
    wrong.resize(n);
    if (n != good.size()) {
      EXPECT_THROW(b.file.from_bytes(wrong), frugal::invalid_argument) << n << " of " << good.size();
    }
  }
  EXPECT_EQ(before, b.all());
}

TEST(checkpoint, every_altered_byte_is_refused) {
  run a, b(3);
  const bytes good = a.all(), before = b.all();
  bytes wrong = good;
  for (std::size_t i = 0; i < good.size(); ++i) {
    for (std::uint8_t with : {0x01, 0x80, 0x20, 0xff}) {
      wrong[i] ^= with;
      EXPECT_THROW(b.file.from_bytes(wrong), frugal::invalid_argument) << "byte " << i << " of " << good.size();
      wrong[i] = good[i];
    }
  }
  EXPECT_EQ(before, b.all());
  b.file.from_bytes(wrong);
  EXPECT_EQ(good, b.all());
}

TEST(checkpoint, of_others_is_refused) {
  run a, b(3);
  const bytes before = b.all();
  const auto refuses = [&](checkpoint const& from, std::string const& about, std::string const& expected,
                           std::string const& got) {
    EXPECT_TRUE(refused([&] { b.file.from_bytes(from.to_bytes()); }, about, expected, got));
    EXPECT_EQ(before, b.all());
  };
  frugal::serial_backend cpu;
  const auto others = [&](auto& opt, layout const& l, auto& w) {
    checkpoint file;
    file.add("optimizer", opt).add("weights", cpu, l, w).add("half", cpu, layout({{"x.y", {3, 1}}}), a.half);
    return file.add("wide", cpu, layout({{"z", {4, 0}}}), a.wide);
  };
  frugal::lion lion(cpu, two(), {}, frugal::blockwise8{.min_size = 4});
  frugal::adamw full(cpu, two());
  frugal::adamw sizes(cpu, two(), {}, frugal::blockwise8{.min_size = 1});
  frugal::adamw shapes(cpu, layout({{"w", {3, 5}}, {"b", {2}}}), {}, frugal::blockwise8{.min_size = 4});
  std::vector<frugal::bf16> half(17);
  refuses(others(lion, two(), a.w), "the algorithm and storage of 'optimizer'", "adamw/blockwise8", "lion/blockwise8");
  refuses(others(full, two(), a.w), "the algorithm and storage of 'optimizer'", "adamw/blockwise8", "adamw/full");
  refuses(others(sizes, two(), a.w), "a checkpoint", "the tensor 'optimizer.m'", "none");
  refuses(others(shapes, two(), a.w), "the layout (its hash) of 'optimizer'", frugal::detail::hex(b.opt.state_layout()),
          frugal::detail::hex(shapes.state_layout()));
  refuses(others(a.opt, layout(17), a.w), "the layout (its hash) of 'weights'", frugal::detail::hex(two().hash()),
          frugal::detail::hex(layout(17).hash()));
  refuses(others(a.opt, two(), half), "the dtype of 'weights.w'", "F32", "BF16");
  checkpoint less;
  less.add("optimizer", a.opt);
  refuses(less, "a checkpoint", "'weights'", "one without");
}

TEST(checkpoint, hostile_headers_are_refused) {
  const run a;
  const bytes good = a.all();
  const std::string header = header_of(good);
  ASSERT_EQ(header.substr(0, sum_at), "{\"__metadata__\":{\"frugal.checksum\":\"");
  EXPECT_EQ(header.size() % 8, 0u);
  run(3).file.from_bytes(edited(good, "\"frugal.format\"", "\"frugal.format\""));  // what repairs does not spoil

  // Lengths.
  const auto with_length = [&](std::uint64_t n) {
    bytes b = good;
    memcpy(b.data(), &n, 8);
    return b;
  };
  const std::string most = std::to_string(good.size() - 8);
  expect_refusal({}, "the bytes of a checkpoint: expected 8 or more, got 0");
  expect_refusal(bytes(7), "the bytes of a checkpoint: expected 8 or more, got 7");
  expect_refusal(with_length(100000001),
                 "the bytes of a checkpoint's header: expected at most 100000000, got 100000001");
  expect_refusal(with_length(~std::uint64_t(0)),
                 "the bytes of a checkpoint's header: expected at most 100000000, got 18446744073709551615");
  expect_refusal(with_length(100000000),
                 "the bytes of a checkpoint's header: expected at most " + most + ", got 100000000");
  expect_refusal(with_length(good.size() - 7), "the bytes of a checkpoint's header: expected at most " + most +
                                                   ", got " + std::to_string(good.size() - 7));
  const std::string foreign = "the header of a checkpoint: expected one written by frugal, got another";
  expect_refusal(with_length(0), foreign);
  expect_refusal(with_length(sum_at + 16), foreign);
  expect_refusal(with_header(good, "{}"), foreign);
  expect_refusal(with_header(good, " " + header), foreign);
  expect_refusal(edited(good, "__metadata__", "__matadata__"), foreign);
  bytes sum = good;
  sum[8 + sum_at] = 'x';
  expect_refusal(sum, "the checksum of a checkpoint's header: expected " + header.substr(sum_at, 16) + ", got x" +
                          header.substr(sum_at + 1, 15));

  // JSON.
  const std::string json = "the header of a checkpoint: expected JSON in UTF-8, got something else at byte ";
  const std::string other = "the header of a checkpoint: expected that of a safetensors file, got ";
  const std::string line = "the header of a checkpoint: expected JSON on one line, got a control character";
  expect_refusal(edited(good, "\"7\"", "\"7"), json + std::to_string(header.find("\"7\"") + 6));
  expect_refusal(edited(good, "\"7\"", "\"\xff\""), json + std::to_string(header.find("\"7\"") + 2));
  expect_refusal(edited(good, "\"7\"", std::string("\"7\"\n")), line);
  expect_refusal(with_header(good, header + std::string(1, '\0')), line);
  expect_refusal(with_header(good, header + "x"), json + std::to_string(header.size() + 1));
  expect_refusal(with_header(good, header + "{}"), json + std::to_string(header.size() + 1));
  expect_refusal(edited(good, "\"7\"", "7"), other + "a number");
  expect_refusal(edited(good, "\"7\"", "{}"), other + "an object");
  expect_refusal(edited(good, "\"7\"", "[]"), other + "an array");
  expect_refusal(edited(good, "\"7\"", std::string(100000, '[')), other + "an array");
  expect_refusal(edited(good, "\"7\"", "null"), other + "null");
  expect_refusal(edited(good, "\"7\"", "true"), other + "a truth value");
  expect_refusal(edited(good, "[5,3]", "[-5,3]"), other + "a negative number");
  expect_refusal(edited(good, "[5,3]", "[5.0,3]"), other + "a number that is not whole, or too large");
  expect_refusal(edited(good, "[5,3]", "[18446744073709551616,3]"), other + "a number that is not whole, or too large");
  expect_refusal(edited(good, "[5,3]", "[[5],3]"), other + "an array");
  expect_refusal(edited(good, "[5,3]", "[\"5\",3]"), other + "a text");
  expect_refusal(edited(good, "[5,3]", "{}"), other + "an object");
  expect_refusal(edited(good, "[5,3]", "15"), other + "a number");
  expect_refusal(edited(good, "\"epoch\":", "\"a\":\"b\",\"a\":"),
                 "the metadata of a checkpoint: expected each key once, got one twice");
  expect_refusal(edited(good, "\"half.x.y\":", "\"__metadata__\":{},\"half.x.y\":"),
                 "the metadata of a checkpoint: expected one object, got two");
  expect_refusal(edited(good, "\"half.x.y\":{", "\"half.x.y\":[],\"\":{"), other + "an array");
  expect_refusal(edited(good, "\"half.x.y\":{", "\"half.x.y\":1,\"\":{"), other + "a number");

  // Tensors.
  const std::string w = "tensor 'weights.w'", fields = ": expected dtype, shape and data_offsets, got ";
  expect_refusal(edited(good, "\"shape\":[5,3]", "\"shape\":[5,3],\"more\":[]"), w + fields + "more");
  expect_refusal(edited(good, ",\"shape\":[5,3]", ""), w + fields + "its end");
  expect_refusal(edited(good, "\"shape\":[5,3]", "\"shape\":[5,3],\"shape\":[5,3]"),
                 w + ": expected each field once, got two shape");
  expect_refusal(edited(good, "\"F32\",\"shape\":[5,3]", "\"F33\",\"shape\":[5,3]"),
                 "the dtype of " + w + ": expected F64, I64, F32, BF16, F16 or U8, got F33");
  expect_refusal(edited(good, "[5,3]", "[1152921504606846977,3]"),
                 "an extent of " + w + ": expected at most 2^60, got 1152921504606846977");
  expect_refusal(edited(good, "[5,3]", "[1152921504606846976,1152921504606846976]"),
                 "the elements of " + w + ": expected at most 2^60, got more");
  expect_refusal(edited(good, "[5,3]", "[4294967296,4294967296,4294967296,3]"),
                 "the elements of " + w + ": expected at most 2^60, got more");
  const auto at = header.find("[5,3],\"data_offsets\":[") + 22;
  const std::string begin = header.substr(at, header.find(',', at) - at);
  const std::string end = std::to_string(std::stoul(begin) + 60), offsets = begin + "," + end;
  const auto with_offsets = [&](std::string const& now) {
    return edited(good, "[5,3],\"data_offsets\":[" + offsets, "[5,3],\"data_offsets\":[" + now);
  };
  const auto moved = [&](std::string const& x) {
    return "the offset of " + w + ": expected " + begin + ", where the one before ends, got " + x;
  };
  const std::string size = "the bytes of " + w + ": expected 60, got offsets ";
  expect_refusal(edited(good, "[5,3]", "[5,4]"),
                 "the bytes of " + w + ": expected 80, got offsets " + begin + " and " + end);
  expect_refusal(edited(good, "\"F32\",\"shape\":[5,3]", "\"F64\",\"shape\":[5,3]"),
                 "the bytes of " + w + ": expected 120, got offsets " + begin + " and " + end);
  expect_refusal(with_offsets(std::to_string(std::stoul(begin) + 1) + "," + end),
                 moved(std::to_string(std::stoul(begin) + 1)));
  expect_refusal(with_offsets(begin + ",18446744073709551615"), size + begin + " and 18446744073709551615");
  expect_refusal(with_offsets(begin + ",0"), size + begin + " and 0");
  expect_refusal(with_offsets(begin), other + "the end of an array");
  expect_refusal(with_offsets(offsets + ",1"), other + "a number");
  expect_refusal(edited(good, "\"half.x.y\"", "\"weights.w\""),
                 "the tensors of a checkpoint: expected a name each, got two 'weights.w'");
  bytes longer = good;
  longer.push_back(0);
  const std::string data = std::to_string(good.size() - 8 - header.size());
  expect_refusal(longer, "the bytes after a checkpoint's header: expected " + data + ", got " +
                             std::to_string(good.size() - 7 - header.size()));
}

TEST(checkpoint, what_does_not_fit_is_refused) {
  const run a;
  const bytes good = a.all();
  expect_refusal(edited(good, "frugal.format\":\"1\"", "frugal.format\":\"2\""),
                 "the version of a checkpoint: expected 1, got 2");
  expect_refusal(edited(good, "frugal.format\"", "format\""),
                 "a checkpoint: expected the metadata 'frugal.format', got none");
  expect_refusal(edited(good, "frugal.random_format\":\"1\"", "frugal.random_format\":\"\\u001b\""),
                 "the version of a checkpoint's random format: expected 1, got ?");
  expect_refusal(edited(good, "frugal.algorithm.optimizer\":\"adamw", "frugal.algorithm.optimizer\":\"lion"),
                 "the algorithm and storage of 'optimizer': expected adamw/blockwise8, got lion/blockwise8");
  expect_refusal(edited(good, "frugal.layout.weights\"", "frugal.layout.weight\""),
                 "a checkpoint: expected the metadata 'frugal.layout.weights', got none");
  expect_refusal(edited(good, "frugal.role.optimizer.step\":\"counter", "frugal.role.optimizer.step\":\"clock"),
                 "the role of 'optimizer.step': expected counter, got clock");
  expect_refusal(edited(good, "\"weights.w\":", "\"weights.v\":"),
                 "a checkpoint: expected the tensor 'weights.w', got none");
  expect_refusal(edited(good, "[5,3]", "[3,5]"), "the shape of 'weights.w': expected [5, 3], got [3, 5]");
  expect_refusal(edited(good, "[5,3]", "[15]"), "the shape of 'weights.w': expected [5, 3], got [15]");
  expect_refusal(edited(good, "[2]", "[]"), "the bytes of tensor 'optimizer.clock': expected 8, got offsets 0 and 16");
  expect_refusal(edited(good, "\"half.x.y\":", "\"weights.x.y\":"),
                 "the count of tensors of 'weights': expected 2, got 3");
  expect_refusal(edited(good, "\"half.x.y\":", "\"halfx.y\":"),
                 "a checkpoint: expected the tensor 'half.x.y', got none");
  expect_refusal(edited(good, "\"half.x.y\":",
                        "\"weights.x\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},\"half.x.y\":"),
                 "the count of tensors of 'weights': expected 2, got 3");
  expect_refusal(edited(good, "frugal.checksum.weights.w", "frugal.checksum.weights.x"),
                 "a checkpoint: expected the metadata 'frugal.checksum.weights.w', got none");
  // A count that objects would go by: altered, and its checksum repaired.
  const std::int64_t counts[] = {2, -1};
  const auto at = std::search(good.begin(), good.end(), reinterpret_cast<std::uint8_t const*>(counts),
                              reinterpret_cast<std::uint8_t const*>(counts + 1));
  ASSERT_EQ(at - good.begin(), std::ptrdiff_t(8 + header_of(good).size() + 16));  // after the clock
  bytes negative = good;
  memcpy(&negative[std::size_t(at - good.begin())], counts + 1, 8);
  const auto hash = [&](int k) { return frugal::detail::hex(frugal::word_hash(counts + k, 8)); };
  expect_refusal(edited(negative, hash(0), hash(1)),
                 "the count 'optimizer.step' in a saved state: expected [0, 2^62], got -1");
  const std::string sum = header_of(good).substr(header_of(good).find("checksum.weights.w\":\"") + 21, 16);
  expect_refusal(edited(good, sum, "0123456789abcdef"),
                 "the checksum of 'weights.w': expected " + sum + ", got 0123456789abcdef");
}

TEST(checkpoint, mistakes_are_refused) {
  run a;
  frugal::serial_backend cpu;
  const std::string about = "a name in a checkpoint";
  EXPECT_TRUE(refused([&] { a.file.add("optimizer", a.opt); }, about, "one of its own", "optimizer"));
  EXPECT_TRUE(refused([&] { a.file.add("", a.opt); }, about, "one or more characters, no dot", ""));
  EXPECT_TRUE(refused([&] { a.file.add("a.b", a.opt); }, about, "one or more characters, no dot", "a.b"));
  EXPECT_TRUE(refused([&] { a.file.add("x", cpu, 16, a.w); }, "parameters", "16 elements", "17"));
  EXPECT_TRUE(
      refused([&] { a.file.add("x", cpu, 3, frugal::view<float>(nullptr, 3)); }, "parameters", "a pointer", "null"));
  std::vector<frugal::view<float>> parts{a.w};
  EXPECT_TRUE(refused([&] { a.file.add("x", cpu, two(), parts); }, "the count of tensors of parameters", "2", "1"));
  EXPECT_TRUE(refused([&] { a.file.from_bytes({nullptr, 3}); }, "the bytes of a checkpoint", "a pointer", "null"));
  EXPECT_EQ(a.all(), run().all());  // none of them is on the list
}

}  // namespace
