// SPDX-License-Identifier: Apache-2.0
/// @file Optimizers of this library on tensors of libtorch, in place: a `torch::optim::Optimizer` around any of them.
/// Needs libtorch 1.13 or later.
///
///     torch::optim::AdamW opt(model->parameters(), torch::optim::AdamWOptions(1e-3));
///     auto opt = frugal::for_torch<frugal::adamw>(cpu, model->parameters(), {.lr = 1e-3});
#pragma once
#include "torch_archive.hpp"  // before torch's headers: see there

#include <torch/optim/optimizer.h>

#include "../core/model_view.hpp"
#include "../core/overlap.hpp"
#include "../core/policy.hpp"

namespace frugal {
inline namespace v0 {

/// The configuration of a parameter group, as torch carries it about. Its rate is what torch's schedulers set.
template <class Config>
struct torch_options : ::torch::optim::OptimizerCloneableOptions<torch_options<Config>> {
  Config config;

  explicit torch_options(Config const& c = {}) : config(c) {}
  double get_lr() const override { return config.lr; }
  void set_lr(double lr) override { config.lr = lr; }
};

/// A parameter group with a configuration of its own.
template <class Config>
::torch::optim::OptimizerParamGroup torch_group(std::vector<at::Tensor> tensors, Config const& c) {
  return {std::move(tensors), std::make_unique<torch_options<Config>>(c)};
}

namespace detail {

template <class Optimizer>
struct element_types_of;
template <template <class...> class Method, class... Policies>
struct element_types_of<Method<Policies...>> {
  using type = types_of<Policies...>;
};

template <class T>
constexpr at::ScalarType torch_type() {
  if constexpr (std::is_same_v<T, float>) return at::kFloat;
  else if constexpr (std::is_same_v<T, double>) return at::kDouble;
  else if constexpr (std::is_same_v<T, bf16>) return at::kBFloat16;
  else return at::kHalf;
}

// What step() does with every gradient, where a method has that.
struct no_options {};
template <class Method>
struct options_of_method {
  using type = no_options;
};
template <class Method>
requires requires(Method& m) { m.options(); }
struct options_of_method<Method> {
  using type = std::remove_reference_t<decltype(std::declval<Method&>().options())>;
};

}  // namespace detail

/// Moves each parameter group by an optimizer of its own, with the group's configuration. The optimizer sees the
/// tensors' memory itself: on CPUs, contiguous, of one element type (that of the optimizer). Its states belong to it
/// and not to `state()`.
///
/// Tensors that have no gradient are left alone, as torch does: those that never had one have no state; one that gets
/// its first later than others begins then, by an optimizer of its own. A group without any gradient does not count the
/// step. But tensors that began together step together: where some of them have a gradient and some have not, the step
/// is refused. After each_tensor() there is an optimizer for each tensor, and no such limit.
template <class Method, class Types = typename detail::element_types_of<Method>::type>
class torch_optimizer : public ::torch::optim::Optimizer {
  using P = typename Types::param;
  using G = typename Types::grad;
  static_assert(detail::is_host<typename Method::space>,
                "frugal: torch_optimizer is for tensors in host memory, and for backends of processors");

 public:
  using config_type = typename Method::config_type;
  using options_type = typename detail::options_of_method<Method>::type;
  using group_type = ::torch::optim::OptimizerParamGroup;

  /// @param c     the configuration of groups that have none
  /// @param make  make(layout, config): an optimizer. Called for each group, now or when it gets its first gradients,
  ///              and by load()
  template <class Make>
  requires std::is_invocable_r_v<Method, Make&, layout, config_type const&> torch_optimizer(
      std::vector<group_type> groups, config_type const& c, Make make)
      : ::torch::optim::Optimizer(std::move(groups), std::make_unique<torch_options<config_type>>(c)),
        make_(std::move(make)) {
    learn();
  }
  template <class Make>
  requires std::is_invocable_r_v<Method, Make&, layout, config_type const&> torch_optimizer(
      std::vector<at::Tensor> tensors, config_type const& c, Make make)
      : torch_optimizer(std::vector<group_type>{std::move(tensors)}, c, std::move(make)) {}
  torch_optimizer(torch_optimizer&&) = default;

  /// One update of all tensors that have gradients. Where anything does not fit (frugal::invalid_argument), all of them
  /// stay as they are.
  at::Tensor step(LossClosure closure = nullptr) override {
    at::Tensor loss;
    if (closure) {
      const at::AutoGradMode on(true);
      loss = closure();
    }
    const at::NoGradGuard off;
    prepare();
    for (family& f : families_)
      for (set& s : f.sets) {
        if (!s.now) continue;
        s.began = true;
        s.object->step(tensor_list<P>(s.x), tensor_list<G const>(s.g));
        // Autograd compares versions: a graph that still needs the old values is refused, as after torch's steps.
        for (std::size_t i : s.of)
          if (!f.tensors[i].is_inference()) f.tensors[i].unsafeGetTensorImpl()->bump_version();
      }
    held_.clear();
    return loss;
  }

  void add_param_group(group_type const& g) {
    ::torch::optim::Optimizer::add_param_group(g);
    try {
      learn();
    } catch (...) {
      this->param_groups_.pop_back();
      families_.resize((std::min)(families_.size(), this->param_groups_.size()));
      throw;
    }
  }

  /// Of a group: mutable, checked at every step.
  config_type& config(std::size_t group = 0) {
    require(group < this->param_groups_.size(), "a parameter group", detail::text("below ", this->param_groups_.size()),
            group);
    return options_of(group).config;
  }
  /// Of every step, as of an optimizer by itself: mutable. Norms are those of the tensors that step together.
  options_type& options() requires(!std::is_same_v<options_type, detail::no_options>) { return options_; }
  /// An optimizer for each tensor. Before the first step.
  void each_tensor() {
    learn();
    for (family const& f : families_)
      for (set const& s : f.sets) require(!s.began, "each_tensor()", "a call before the first step", "a later one");
    each_tensor_ = true;
    address_ = 0;
    for (std::size_t k = 0; k < families_.size(); ++k) {
      std::vector<std::size_t> of;
      std::vector<set>& sets = families_[k].sets;
      for (set const& s : sets) of.insert(of.end(), s.of.begin(), s.of.end());
      const auto before = std::ptrdiff_t(sets.size());
      add_sets(k, of);
      sets.erase(sets.begin(), sets.begin() + before);
    }
  }
  /// f(object, views of its parameters) for each optimizer in use: for report(), and for what only that method has.
  /// From then on those of its tensors step together.
  template <class F>
  void for_each(F&& f) {
    learn();
    for (std::size_t k = 0; k < families_.size(); ++k)
      for (set& s : families_[k].sets) {
        s.began = true;
        for (std::size_t j = 0; j < s.of.size(); ++j) s.x[j] = parameter(k, s.of[j]);
        f(*s.object, std::as_const(s.x));
      }
  }
  std::size_t state_bytes() const {
    std::size_t bytes = 0;
    for (family const& f : families_)
      for (set const& s : f.sets) bytes += s.object->state_bytes();
    return bytes;
  }

  /// torch::save and torch::load go through these. What follows a load is bit for bit what would have followed the
  /// save: with the states goes each group's rate, as schedulers left it, and no other setting. Anything that does not
  /// fit is refused, and nothing has changed then.
  void save(::torch::serialize::OutputArchive& archive) const override {
    archive.write("frugal.format", c10::IValue(std::int64_t(format)));
    archive.write("frugal.groups", c10::IValue(std::int64_t(families_.size())));
    archive.write("frugal.address", c10::IValue(std::int64_t(address_)));
    for (std::size_t k = 0; k < families_.size(); ++k) {
      ::torch::serialize::OutputArchive group(archive.compilation_unit());
      group.write("lr", c10::IValue(this->param_groups_[k].options().get_lr()));
      group.write("tensors", c10::IValue(std::int64_t(families_[k].tensors.size())));
      group.write("optimizers", c10::IValue(std::int64_t(families_[k].sets.size())));
      for (std::size_t j = 0; j < families_[k].sets.size(); ++j) {
        ::torch::serialize::OutputArchive nested(archive.compilation_unit());
        save(nested, families_[k].sets[j]);
        group.write(detail::text("optimizer", j), nested);
      }
      archive.write(detail::text("group", k), group);
    }
  }
  void load(::torch::serialize::InputArchive& archive) override {
    using detail::read_count, detail::read_nested, detail::text;
    learn();
    require(read_count(archive, "frugal.format") == format, "the format of an archive", index_t(format), "another");
    const index_t groups = read_count(archive, "frugal.groups");
    require(groups == index_t(families_.size()), "parameter groups in an archive", families_.size(), groups);
    const index_t address = read_count(archive, "frugal.address");
    std::vector<family> loaded;
    std::vector<double> rates;
    for (std::size_t k = 0; k < families_.size(); ++k) {
      ::torch::serialize::InputArchive group;
      read_nested(archive, text("group", k), group);
      const c10::IValue lr = detail::read_value(group, "lr");
      require(lr.isDouble(), "the rate in an archive", "a number", lr.tagKind());
      rates.push_back(lr.toDouble());
      const index_t tensors = read_count(group, "tensors");
      require(tensors == index_t(families_[k].tensors.size()), text("tensors of group ", k, " in an archive"),
              families_[k].tensors.size(), tensors);
      loaded.push_back({families_[k].tensors, std::vector<bool>(std::size_t(tensors)), {}});
      const index_t sets = read_count(group, "optimizers");
      for (index_t j = 0; j < sets; ++j) {
        ::torch::serialize::InputArchive nested;
        read_nested(group, text("optimizer", j), nested);
        load(nested, k, loaded.back());
      }
    }
    families_ = std::move(loaded);
    address_ = address;
    for (std::size_t k = 0; k < rates.size(); ++k) options_of(k).set_lr(rates[k]);
  }

 private:
  static constexpr std::int64_t format = 1;

  // Tensors of a group that one object moves.
  struct set {
    std::vector<std::size_t> of;
    index_t address;  // where they begin in random streams
    std::unique_ptr<Method> object;
    std::vector<view<P>> x = {};
    std::vector<view<G const>> g = {};
    bool began = false, now = false;
  };
  struct family {  // of a parameter group
    std::vector<at::Tensor> tensors;
    std::vector<bool> in_a_set;
    std::vector<set> sets;
  };

  static std::string name(std::size_t group, std::size_t i) { return detail::text("tensor ", i, " of group ", group); }
  static std::string shape_text(at::IntArrayRef shape) {
    std::string s = "[";
    for (std::int64_t extent : shape) s += detail::text(s.size() > 1 ? ", " : "", extent);
    return s + "]";
  }

  torch_options<config_type>& options_of(std::size_t k) {
    auto* const o = dynamic_cast<torch_options<config_type>*>(&this->param_groups_[k].options());
    require(o, "the options of a parameter group", "torch_options<> of the optimizer's configuration (see torch_group)",
            "others");
    return *o;
  }

  template <class T>
  static void check(at::Tensor const& t, char const* what, std::size_t k, std::size_t i) {
    using detail::text;
    if (t.layout() != at::kStrided) refuse(text(what, name(k, i)), "a dense tensor", c10::str(t.layout()));
    if (!t.device().is_cpu()) refuse(text(what, name(k, i)), "a tensor in host memory", t.device().str());
    if (t.scalar_type() != detail::torch_type<T>())
      refuse(text(what, name(k, i)), text(c10::toString(detail::torch_type<T>()), ", the optimizer's types<>"),
             c10::toString(t.scalar_type()));
  }
  view<P> parameter(std::size_t k, std::size_t i) const {
    at::Tensor const& t = families_[k].tensors[i];
    check<P>(t, "", k, i);
    if (!t.is_contiguous())
      refuse(name(k, i), "contiguous elements", detail::text("strides ", shape_text(t.strides())));
    if (t.is_neg()) refuse(name(k, i), "elements as they are in memory", "a view of negated ones");
    return {static_cast<P*>(t.data_ptr()), index_t(t.numel())};
  }
  // A gradient that is not contiguous is copied.
  view<G const> gradient(std::size_t k, std::size_t i) {
    at::Tensor const &t = families_[k].tensors[i], &g = t.grad();
    check<G>(g, "the gradient of ", k, i);
    if (g.sizes() != t.sizes())
      refuse(detail::text("the gradient of ", name(k, i)), shape_text(t.sizes()), shape_text(g.sizes()));
    held_.push_back(g.resolve_neg().contiguous());
    return {static_cast<G const*>(held_.back().data_ptr()), index_t(t.numel())};
  }

  // What torch's interface did to the groups since: they may have grown.
  void learn() {
    require(this->param_groups_.size() >= families_.size(), "parameter groups", "those that were there at first",
            "fewer");
    for (std::size_t k = 0; k < this->param_groups_.size(); ++k) {
      std::vector<at::Tensor> const& now = this->param_groups_[k].params();
      options_of(k);
      if (k == families_.size()) families_.emplace_back();
      std::vector<at::Tensor>& known = families_[k].tensors;
      for (std::size_t i = 0; i < known.size(); ++i)
        require(i < now.size() && now[i].is_same(known[i]), name(k, i), "the tensor that was there at first",
                "another");
      if (now.size() == known.size()) continue;
      const std::size_t first = known.size();
      std::vector<std::size_t> fresh;
      known = now;
      try {
        for (std::size_t i = first; i < now.size(); ++i) {
          parameter(k, i);
          if (now[i].requires_grad() && now[i].numel() > 0) fresh.push_back(i);
        }
        families_[k].in_a_set.resize(now.size());
        add_sets(k, fresh);
      } catch (...) {
        known.resize(first);
        families_[k].in_a_set.resize(first);
        throw;
      }
    }
  }
  void add_sets(std::size_t k, std::vector<std::size_t> const& tensors) {
    if (tensors.empty()) return;
    std::vector<std::vector<std::size_t>> of{tensors};
    if (each_tensor_) {
      of.clear();
      for (std::size_t i : tensors) of.push_back({i});
    }
    std::vector<set> made;
    index_t address = address_;
    for (auto& some : of) {
      made.push_back(make_set(k, families_[k].tensors, some, address));
      for (tensor const& t : made.back().object->layout().tensors()) address += (t.size + 127) / 128 * 128;
    }
    address_ = address;
    for (std::size_t i : tensors) families_[k].in_a_set[i] = true;
    for (set& s : made) families_[k].sets.push_back(std::move(s));
  }
  // Tensors that are not the first begin where others end, in random streams.
  set make_set(std::size_t k, std::vector<at::Tensor> const& tensors, std::vector<std::size_t> const& of,
               index_t address) {
    std::vector<tensor_spec> specs;
    if (address > 0) specs.push_back({"before", {address}});
    for (std::size_t i : of) {
      at::IntArrayRef const shape = tensors[i].sizes();
      specs.push_back({detail::text(i), {shape.begin(), shape.end()}});
    }
    layout l(specs);
    if (address > 0) l = l.part(address, l.size());
    set s{of, address, std::make_unique<Method>(make_(std::move(l), options_of(k).config))};
    s.x.resize(of.size());
    s.g.resize(of.size());
    if constexpr (requires { s.object->options(); })
      if (!any_) options_ = s.object->options();
    any_ = true;
    return s;
  }

  void prepare() {
    learn();
    held_.clear();
    detail::overlap_check overlap;
    index_t sets = 0;
    for (std::size_t k = 0; k < families_.size(); ++k) {
      family& f = families_[k];
      const auto has = [&](std::size_t i) { return f.tensors[i].grad().defined(); };
      std::vector<std::size_t> late;
      for (std::size_t i = 0; i < f.tensors.size(); ++i)
        if (has(i) && !f.in_a_set[i] && f.tensors[i].numel() > 0) late.push_back(i);
      for (set& s : f.sets) leave_out(k, s, has);
      add_sets(k, late);
      for (set& s : f.sets) {
        s.now = has(s.of[0]);
        if (!s.now) continue;
        ++sets;
        for (std::size_t j = 0; j < s.of.size(); ++j) {
          const std::size_t i = s.of[j];
          s.x[j] = parameter(k, i);
          tensor const& was = s.object->layout().tensors()[j];
          at::IntArrayRef const shape = f.tensors[i].sizes();
          if (!std::equal(shape.begin(), shape.end(), was.shape.begin(), was.shape.end()))
            refuse(name(k, i), shape_text(at::IntArrayRef(was.shape.data(), was.shape.size())), shape_text(shape));
          s.g[j] = gradient(k, i);
          overlap.add(s.x[j].data(), s.x[j].size(), true);
          overlap.add(s.g[j].data(), s.g[j].size(), false);
        }
        s.object->config() = options_of(k).config;
        if constexpr (requires { s.object->options(); }) s.object->options() = options_;
        s.object->check_settings();
      }
    }
    if (sets > 0) overlap.refuse_overlap("parameters and gradients");
  }
  // Of those that begin together now, the ones without a gradient wait for theirs.
  template <class Has>
  void leave_out(std::size_t k, set& s, Has const& has) {
    std::vector<std::size_t> with;
    for (std::size_t i : s.of)
      if (has(i)) with.push_back(i);
    if (with.empty() || with.size() == s.of.size()) return;
    if (s.began) {
      std::size_t i = 0;
      while (has(s.of[i])) ++i;
      refuse(detail::text("the gradient of ", name(k, s.of[i])),
             "one, as others have that began with it (or each_tensor(), or a group of its own)", "none");
    }
    set fewer = make_set(k, families_[k].tensors, with, s.address);
    for (std::size_t i : s.of) families_[k].in_a_set[i] = has(i);
    s = std::move(fewer);
  }

  static void save(::torch::serialize::OutputArchive& to, set const& s) {
    c10::List<std::int64_t> of;
    for (std::size_t i : s.of) of.push_back(std::int64_t(i));
    to.write("tensors", c10::IValue(of));
    to.write("address", c10::IValue(std::int64_t(s.address)));
    to.write("began", c10::IValue(s.began));
    detail::write_snapshot(to, save_state(*s.object));
  }
  void load(::torch::serialize::InputArchive& from, std::size_t k, family& to) {
    const c10::IValue list = detail::read_value(from, "tensors"), began = detail::read_value(from, "began");
    require(list.isIntList() && began.isBool(), "an optimizer in an archive", "what save() wrote", "another");
    std::vector<std::size_t> of;
    for (std::int64_t i : list.toIntVector()) {
      require(i >= 0 && std::size_t(i) < to.tensors.size() && !to.in_a_set[std::size_t(i)],
              "a tensor of an optimizer in an archive", "one of the group, and once", i);
      to.in_a_set[std::size_t(i)] = true;
      of.push_back(std::size_t(i));
    }
    require(!of.empty(), "the tensors of an optimizer in an archive", "1 or more", 0);
    set s = make_set(k, to.tensors, of, detail::read_count(from, "address"));
    s.began = began.toBool();
    restore_state(*s.object, detail::read_snapshot(from));
    to.sets.push_back(std::move(s));
  }

  std::function<Method(layout, config_type const&)> make_;
  bool each_tensor_ = false, any_ = false;  // any_: an optimizer was made
  options_type options_;
  std::vector<family> families_;
  std::vector<at::Tensor> held_;  // gradients of this step
  index_t address_ = 0;
};
template <class Tensors, class Config, class Make>
torch_optimizer(Tensors, Config, Make) -> torch_optimizer<std::invoke_result_t<Make&, layout, Config const&>>;

/// An optimizer of this library for tensors of torch: `for_torch<lion>(cpu, model->parameters(), {.lr = 1e-4},
/// blockwise8{})`. Arguments are those of the optimizer's constructor, with tensors where it has a layout.
template <template <class...> class MethodOf, class Backend, class... Policies>
auto for_torch(Backend b, std::vector<::torch::optim::OptimizerParamGroup> groups,
               typename MethodOf<Backend>::config_type const& c = {}, Policies const&... policies) {
  using config_type = typename MethodOf<Backend>::config_type;
  return torch_optimizer(std::move(groups), c, [b, policies...](layout l, config_type const& of_group) {
    return MethodOf(b, std::move(l), of_group, policies...);
  });
}
template <template <class...> class MethodOf, class Backend, class... Policies>
auto for_torch(Backend b, std::vector<at::Tensor> tensors, typename MethodOf<Backend>::config_type const& c = {},
               Policies const&... policies) {
  return for_torch<MethodOf>(std::move(b), std::vector<::torch::optim::OptimizerParamGroup>{std::move(tensors)}, c,
                             policies...);
}

}  // namespace v0
}  // namespace frugal
