// SPDX-License-Identifier: Apache-2.0
/// @file Updates of MeZO as bytes: whoever has the weights before them and the seed repeats them bit for bit, with a
/// pass over the weights each and no forward pass. A run is its seed and a few numbers a step.
///
/// A log is a message (compress/message.hpp) whose round is its first step. Payload: for each step, in their order, lr,
/// weight_decay, momentum as doubles; the count of scalars, 8 bytes; the scalars, as doubles.
#pragma once
#include <cmath>

#include "../compress/message.hpp"
#include "mezo.hpp"

namespace frugal {
inline namespace v0 {

/// Updates that follow each other, of one optimizer.
class update_log {
 public:
  template <class Mezo>
  explicit update_log(Mezo const& zo)
      : algorithm_(zo.algorithm()),
        identity_(zo.state_layout()),
        elements_(zo.layout().size()),
        next_(zo.steps() + 1) {}

  /// The step that follows those in it.
  void append(mezo_update const& u) {
    require(u.step == next_, "the step of an update", next_, u.step);
    validate(u);
    std::size_t at = payload_.size();
    payload_.resize(at + entry_bytes(u.scalars.size()));
    put(at, u.lr), put(at, u.weight_decay), put(at, u.momentum);
    detail::put_little_endian(payload_.data() + at, u.scalars.size(), 8), at += 8;
    for (double p : u.scalars) put(at, p);
    ++next_, ++count_;
  }
  std::int64_t first() const { return next_ - count_; }
  /// The steps in it.
  std::int64_t size() const { return count_; }
  /// Forgets what was logged so far: the next update is the first.
  void clear() { payload_.clear(), count_ = 0; }
  message bytes() const {
    message m(format(index_t(payload_.size())));
    if (!payload_.empty()) memcpy(m.payload(), payload_.data(), payload_.size());
    m.seal({0, std::uint64_t(first())});
    return m;
  }

  /// Repeats the steps of a log on x, the weights after zo's last step. A log that was altered or cut, of another
  /// model, seed or kind of direction, or whose first step is not zo's next one (something was lost, or comes twice, or
  /// in another order) is refused, and nothing changed.
  template <class Mezo>
  static void replay(Mezo& zo, typename Mezo::parameters x, view<std::uint8_t const> bytes) {
    const std::vector<mezo_update> updates = update_log(zo).read(bytes);
    for (mezo_update const& u : updates) zo.check(u, zo.steps() + 1 + (&u - updates.data()));
    for (mezo_update const& u : updates) zo.apply(x, u);
  }

 private:
  static constexpr std::size_t entry_bytes(std::size_t scalars) { return 8 * (4 + scalars); }
  void put(std::size_t& at, double x) {
    detail::put_little_endian(payload_.data() + at, detail::bit_cast<std::uint64_t>(x), 8);
    at += 8;
  }
  message_format format(index_t payload) const {
    return {algorithm_, identity_, elements_, payload, 8 * std::uint64_t(payload)};
  }
  std::vector<mezo_update> read(view<std::uint8_t const> bytes) const {
    const index_t room = bytes.size() - detail::header_bytes;
    const view<std::uint8_t const> payload =
        open_message(bytes, format(room > 0 ? room : 0), {0, std::uint64_t(first())});
    std::vector<mezo_update> updates;
    std::uint8_t const* at = payload.data();
    auto left = std::size_t(payload.size());
    const auto word = [&] { return left -= 8, detail::little_endian_word(std::exchange(at, at + 8)); };
    const auto number = [&] { return detail::bit_cast<double>(word()); };
    for (std::int64_t step = first(); left > 0; ++step) {
      require(left >= entry_bytes(0), "the rest of a log", entry_bytes(0), left);
      mezo_update u{step, number(), number(), number(), {}};
      const std::uint64_t n = word();
      require(n <= left / 8, "the scalars of a step in a log", detail::text("at most ", left / 8), n);
      for (std::uint64_t k = 0; k < n; ++k) u.scalars.push_back(number());
      updates.push_back(std::move(u));
    }
    return updates;
  }

  std::string algorithm_;
  std::uint64_t identity_;
  index_t elements_;
  std::int64_t next_, count_ = 0;
  std::vector<std::uint8_t> payload_;
};

}  // namespace v0
}  // namespace frugal
