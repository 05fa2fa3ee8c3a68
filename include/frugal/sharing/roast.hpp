// SPDX-License-Identifier: Apache-2.0
/// @file ROAST: Desai, Zhou, Shrivastava, "Hardware-Aware Compression with Random Operation Access Specific Tile
/// (ROAST) Hashing", ICML 2023, with the map and the gradient scaling of Desai, Shrivastava, "In defense of parameter
/// sharing for model-compression", ICLR 2024 (STABLE-RPS): n weights are read out of m stored numbers z.
///
///     W_j  = lambda(j) s(j) z[slot(j)]                     slot(j) = (rotation(j div m) + j mod m) mod m
///     dz_i = sum of lambda(j) s(j) G_j over slot(j) = i, divided by Gamma_i
///
/// The flattened model is cut into pieces as long as z, and each is turned round by a random offset: so the load of
/// every slot is floor(n / m) or ceil(n / m), and the sum over a slot is a gather without atomics, in the order of the
/// pieces. One map for the whole model, j counts through all tensors: with m = n it is a bijection. Signs and offsets
/// are words of two unrelated streams (core/random.hpp) and take no memory.
#pragma once
#include "../core/model_view.hpp"
#include "../core/overlap.hpp"
#include "../core/policy.hpp"
#include "../core/uniform.hpp"
#include "../core/work_table.hpp"
#include "gradient_scaling.hpp"

