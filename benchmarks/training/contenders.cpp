// SPDX-License-Identifier: Apache-2.0
#include "training/contenders.hpp"

#include <frugal/backend/serial.hpp>
#include <frugal/linalg/eigen.hpp>
#include <frugal/optim/adamw.hpp>
#include <frugal/optim/lion.hpp>
#include <frugal/optim/mkor.hpp>
#include <frugal/optim/momentum.hpp>
#include <frugal/optim/muon.hpp>
#include <frugal/optim/soap.hpp>

namespace bench {
namespace {

frugal::serial_backend const cpu;
// Where several optimizers have one of these, it is the same for all; rates are set in every step.
frugal::momentum_config const momentum{.momentum = 0.9, .weight_decay = 5e-4};
frugal::adamw_config const adamw{.weight_decay = 0.01};
frugal::lion_config const lion{.weight_decay = 0.1};
frugal::muon_config const muon{.weight_decay = 0.01, .scale = frugal::muon_scale::match_adamw};
frugal::soap_config const soap{.weight_decay = 0.01, .max_dim = 512};

template <class Make>
std::unique_ptr<trainer> trained_by(Make make) {
  class holder : public trainer {
   public:
    explicit holder(Make& m) : optimizer_(m()) {}
    void step(std::vector<float>& weights, std::vector<float> const& gradient, double rate) override {
      optimizer_.config().lr = rate;
      optimizer_.step(weights, gradient);
    }
    std::size_t state_bytes() const override { return optimizer_.state_bytes(); }

   private:
    decltype(std::declval<Make&>()()) optimizer_;
  };
  return std::make_unique<holder>(make);
}

/// Muon for the matrices of hidden layers, AdamW for the last layer and for biases, at the same rate.
class by_muon : public trainer {
 public:
  explicit by_muon(frugal::layout const& l)
      : layout_(grouped(l)),
        hidden_(cpu, layout_.only({"hidden"}), muon, frugal::eigen_linalg{}),
        rest_(cpu, layout_.only({"default"}), adamw) {}
  void step(std::vector<float>& weights, std::vector<float> const& gradient, double rate) override {
    hidden_.config().lr = rest_.config().lr = rate;
    hidden_.step(weights, gradient);
    rest_.step(weights, gradient);
  }
  std::size_t state_bytes() const override { return hidden_.state_bytes() + rest_.state_bytes(); }

 private:
  static frugal::layout grouped(frugal::layout const& l) {
    std::vector<frugal::tensor_spec> tensors;
    for (frugal::tensor const& t : l.tensors()) {
      bool const last = &t == &l.tensors().back() - 1;
      tensors.push_back({t.name, t.shape, t.shape.size() > 1 && !last ? "hidden" : ""});
    }
    return {tensors, {{.name = "hidden"}}};
  }
  using provider = frugal::eigen_linalg;
  frugal::layout layout_;
  frugal::muon<frugal::serial_backend, frugal::types<>, frugal::nearest, provider> hidden_;
  frugal::adamw<frugal::serial_backend> rest_;
};

/// MKOR around momentum. The network's weights lie inputs x outputs, MKOR's gradients outputs x inputs.
class by_mkor : public trainer {
 public:
  explicit by_mkor(frugal::layout const& l)
      : layout_(turned(l)),
        gradient_(std::size_t(l.size())),
        back_(gradient_),
        pre_(cpu, layout_, frugal::mkor_config{}, frugal::eigen_linalg{}),
        optimizer_(cpu, l, momentum) {}
  void step(std::vector<float>& weights, std::vector<float> const& gradient, double rate) override {
    turn(gradient, gradient_, true);
    pre_.precondition(gradient_);
    turn(gradient_, back_, false);
    optimizer_.config().lr = rate;
    optimizer_.step(weights, back_);
  }
  std::size_t state_bytes() const override { return pre_.state_bytes() + optimizer_.state_bytes(); }
  bool watches() const override { return pre_.due(); }
  void see(std::size_t layer, mlp<float>::batch const& inputs, mlp<float>::matrix const& derivatives) override {
    // A sample a column in columns is a sample a row in rows.
    pre_.observe(frugal::index_t(layer),
                 frugal::mat_view<float const>(inputs.data(), inputs.cols(), inputs.rows(), inputs.outerStride()),
                 frugal::mat_view<float const>(derivatives.data(), derivatives.cols(), derivatives.rows()));
  }

