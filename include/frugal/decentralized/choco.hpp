// SPDX-License-Identifier: Apache-2.0
/// @file CHOCO-Gossip: Koloskova, Stich, Jaggi, "Decentralized Stochastic Optimization and Gossip Algorithms with
/// Compressed Communication", ICML 2019, Algorithm 1; for deep learning in Koloskova, Lin, Stich, Jaggi,
/// "Decentralized Deep Learning with Arbitrary Communication Compression", ICLR 2020. Gossip of compressed differences:
///
///     D_i = C(x_i - xhat_i)    xhat_i = xhat_i + D_i    s_i = s_i + sum over j of W_ij D_j    x_i = x_i + gamma (s_i -
///     xhat_i)
///
/// xhat_i is what the neighbours believe x_i to be: the memory h of EF21. s_i is the weighted sum of what rank i
/// believes, its own part included. Kept is u_i = s_i - xhat_i, which is small where ranks agree, and so are its
/// roundings:
///
///     u_i = u_i + sum over j of (W_ij - [i = j]) D_j    x_i = x_i + gamma u_i
///
/// CHOCO-SGD is `d_psgd` with this as its mixing.
#pragma once
#include "../compress/ef21.hpp"
#include "gossip.hpp"

namespace frugal {
inline namespace v0 {

struct choco_config {
  double gamma;  ///< consensus step size, (0, 1]; the coarser the compressor, the smaller
};
inline void validate(choco_config const& c) {
  require(c.gamma > 0, "gamma", "(0, 1]", c.gamma);
  require_range("gamma", c.gamma, 0, 1, true);
}

/// One rank's side; all ranks construct it and step together. Vectors are of the layout's size.
template <class C, team_backend Backend, class Transport>
class choco {
 public:
  using space = typename Backend::space;
  using config_type = choco_config;

  /// Collective. xhat and u are 0 at first.
  /// @param schedule a topology (its Metropolis weights) or a symmetric mixing matrix
  /// @param extent a count of elements, or a layout of tensors
  /// @param how a contractive compressor: top_k{.ratio = 0.01}, scaled_sign{} ...
  choco(Backend b, communicator<Transport> world, mixing_schedule schedule, frugal::layout extent, C how,
        choco_config c)
      : backend_(b),
        config_((validate(c), c)),
        feedback_(std::move(b), std::move(extent), how, world.rank()),
        around_(std::move(world), std::move(schedule), layout(), algorithm(), code().max_wire_bytes(),
                {detail::bit_cast<std::uint64_t>(c.gamma)}),
        u_(zeros<float>(backend_, layout().size())) {
    mixing_schedule const& w = around_.schedule();
    require(w.period() == 1, "the matrices of choco", 1, w.period());
    require(w.turn(0).is_symmetric(), "the weights of choco", "a symmetric matrix", "another");
  }

  /// One round, x in place; collective. When a message is refused, x and the state are unchanged.
  void step(view<float, space> x) {
    code().check_vector(x, "a vector to be mixed");
    const std::int64_t t = feedback_.round();
    feedback_.offer(x);
    auto const& messages = around_.exchange(code(), t);
    feedback_.accept();
    for (std::size_t k = 0; k < messages.size(); ++k) {
      auto const& [rank, w] = around_.row(t)[k];
      code().add_to(u_.view(), messages[k], rank == around_.rank() ? double(w) - 1 : double(w));
    }
    add(x.data(), float(config_.gamma), u_.data());
  }
  /// xhat = x and u = 0, for ranks that all start from the same x (they are compared): the first messages then are of
  /// what differs. Collective.
  void start_from(view<float const, space> x) {
    code().check_vector(x, "a vector to start from");
    const auto here = to_host(backend_, x);
    detail::agree(around_.world(), algorithm(),
                  {{"the vector to start from",
                    std::int64_t(word_hash(reinterpret_cast<std::uint8_t const*>(here.data()), 4 * here.size()))}});
    feedback_.reset();
    to_backend(backend_, feedback_.state(), here);
    u_.fill(0);
  }
  /// u = sum over j of W_ij xhat_j - xhat_i anew, from the vectors themselves. Collective; costs a round of gossip, and
  /// allocates.
  void resynchronise() {
    if (u_.size() > 0) backend_.copy(u_.data(), feedback_.state().data(), u_.bytes());
    gossip(backend_, around_.world(), around_.schedule(), layout()).step(u_.view());
    add(u_.data(), -1, feedback_.state().data());
  }

  /// Rounds so far; waits for the backend.
  std::int64_t round() const { return feedback_.round(); }
  /// Bytes of messages that left this rank.
  std::int64_t bytes_sent() const { return around_.bytes_sent(); }
  communicator<Transport>& world() { return around_.world(); }
  mixing_schedule const& schedule() const { return around_.schedule(); }
  choco_config const& config() const { return config_; }
  /// What the neighbours believe.
  view<float const, space> public_copy() { return feedback_.state(); }

  template <class Visitor>
  void visit_state(Visitor&& visit) {
    feedback_.visit_state(visit);
    visit("u", role::moment, u_.view());
  }
  std::size_t state_bytes() const { return feedback_.state_bytes() + u_.bytes(); }
  std::string algorithm() const { return std::string("choco/") + C::name; }
  std::uint64_t state_layout() const { return around_.hash(); }
  frugal::layout const& layout() const { return feedback_.layout(); }
  Backend const& backend() const { return backend_; }

 private:
  /// to += a v
  void add(float* to, float a, float const* v) const {
    backend_.for_each(one_segment(u_.size()), detail::take_elements<true>{{a}, to, v});
  }
  compressor<C, Backend>& code() { return feedback_.compressor(); }

  Backend backend_;
  choco_config config_;
  ef21<C, Backend> feedback_;
  detail::neighbourhood<Transport> around_;
  buffer<float, Backend> u_;
};

}  // namespace v0
}  // namespace frugal