namespace frugal {
inline namespace v0 {

/// How `scales` become lambda.
enum class scale_match {
  given,      ///< they are lambda
  reference,  ///< standard deviations of each tensor's initial weights: lambda = sigma / spread, as in the authors'
              ///< program; the weights come out sqrt(3) smaller
  matched     ///< the same, but lambda = sqrt(3) sigma / spread: the weights have these deviations
};

struct roast_config {
  double compression = 0;           ///< n / m >= 1, m rounded down, at least one; 0: there are slots
  index_t slots = 0;                ///< m itself, 1 to 2^32; 0: from the compression
  std::uint64_t seed = 0;           ///< of the map, the signs and the first z
  double spread = 0.05;             ///< the first z is uniform in (-spread, spread); > 0
  std::vector<double> scales = {};  ///< one a tensor, > 0; none: all lambda are 1
  scale_match match = scale_match::given;
  gradient_scaling scaling = gradient_scaling::v1;
  double count_epsilon = 0;  ///< >= 0; 1e-3 in the authors' program
  double epsilon = 0;        ///< >= 0, added to Gamma; 1e-6 in the authors' program
};

/// Reads a model's weights out of a shared vector, and sums its gradients into one. The vector is the caller's, and any
/// optimizer's: it has slots() elements of float (double, where the weights are).
template <team_backend Backend, class Types = types<>>
class roast {
  static_assert(detail::is_types<Types>::value,
                "frugal: roast takes types<>, and no storage or support: those are of the optimizer of its slots");
  using T = typename Types::compute;
  using P = typename Types::param;
  using G = typename Types::grad;

 public:
  using space = typename Backend::space;
  using shared = T;

  /// @param extent the weights that are shared: a count, or a layout of tensors; groups do not matter
  roast(Backend b, frugal::layout extent, roast_config c, Types = {})
      : backend_(std::move(b)),
        layout_(std::move(extent)),
        config_(std::move(c)),
        map_(layout_.size(), slots_of(config_, layout_.size()), config_.seed),
        block_(block_of(backend_, map_.slots)),
        overlap_(layout_.tensors().size() + 1) {
    const std::vector<T> lambda = scales();
    require_range("count_epsilon", config_.count_epsilon, 0, 1e30, true);
    require_range("epsilon", config_.epsilon, 0, 1e30, true);
    std::vector<segment> segments;
    detail::support_traits<all>::segments({}, layout_, segments);
    std::erase_if(segments, [](segment const& s) { return s.size == 0; });
    tensors_.count = std::int32_t(segments.size());
    work_ = detail::work_table<Backend>(backend_, std::move(segments), 1);
    tensors_.table = work_.list().table;
    lambda_ = buffer<T, Backend>(backend_, lambda);
    weights_.resize(lambda.size());
    gradients_.resize(lambda.size());
    now_weights_.resize(lambda.size());
    now_gradients_.resize(lambda.size());
    weights_there_ = buffer<P*, Backend>(backend_, weights_);
    gradients_there_ = buffer<G const*, Backend>(backend_, gradients_);
    if (config_.scaling != gradient_scaling::none) {
      gamma_ = buffer<T, Backend>(backend_, slots());
      backend_.for_teams(detail::roast_gamma<T>{map_, tensors_, lambda_.data(), config_.scaling, config_.count_epsilon,
                                                config_.epsilon, gamma_.data()});
    }
    fnv1a hash;
    hash.add(layout_.hash()).add(std::uint64_t(slots())).add(config_.seed).add(std::uint64_t(config_.scaling));
    for (double x : {config_.count_epsilon, config_.epsilon}) hash.add(detail::bit_cast<std::uint64_t>(x));
    for (T x : lambda) hash.add(detail::bit_cast<std::uint64_t>(double(x)));
    state_layout_ = hash.value();
  }
  roast(roast&&) noexcept = default;
  roast& operator=(roast&&) noexcept = default;

  /// The length m of the shared vector.
  index_t slots() const { return map_.slots; }

  /// The first shared vector: uniform in (-spread, spread), the same for the same seed.
  void initialise(view<T, space> z) const {
    check(z);
    const random_stream stream{random_stream{config_.seed}.derive(map_.tag + 2)};
    backend_.for_each(one_segment(slots()), detail::uniform_numbers<T>{stream, T(config_.spread), z.data()});
  }

  /// All weights, from the shared vector. Nothing waits.
  void forward(view<T const, space> z, model_view<P, space> w) {
    check(z);
    w.for_each(layout_, "the weights", [&](std::size_t k, P* p) { now_weights_[k] = p; });
    remember(z, true, now_weights_, weights_, weights_there_);
    backend_.for_teams(
        detail::roast_forward<P, T>{map_, work_.list(), lambda_.data(), z.data(), weights_there_.data()});
  }
  /// The gradient by the shared vector from that by the weights, divided by Gamma. Nothing waits.
  void backward(model_view<G const, space> g, view<T, space> dz) {
    check(dz);
    g.for_each(layout_, "the gradient", [&](std::size_t k, G const* p) { now_gradients_[k] = p; });
    remember(dz, false, now_gradients_, gradients_, gradients_there_);
    backend_.for_teams(detail::roast_backward<G, T>{map_, tensors_, block_, lambda_.data(), gradients_there_.data(),
                                                    gamma_.data(), dz.data()});
  }

  roast_config const& config() const { return config_; }
  /// There is none: everything follows from the configuration. A saved state tells apart objects of other maps.
  template <class Visitor>
  void visit_state(Visitor&&) {}
  std::size_t state_bytes() const { return 0; }
  /// Bytes that grow with the model: Gamma.
  std::size_t table_bytes() const { return gamma_.bytes(); }
  std::string algorithm() const { return "roast"; }
  std::uint64_t state_layout() const { return state_layout_; }
  frugal::layout const& layout() const { return layout_; }
  Backend const& backend() const { return backend_; }

 private:
  // Slots that a team sums. On a processor long blocks read long stretches of memory, as far as a level-2 cache holds
  // the sums and every thread has one; on a device the many teams matter.
  static index_t block_of(Backend const& b, index_t m) {
    constexpr index_t least = detail::roast_part, most = 16 * least;
    if constexpr (requires { b.concurrency(); }) {
      const index_t each = (m / b.concurrency() + least - 1) / least * least;
      return each < least ? least : each < most ? each : most;
    }
    return least;
  }
  static index_t slots_of(roast_config const& c, index_t n) {
    require(c.slots == 0 || c.compression == 0, "slots and compression", "one of them", "both");
    require(c.slots != 0 || c.compression != 0, "slots and compression", "one of them", "neither");
    constexpr index_t most = index_t(1) << 32;
    if (c.slots != 0) {
      require(c.slots >= 1 && c.slots <= most, "slots", "1 to 2^32", c.slots);
      return c.slots;
    }
    require_range("compression", c.compression, 1, 1e30, true);
    const auto m = index_t(double(n) / c.compression);
    require(m <= most, "the slots that a compression leaves", "at most 2^32", m);
    return m < 1 ? 1 : m;
  }
  std::vector<T> scales() const {
    auto const& tensors = layout_.tensors();
    require_range("spread", config_.spread, 1e-15, 1e15, true);
    require(config_.scales.size() == tensors.size() || (config_.scales.empty() && config_.match == scale_match::given),
            "the count of scales", tensors.size(), config_.scales.size());
    std::vector<T> lambda(tensors.size(), T(1));
    for (std::size_t k = 0; k < config_.scales.size(); ++k) {
      exact x(config_.scales[k]);
      if (config_.match == scale_match::matched) x = x * sqrt(exact(3.0));
      if (config_.match != scale_match::given) x = x / exact(config_.spread);
      if (!(x.v[0] >= 1e-15 && x.v[0] <= 1e15))  // so that its squares, and sums of them, are ordinary floats
        refuse(detail::text("the scale of tensor '", tensors[k].name, "'"), "1e-15 to 1e15", detail::text(x.v[0]));
      lambda[k] = T(x.v[0]);
    }
    return lambda;
  }
  template <class U>
  void check(view<U, space> z) const {
    require(z.size() == slots(), "the size of the shared vector", slots(), z.size());
    require(z.data(), "the shared vector", "a pointer", "null");
  }
  // Where z and the tensors are now: usually where they were the last time.
  template <class U, class Q>
  void remember(view<U, space> z, bool tensors_are_written, std::vector<Q*> const& now, std::vector<Q*>& last,
                buffer<Q*, Backend>& there) {
    void const*& last_z = tensors_are_written ? forward_z_ : backward_z_;
    if (now == last && z.data() == last_z) return;
    overlap_.clear();
    overlap_.add(z.data(), z.size(), !tensors_are_written);
    for (std::size_t k = 0; k < now.size(); ++k) overlap_.add(now[k], layout_.tensors()[k].size, tensors_are_written);
    overlap_.refuse_overlap("the shared vector and the tensors");
    last = now;
    last_z = z.data();
    to_backend(backend_, there.view(), last);
  }

  Backend backend_;
  frugal::layout layout_;
  roast_config config_;
  detail::cyclic_fold map_;
  index_t block_;
  std::uint64_t state_layout_ = 0;
  detail::tensor_table tensors_{};
  detail::work_table<Backend> work_;
  buffer<T, Backend> lambda_, gamma_;
  std::vector<P*> weights_, now_weights_;
  std::vector<G const*> gradients_, now_gradients_;
  buffer<P*, Backend> weights_there_;
  buffer<G const*, Backend> gradients_there_;
  void const *forward_z_ = nullptr, *backward_z_ = nullptr;
  detail::overlap_check overlap_;
};

}  // namespace v0
}  // namespace frugal
