// SPDX-License-Identifier: Apache-2.0
/// @file MeZO on several ranks that hold the same weights and never send them: rank r probes direction r of each step
/// with data of its own, and what travels is its scalar. Every rank applies all of them, in the order of the ranks, and
/// stays equal to the others bit for bit. Malladi et al. 2023, section 2; Salimans et al., "Evolution Strategies as a
/// Scalable Alternative to Reinforcement Learning", arXiv 1703.03864, Algorithm 2, for the shared seeds.
#pragma once
#include "../comm/agree.hpp"
#include "update_log.hpp"

namespace frugal {
inline namespace v0 {

struct replicas_config {
  std::int64_t check_every = 100;  ///< steps between comparisons of all ranks' weights; 0: never
};

/// @tparam Mezo with restored_from_copy: weights that only come back nearly would differ between ranks
template <class Mezo, class Transport>
class replicas {
  static_assert(Mezo::is_exact, "frugal: replicas need weights that come back exactly: give mezo restored_from_copy{}");

 public:
  using space = typename Mezo::space;
  using parameters = typename Mezo::parameters;

  /// Collective. Compares model, seed, options and steps so far, and that all ranks make the same random numbers; ranks
  /// that disagree get a comm_error, all of them.
  replicas(Mezo zo, communicator<Transport> world, replicas_config c = {})
      : zo_(std::move(zo)),
        world_(std::move(world)),
        config_(c),
        log_(zo_),
        own_(format()),
        all_(std::size_t(own_.size()) * std::size_t(world_.size())) {
    require(c.check_every >= 0, "check_every", ">= 0", c.check_every);
    detail::agree(world_, zo_.algorithm(),
                  {{"the method", std::int64_t(fnv1a().add(zo_.algorithm()).value())},
                   {"the number of elements", zo_.layout().size(), true},
                   {"the layout, the support or the seed", std::int64_t(zo_.state_layout())},
                   {"epsilon", detail::bit_cast<std::int64_t>(zo_.config().epsilon)},
                   {"check_every", c.check_every, true},
                   {"the steps so far", zo_.steps(), true},
                   {"random numbers", std::int64_t(detail::sample_hash<typename Mezo::direction_type>(
                                          zo_.backend(), random_stream{zo_.config().seed}))}});
  }

  /// One step, collective: two calls of `loss` on this rank. x must be the same on all ranks at the first one. When a
  /// message is refused, x is unchanged.
  /// @return the loss that this rank saw first, its scalar; skipped, if a loss of any rank was not finite
  template <class F>
  mezo_report step(parameters x, F&& loss) {
    mezo_report seen{0, 0, false};
    bool first = true;
    const double p = zo_.probe(x, world_.rank(), [&] {
      const double l = double(loss());
      if (std::exchange(first, false)) seen.loss = l;
      return l;
    });
    const mezo_update u = zo_.update(exchange(p));
    zo_.apply(x, u);
    log_.append(u);
    history_ = history_after(u);
    seen.scalar = p, seen.skipped = u.scalars.empty();
    if (config_.check_every > 0 && zo_.steps() % config_.check_every == 0) compare(x);
    return seen;
  }
  /// Collective: throws a comm_error on all ranks unless all have the same weights.
  void compare(parameters x) {
    detail::agree(world_, zo_.algorithm(), {{"the weights", std::int64_t(fingerprint(x))}});
  }
  /// Of this rank's weights; waits for the backend.
  std::uint64_t fingerprint(parameters x) const {
    std::uint64_t h = 0;
    std::vector<unsigned char> here;
    x.for_each(zo_.layout(), "parameters", [&](std::size_t i, auto* p) {
      here.resize(std::size_t(zo_.layout().tensors()[i].size) * sizeof *p);
      if (!here.empty()) zo_.backend().copy_out(here.data(), p, here.size());
      h = word_hash(here.data(), here.size(), h);
    });
    return h;
  }

  Mezo& optimizer() { return zo_; }
  communicator<Transport>& world() { return world_; }
  /// Of the steps since construction, for those who join later.
  update_log& log() { return log_; }
  /// Bytes of messages that left this rank.
  std::int64_t bytes_sent() const { return world_.bytes_sent(); }

 private:
  static constexpr index_t payload = 16;  // the scalar, and what came before
  message_format format() const {
    return {"mezo_scalar", zo_.state_layout(), zo_.layout().size(), payload, 8 * std::uint64_t(payload)};
  }
  /// A rank that lost a step, made one twice, or multiplied with something else, has another history.
  std::uint64_t history_after(mezo_update const& u) const {
    fnv1a h;
    h.add(history_).add(std::uint64_t(u.step));
    for (double d : {u.lr, u.weight_decay, u.momentum}) h.add(detail::bit_cast<std::uint64_t>(d));
    for (double p : u.scalars) h.add(detail::bit_cast<std::uint64_t>(p));
    return h.value();
  }
  std::vector<double> exchange(double p) {
    const std::int64_t t = zo_.steps() + 1;
    detail::put_little_endian(own_.payload(), detail::bit_cast<std::uint64_t>(p), 8);
    detail::put_little_endian(own_.payload() + 8, history_, 8);
    own_.seal({world_.rank(), std::uint64_t(t)});
    world_.all_gather(detail::host_messages{}, own_, all_);
    std::vector<double> scalars;
    for (int r = 0; r < world_.size(); ++r) {
      const view<std::uint8_t const> theirs(all_.data() + r * own_.size(), own_.size());
      std::uint8_t const* got = open_message(theirs, format(), {r, std::uint64_t(t)}).data();
      scalars.push_back(detail::bit_cast<double>(detail::little_endian_word(got)));
      const std::uint64_t before = detail::little_endian_word(got + 8);
      require(before == history_, detail::text("the steps before, of rank ", r, " (their hash)"), history_, before);
    }
    return scalars;
  }
  Mezo zo_;
  communicator<Transport> world_;
  replicas_config config_;
  update_log log_;
  message own_;
  std::vector<std::uint8_t> all_;  // ranks' messages
  std::uint64_t history_ = 0;
};

}  // namespace v0
}  // namespace frugal
