// SPDX-License-Identifier: Apache-2.0
// The drivers of driver.hpp.
#pragma once
#include "backends.hpp"
#include "driver.hpp"

namespace frugal_test {

// Parameters and gradients in a backend's memory.
template <class T, class Backend>
class workplace {
 public:
  workplace(Backend const& b, frugal::layout const& l, std::vector<T> const& x0, arrangement a)
      : backend_(b), layout_(l) {
    place(x0, a);
  }
  void place(std::vector<T> const& x, arrangement a) {
    std::vector<data> x_pieces, g_pieces;
    xs_.clear();
    gs_.clear();
    const auto add = [&](frugal::index_t from, frugal::index_t size) {
      x_pieces.emplace_back(backend_, std::vector<T>(x.begin() + from, x.begin() + from + size), a.x_offset);
      g_pieces.emplace_back(backend_, std::vector<T>(std::size_t(size)), a.g_offset);
      xs_.push_back(x_pieces.back().all());
      gs_.push_back(g_pieces.back().constant());
    };
    if (!a.separate) add(0, layout_.size());
    else
      for (auto const& t : layout_.tensors()) add(t.offset, t.size);
    separate_ = a.separate;
    x_ = std::move(x_pieces);  // the old memory lives until the new one is there: the addresses differ
    g_ = std::move(g_pieces);
  }
  std::vector<T> x() const {
    std::vector<T> all;
    for (data const& piece : x_) {
      const auto part = piece.get();
      all.insert(all.end(), part.begin(), part.end());
    }
    return all;
  }
  void set_x(std::vector<T> const& x) { scatter(x, x_); }
  void set_gradient(std::vector<T> const& g) { scatter(g, g_); }
  // One step; returns how often it allocated.
  template <class Optimizer>
  long step(Optimizer& opt) const {
    const long before = allocations;
    if (separate_) opt.step(xs_, gs_);
    else opt.step(xs_[0], gs_[0]);
    return allocations - before;
  }

 private:
  using data = there<T, Backend>;
  void scatter(std::vector<T> const& from, std::vector<data>& to) {
    auto begin = from.begin();
    for (data& piece : to) {
      piece.set(std::vector<T>(begin, begin + piece.all().size()));
      begin += piece.all().size();
    }
  }
  Backend backend_;
  frugal::layout layout_;
  bool separate_ = false;
  std::vector<data> x_, g_;
  std::vector<typename data::view> xs_;
  std::vector<typename data::const_view> gs_;
};

template <class Optimizer, class Backend, class T>
class driver_of final : public driver<T> {
 public:
  template <class... Policies>
  driver_of(Backend const& b, frugal::layout const& l, std::vector<T> const& x0,
            typename Optimizer::config_type const& c, arrangement a, Policies const&... policies)
      : backend_(b), place_(b, l, x0, a), optimizer_(b, l, c, policies...) {}
  void step(std::vector<T> const& gradient) override {
    place_.set_gradient(gradient);
    allocated_ = place_.step(optimizer_);
  }
  std::vector<T> x() const override { return place_.x(); }
  void set_x(std::vector<T> const& x) override { place_.set_x(x); }
  void rearrange(arrangement a) override { place_.place(place_.x(), a); }
  long allocated() const override { return allocated_; }
  frugal::snapshot save() override { return frugal::save_state(optimizer_); }
  void restore(frugal::snapshot const& s) override { frugal::restore_state(optimizer_, s); }
  double& lr() override { return optimizer_.config().lr; }
  double& weight_decay() override { return optimizer_.config().weight_decay; }
  void set(switches const& s) override {
    auto& o = optimizer_.options();
    o.gradient_scale = s.gradient_scale;
    o.clip_norm = s.clip_norm;
    o.skip_nonfinite = s.skip_nonfinite;
    o.lr = number(s.lr, lr_);
    o.more_scale = number(s.more_scale, more_scale_);
    o.found_inf = number(s.found_inf, found_inf_);
  }
  void set_group(frugal::group const& g) override { optimizer_.set_group(g); }
  frugal::step_report report() const override { return optimizer_.report(); }
  std::size_t state_bytes() const override { return optimizer_.state_bytes(); }
  void move_object() override {
    Optimizer other = std::move(optimizer_);
    optimizer_ = std::move(other);
  }

 private:
  template <class S>
  frugal::view<S const, typename Backend::space> number(std::optional<S> value, std::optional<there<S, Backend>>& at) {
    if (!value) return {};
    at.emplace(backend_, std::vector<S>{*value});
    return at->constant();
  }
  Backend backend_;
  workplace<T, Backend> place_;
  Optimizer optimizer_;
  long allocated_ = 0;
  std::optional<there<double, Backend>> lr_;
  std::optional<there<float, Backend>> more_scale_, found_inf_;
};

// An optimizer on a machine, with policies as the library takes them. `Subject` describes it: see optimizer_suite.hpp.
template <class Subject, class T, class Storage, class Support>
std::unique_ptr<driver<T>> make_with(machine const& m, frugal::layout const& l, std::vector<T> const& x0,
                                     typename Subject::config const& c, Storage const& storage, Support const& support,
                                     arrangement const& a = {}) {
  const auto on = [&]<class B>(B const& b) -> std::unique_ptr<driver<T>> {
    using optimizer = typename Subject::template optimizer<B, Storage, Support, frugal::types<T>>;
    return std::make_unique<driver_of<optimizer, B, T>>(b, l, x0, c, a, storage, support, frugal::types<T>{});
  };
  if constexpr (std::is_same_v<T, double>) {  // for comparisons with a tolerance: one backend is enough
    if (m.lanes > 0 || m.threads > 0) throw std::logic_error("doubles are tested on the serial backend");
    return on(frugal::serial_backend{});
  } else {
    if (m.lanes > 0) return on(frugal::emulated_backend({.seed = m.seed, .lanes = m.lanes}));
    if constexpr (std::is_same_v<Support, frugal::all>)  // tbb and serial share their loops
      if (m.threads > 0) return on(frugal::tbb_backend(m.threads));
    return on(frugal::serial_backend{});
  }
}
template <class Subject, class T = float>
std::unique_ptr<driver<T>> make(machine const& m, frugal::layout const& l, std::vector<T> const& x0,
                                typename Subject::config const& c, stored s = stored::full, arrangement const& a = {}) {
  if constexpr (std::is_same_v<T, float>) {
    if (s == stored::bf16) return make_with<Subject, T>(m, l, x0, c, frugal::bf16_state{}, frugal::all{}, a);
    if (s != stored::full)
      return make_with<Subject, T>(m, l, x0, c,
                                   s == stored::in_8_bits ? frugal::blockwise8{.min_size = 1} : frugal::blockwise8{},
                                   frugal::all{}, a);
  }
  return make_with<Subject, T>(m, l, x0, c, frugal::full{}, frugal::all{}, a);
}

}  // namespace frugal_test
