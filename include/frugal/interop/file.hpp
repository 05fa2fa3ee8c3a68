// SPDX-License-Identifier: Apache-2.0
/// @file Files of POSIX systems: one that is read, and one that takes the place of another all at once.
#pragma once
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "../core/error.hpp"

namespace frugal {
inline namespace v0 {

/// A call of the system that failed: no such file, no right, no space ...
class file_error : public std::runtime_error {
 public:
  file_error(std::filesystem::path const& path, std::string const& call, int code)
      : std::runtime_error("frugal: " + path.string() + ": " + call +
                           " failed: " + std::generic_category().message(code)),
        code_(code) {}
  /// As errno has it.
  int code() const { return code_; }

 private:
  int code_;
};

namespace detail {

/// An open file. Calls that a signal interrupted are made again.
class file {
 public:
  file(std::filesystem::path path, int flags) : path_(std::move(path)) {
    do fd_ = ::open(path_.c_str(), flags | O_CLOEXEC, 0666);
    while (fd_ < 0 && errno == EINTR);
  }
  file(file const&) = delete;
  file& operator=(file const&) = delete;
  ~file() {
    if (fd_ >= 0) ::close(fd_);
  }
  bool is_open() const { return fd_ >= 0; }
  std::filesystem::path const& path() const { return path_; }
  /// Of a regular file; any other is an error.
  std::uint64_t size() const {
    struct ::stat s;
    check(::fstat(fd_, &s) == 0, "fstat");
    if (!S_ISREG(s.st_mode)) throw file_error(path_, "read", S_ISDIR(s.st_mode) ? EISDIR : EINVAL);
    return std::uint64_t(s.st_size);
  }
  void read(std::uint64_t at, void* to, std::size_t bytes) const {
    all(at, bytes, "read", EIO,
        [&](std::size_t done, off_t from) { return ::pread(fd_, static_cast<char*>(to) + done, bytes - done, from); });
  }
  void write(std::uint64_t at, void const* from, std::size_t bytes) const {
    all(at, bytes, "write", ENOSPC, [&](std::size_t done, off_t to) {
      return ::pwrite(fd_, static_cast<char const*>(from) + done, bytes - done, to);
    });
  }
  /// On the medium when it returns. Of a folder, not every file system has it.
  void sync(bool folder = false) const { check(::fsync(fd_) == 0 || (folder && errno == EINVAL), "fsync"); }
  void check(bool ok, char const* call) const {
    if (!ok) throw file_error(path_, call, errno);
  }
  /// Some systems report a failed write only now.
  void close() { check(::close(std::exchange(fd_, -1)) == 0 || errno == EINTR, "close"); }

 private:
  // A call that does a part of it, again and again. One that does nothing would do so for ever.
  template <class Call>
  void all(std::uint64_t at, std::size_t bytes, char const* name, int nothing, Call const& call) const {
    for (std::size_t done = 0; done < bytes;) {
      const ssize_t n = call(done, off_t(at + done));
      if (n == 0) throw file_error(path_, name, nothing);
      check(n > 0 || errno == EINTR, name);
      if (n > 0) done += std::size_t(n);
    }
  }
  std::filesystem::path path_;
  int fd_ = -1;
};

/// What is written goes to a new file in the same folder, which replace() puts in place of the old one. Whoever opens
/// the path sees the old file or the new one, both whole; so does who opens it after a crash. Where anything fails, the
/// new file is removed, and the old one was not touched.
class replacing_file {
 public:
  explicit replacing_file(std::filesystem::path path) : path_(std::move(path)) {
    static std::atomic<unsigned> count{0};
    do {
      std::filesystem::path fresh = path_;
      fresh += text(".", ::getpid(), "-", count++, ".tmp");
      file_.emplace(std::move(fresh), O_WRONLY | O_CREAT | O_EXCL);
    } while (!file_->is_open() && errno == EEXIST);
    if (!file_->is_open()) throw file_error(path_, "open", errno);
  }
  ~replacing_file() {
    if (file_) ::unlink(file_->path().c_str());
  }
  void write(std::uint64_t at, void const* from, std::size_t bytes) { file_->write(at, from, bytes); }
  void replace() {
    file_->sync();
    file_->close();
    if (::rename(file_->path().c_str(), path_.c_str()) != 0) throw file_error(path_, "rename", errno);
    file_.reset();
    const std::filesystem::path folder = path_.parent_path();
    const file there(folder.empty() ? "." : folder, O_RDONLY | O_DIRECTORY);
    there.check(there.is_open(), "open");
    there.sync(true);
  }

 private:
  std::filesystem::path path_;
  std::optional<file> file_;
};

}  // namespace detail
}  // namespace v0
}  // namespace frugal