 private:
  static frugal::layout turned(frugal::layout const& l) {
    std::vector<frugal::tensor_spec> tensors;
    for (frugal::tensor const& t : l.tensors()) {
      tensors.push_back({t.name, {t.shape.rbegin(), t.shape.rend()}});
      if (t.shape.size() == 2) tensors.back().name += ".weight";
      else tensors.back().name = tensors[tensors.size() - 2].name.substr(0, 2) + ".bias";
    }
    return tensors;
  }
  void turn(std::vector<float> const& from, std::vector<float>& to, bool forth) const {
    using matrix = mlp<float>::matrix;
    for (frugal::tensor const& t : layout_.tensors()) {
      Eigen::Index const rows = t.shape[0], cols = t.size / rows;
      Eigen::Map<matrix>(to.data() + t.offset, forth ? cols : rows, forth ? rows : cols) =
          Eigen::Map<matrix const>(from.data() + t.offset, forth ? rows : cols, forth ? cols : rows).transpose();
    }
  }
  frugal::layout layout_;
  std::vector<float> gradient_, back_;
  frugal::mkor<frugal::serial_backend, frugal::full, frugal::types<>, frugal::eigen_linalg> pre_;
  frugal::momentum<frugal::serial_backend> optimizer_;
};

}  // namespace

double gradient_operations(std::vector<Eigen::Index> const& widths, int batch) {
  double sum = 0;  // a product for the outputs, one for the weights; above the first layer one for the inputs
  for (std::size_t k = 0; k + 1 < widths.size(); ++k)
    sum += (k == 0 ? 4. : 6.) * double(widths[k] * widths[k + 1] * batch);
  return sum;
}

std::vector<contender> contenders(std::vector<Eigen::Index> const& widths) {
  using layout = frugal::layout const&;
  static std::vector<double> const as_momentum{0.02, 0.05, 0.1, 0.2}, as_adam{1e-3, 2e-3, 4e-3, 8e-3},
      as_lion{1e-4, 2e-4, 4e-4, 8e-4};
  constexpr double momentum_rate = 0.05, adamw_rate = 4e-3, lion_rate = 4e-4;
  std::vector<contender> all{
      {"Momentum", {0, 0}, "", as_momentum, momentum_rate, 1, 4},
      {"AdamW", {1, 0}, "", as_adam, adamw_rate, 2, 4},
      {"AdamW, bf16", {1, 2}, "AdamW", {}, adamw_rate, 2, 2},
      {"AdamW, 8-bit", {1, 1}, "AdamW", {}, adamw_rate, 2, 1},
      {"Lion", {2, 0}, "", as_lion, lion_rate, 1, 4},
      {"Lion, 8-bit", {2, 1}, "Lion", {}, lion_rate, 1, 1},
      {"SOAP", {3, 0}, "", as_adam, 2e-3, 0, 0, "AdamW", "Vyas et al. 2025"},
      {"Muon", {3, 1}, "", as_adam, 4e-3, 0, 0, "AdamW", "Jordan et al. 2024"},
      {"MKOR", {3, 2}, "", as_momentum, 0.1, 0, 0, "Momentum", "Mozaffari et al. 2023"},
  };
  all[0].make = [](layout l) { return trained_by([&] { return frugal::momentum(cpu, l, momentum); }); };
  all[1].make = [](layout l) { return trained_by([&] { return frugal::adamw(cpu, l, adamw); }); };
  all[2].make = [](layout l) { return trained_by([&] { return frugal::adamw(cpu, l, adamw, frugal::bf16_state{}); }); };
  all[3].make = [](layout l) { return trained_by([&] { return frugal::adamw(cpu, l, adamw, frugal::blockwise8{}); }); };
  all[4].make = [](layout l) { return trained_by([&] { return frugal::lion(cpu, l, lion); }); };
  all[5].make = [](layout l) { return trained_by([&] { return frugal::lion(cpu, l, lion, frugal::blockwise8{}); }); };
  contender &with_soap = all[6], &with_muon = all[7], &with_mkor = all[8];
  with_soap.make = [](layout l) {
    return trained_by([&] { return frugal::soap(cpu, l, soap, frugal::eigen_linalg{}); });
  };
  with_muon.make = [](layout l) { return std::make_unique<by_muon>(l); };
  with_mkor.make = [](layout l) { return std::make_unique<by_mkor>(l); };

  // State and operations as the algorithms' pages have them, numbers of 4 bytes.
  double parameters = 0;
  for (std::size_t k = 0; k + 1 < widths.size(); ++k) {
    double const m = double(widths[k]), n = double(widths[k + 1]), weights = m * n, shorter = std::min(m, n);
    parameters += weights + n;
    with_soap.state += 2 * (weights + n);
    for (double d : {m, n})
      if (d <= double(soap.max_dim)) {
        with_soap.state += 2 * d * d;
        with_soap.operations += 6 * weights * d + (5 * d * d * d + 4 * weights * d) / double(soap.frequency);
      }
    bool const last = k + 2 == widths.size();
    with_muon.state += (last ? 2 : 1) * weights + 2 * n;
    if (!last) with_muon.operations += 20 * shorter * weights + 5 * shorter * shorter * shorter;
    with_mkor.state += weights + n + (m + 1) * (m + 1) + n * n + (m + 1 + n);
    with_mkor.operations += 2 * (m + 1) * n * (m + 1 + n);
  }
  for (contender* each : {&with_soap, &with_muon, &with_mkor}) each->state *= 4 / parameters;
  return all;
}

}  // namespace bench
