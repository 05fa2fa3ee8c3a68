// SPDX-License-Identifier: Apache-2.0
/// @file Gradients of linear layers between two matrices, as K-FAC (Martens and Grosse, "Optimizing Neural Networks
/// with Kronecker-factored Approximate Curvature", ICML 2015) and MKOR have them: what they share. A curvature (in
/// optim/mkor.hpp, optim/kfac.hpp) keeps two matrices for each layer; here is what is around it.
///
///     D = J_G [dW | db] J_A        dW is o x i, J_G o x o, J_A (i+1) x (i+1), or i x i without a bias
///     [dW | db] = r D,             r = (|dW| + |db|) / (|D_W| + |D_b|), or 1
#pragma once
#include <cmath>

#include "../core/counter.hpp"
#include "../core/model_view.hpp"
#include "../core/overlap.hpp"
#include "../core/policy.hpp"
#include "../core/state.hpp"
#include "linear_layers.hpp"

namespace frugal {
inline namespace v0 {

/// When second order no longer pays: means of the loss over windows, and the relative reduction from one to the next.
/// Its figures are used where losses are reported.
struct fall_back_config {
  int window = 50;             ///< losses a mean, >= 1
  double tolerance = 1e-3;     ///< a reduction below it is poor
  int patience = 2;            ///< so many poor ones in a row, >= 1
  std::int64_t min_steps = 0;  ///< before which none counts, >= 0
};
inline void validate(fall_back_config const& c) {
  require(c.window >= 1, "fall_back.window", ">= 1", c.window);
  require_range("fall_back.tolerance", c.tolerance, -1e30, 1e30, true);
  require(c.patience >= 1, "fall_back.patience", ">= 1", c.patience);
  require(c.min_steps >= 0, "fall_back.min_steps", ">= 0", c.min_steps);
}

namespace detail {

/// @tparam Curvature  of (linalg, storage, T): the matrices of all sides
template <class Curvature, class Backend, class Provider, class T>
class layerwise {
 public:
  using backend_type = Backend;
  using space = typename Backend::space;
  using config_type = typename Curvature::config;
  using algebra = linalg<Backend, Provider>;
  template <class U>
  using mat = mat_view<U, space>;

  layerwise(Backend b, frugal::layout l, config_type c, linear_layers const& which, Provider provider)
      : backend_(b),
        algebra_(b, provider),
        layout_(std::move(l)),
        config_((Curvature::check(c), c)),
        layers_(places_of(layout_, which)),
        curvature_(algebra_, sides()),
        steps_(b),
        observed_(b, index_t(layers_.size())),
        losses_(b, losses),
        overlap_(layout_.tensors().size()),
        pointers_(layout_.tensors().size()),
        ratio_(b, 1) {
    index_t most = 0, out = 0, tiles = 0;
    for (layer_place const& p : layers_) {
      most = (std::max)(most, p.out * p.in);
      out = (std::max)(out, p.out);
    }
    tiles = sum_scratch(tiles_of(most));
    half_ = buffer<T, Backend>(b, most);
    whole_ = buffer<T, Backend>(b, most);
    half_bias_ = buffer<T, Backend>(b, out);
    whole_bias_ = buffer<T, Backend>(b, out);
    sums_ = buffer<double, Backend>(b, 4 * tiles);
  }

  /// Will the next `precondition` look at what is observed? Other observations need not be made.
  bool due() const {
    check_config();
    const std::int64_t t = steps_.get();
    return !has_fallen_back() && (t % config_.refresh_every == 0 || t < config_.warmup_steps);
  }
  /// What a layer was given in the forward pass (rows x i, a row a sample) and the gradients of the mean loss over
  /// these rows at its output (rows x o). Before a step that is due, `micro_batches` times; does nothing before others.
  /// Counted from one step to the next, whether that was due or not.
  void observe(index_t layer, mat<T const> activations, mat<T const> output_gradients) {
    check_config();
    require(layer >= 0 && layer < layers(), "a layer", text("0 to ", layers() - 1), layer);
    layer_place const& p = layers_[std::size_t(layer)];
    const index_t rows = activations.rows();
    require(rows >= 1, "the rows of activations", ">= 1", rows);
    require_shape("activations", activations, rows, p.in);
    require_shape("the output gradients of a layer", output_gradients, rows, p.out);
    if (!due()) return;
    std::int64_t& seen = observed_.get()[std::size_t(layer)];
    require(seen < config_.micro_batches, "the observations of a layer before a step", text(config_.micro_batches),
            "one more");
    const double k = double(config_.micro_batches);
    curvature_.observe(2 * layer, activations, 1, k, seen == 0, p.biased(), config_);
    curvature_.observe(2 * layer + 1, output_gradients, double(rows) * config_.gradient_scale, k, seen == 0, false,
                       config_);
    ++seen;
  }
  /// What was observed, to be averaged over the workers before a step that is due.
  view<T, space> statistics() { return curvature_.statistics(); }

  /// One step: the gradients of the layers become the directions, in place; all others stay. Then any optimizer.
  void precondition(model_view<T, space> gradient) {
    check_config();
    overlap_.clear();
    gradient.for_each(layout_, "the gradient", [&](std::size_t i, T* p) {
      pointers_[i] = p;
      overlap_.add(p, layout_.tensors()[i].size, true);
    });
    overlap_.refuse_overlap("the tensors of a gradient");
    const bool refresh = due();
    const std::int64_t t = steps_.get();
    auto& seen = observed_.get();
    for (std::size_t l = 0; refresh && l < layers_.size(); ++l)
      if (seen[l] != config_.micro_batches) [[unlikely]]
        refuse(text("the observations of layer '", layout_.tensors()[layers_[l].weight].name, "' before this step"),
               text(config_.micro_batches), text(seen[l]));
    if (!has_fallen_back())
      for (std::size_t l = 0; l < layers_.size(); ++l) {
        for (int s = 0; refresh && s < 2; ++s) curvature_.refresh(2 * index_t(l) + s, t == 0, config_);
        apply(index_t(l), layers_[l]);
      }
    for (std::int64_t& n : seen) n = 0;  // also what was for a step that is no longer due
    steps_.set(t + 1);
  }

  /// The training loss of a step, finite, the same on all workers. Falls back when the means over windows say so.
  void observe_loss(double loss) {
    check_config();
    require_range("the loss of a step", loss, -1e290, 1e290, true);  // windows of them have finite sums
    if (has_fallen_back()) return;
    fall_back_config const& c = config_.fall_back;
    std::vector<double>& of = losses_.get();
    of[sum] += loss;
    if (++of[count] < c.window) return;
    const double mean = of[sum] / of[count], reduction = (of[last] - mean) / std::abs(of[last]);
    const bool is_poor = of[windows] > 0 && !(reduction >= c.tolerance) && steps_.get() >= c.min_steps;
    of[poor] = is_poor ? of[poor] + 1 : 0;
    of[sum] = of[count] = 0;
    of[last] = mean;
    ++of[windows];
    if (of[poor] >= c.patience) fall_back();
  }
  /// From now on gradients pass as they are, and observations are not looked at; the matrices stay until the object
  /// ends.
  void fall_back() { losses_.get()[fallen] = 1; }
  bool has_fallen_back() const { return losses_.get()[fallen] != 0; }

  index_t layers() const { return index_t(layers_.size()); }
  /// The layer of this weight.
  index_t layer(std::string_view weight) const {
    for (std::size_t l = 0; l < layers_.size(); ++l)
      if (layout_.tensors()[layers_[l].weight].name == weight) return index_t(l);
    refuse("a layer", "the weight of one", text("'", std::string(weight), "'"));
  }
  /// Of a layer, as they are now: the matrix of its inputs and that of its outputs. Valid until the next call.
  mat<T const> input_factor(index_t layer) { return curvature_.inverse(2 * layer); }
  mat<T const> output_factor(index_t layer) { return curvature_.inverse(2 * layer + 1); }
  /// Steps so far.
  std::int64_t steps() const { return steps_.get(); }
  /// Rates, thresholds and intervals may change between steps.
  config_type& config() { return config_; }
  config_type const& config() const { return config_; }
  frugal::layout const& layout() const { return layout_; }
  Backend const& backend() const { return backend_; }

  template <class Visitor>
  void visit_state(Visitor&& visit) {
    visit("steps", role::counter, steps_.show());
    visit("observed", role::counter, observed_.show());
    visit("losses", role::clock, losses_.show());
    curvature_.visit_state(visit);
  }
  /// The matrices and what is collected for them.
  std::size_t state_bytes() const { return curvature_.state_bytes(); }
  std::string algorithm() const { return text(Curvature::name, "/", Curvature::storage_name); }
  std::uint64_t state_layout() const {
    fnv1a h;
    h.add(layout_.hash());
    for (layer_place const& p : layers_) h.add(std::uint64_t(p.weight)).add(std::uint64_t(p.bias));
    return h.value();
  }

 private:
  enum of_losses : std::size_t { sum, count, last, windows, poor, fallen, losses };

  std::vector<index_t> sides() const {
    std::vector<index_t> s;
    for (layer_place const& p : layers_) s.insert(s.end(), {p.inputs(), p.out});
    return s;
  }
  void check_config() const { Curvature::check(config_); }

  void apply(index_t l, layer_place const& p) {
    const mat<T const> in = curvature_.inverse(2 * l), out = curvature_.inverse(2 * l + 1);
    const index_t size = p.out * p.in;
    const mat<T> g(pointers_[p.weight], p.out, p.in), h(half_.data(), p.out, p.in), d(whole_.data(), p.out, p.in);
    algebra_.gemm(1, out, mat<T const>(g), 0, h);
    algebra_.gemm(1, mat<T const>(h), in.block(0, 0, p.in, p.in), 0, d);
    if (p.biased()) {  // the last row and column of `in` are equal
      const view<T, space> b(pointers_[p.bias], p.out), hb(half_bias_.data(), p.out), db(whole_bias_.data(), p.out);
      const view<T const, space> edge(in.data() + p.in * in.ld(), p.in), corner(edge.data() + p.in, 1);
      algebra_.gemv(1, out, view<T const, space>(b), 0, hb);
      algebra_.rank_1(1, view<T const, space>(hb), edge, 1, d);
      algebra_.rank_1(1, view<T const, space>(hb), corner, 0, mat<T>(db, p.out, 1));
      algebra_.gemv(1, mat<T const>(h), edge, 1, db);
    }
    T const* ratio = nullptr;
    if (config_.rescale) {
      const index_t each = sums_.size() / 4;
      const auto squares = [&](T const* v, index_t n, index_t k) {
        return canonical_sum(backend_, one_segment(n), elements<T, T, true>{v}, sums_.data() + k * each);
      };
      const bool b = p.biased();
      backend_.run(norm_ratio<T>{squares(g.data(), size, 0), b ? squares(pointers_[p.bias], p.out, 1) : nullptr,
                                 squares(d.data(), size, 2), b ? squares(whole_bias_.data(), p.out, 3) : nullptr,
                                 ratio_.data()});
      ratio = ratio_.data();
    }
    backend_.for_each(one_segment(size), copy_scaled<T, T, T>{d.data(), g.data(), ratio});
    if (p.biased())
      backend_.for_each(one_segment(p.out), copy_scaled<T, T, T>{whole_bias_.data(), pointers_[p.bias], ratio});
  }

  Backend backend_;
  algebra algebra_;
  frugal::layout layout_;
  config_type config_;
  std::vector<layer_place> layers_;
  Curvature curvature_;
  counter<Backend> steps_;
  shown_numbers<std::int64_t, Backend> observed_;
  shown_numbers<double, Backend> losses_;
  overlap_check overlap_;
  std::vector<T*> pointers_;
  buffer<T, Backend> ratio_, half_, whole_, half_bias_, whole_bias_;
  buffer<double, Backend> sums_;
};

}  // namespace detail

}  // namespace v0
}  // namespace frugal
