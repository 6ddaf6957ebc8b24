#pragma once
/// The part of the gradient checker that knows no layer type: batches, comparisons, sentences.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "radapt/core/error.hpp"
#include "radapt/core/random.hpp"
#include "radapt/core/sequences.hpp"
#include "radapt/test/check_options.hpp"
#include "radapt/test/gradient_probe.hpp"
#include "radapt/test/guarded.hpp"
#include "radapt/test/report.hpp"

namespace radapt::test::detail {

/// One tensor of the parameters. `deviation` is that of its drawn values.
struct ParameterLeaf {
  std::string name;
  double* data;
  Index size;
  double deviation;
};
/// The gradient of one tensor; null data where it is frozen.
struct GradientLeaf {
  const double* data;
  Index size;
};
/// Bytes that a pass should take.
struct PassPlan {
  Index kept, scratch;
};

/// Everything that one batch of sequences is made of. `x` holds doubles or ids.
struct CheckBatch {
  Sequences sequences;
  Guarded<unsigned char> x;
  Guarded<double> y, dy;
  std::vector<unsigned char> first_x{};
  std::vector<double> first_y{};
  std::vector<GradientProbe> parameters{}, input{};

  template <class In>
  In* input_data() {
    return reinterpret_cast<In*>(x.data());
  }
};

class LayerCheckBase {
 protected:
  LayerCheckBase(std::string_view subject, const CheckOptions& options)
      : options_(options), report_(subject), random_(options.seed) {}

  /// Gives the parameters, which lie in `memory`, their values.
  void draw_parameters(std::vector<ParameterLeaf> leaves, const double* memory, Index elements) {
    leaves_ = std::move(leaves);
    for (const ParameterLeaf& leaf : leaves_) { draw(leaf.data, leaf.size, leaf.deviation); }
    memory_ = memory;
    first_parameters_.assign(memory, memory + elements);
  }

  CheckBatch make_batch(const Sequences& sequences, Index x_elements, bool ids, Index y_elements) {
    const Index bytes = x_elements * (ids ? sizeof(std::int32_t) : sizeof(double));
    CheckBatch batch{sequences, Guarded<unsigned char>(bytes), Guarded<double>(y_elements),
                     Guarded<double>(y_elements)};
    if (ids) {
      auto* const id = batch.input_data<std::int32_t>();
      for (Index i = 0; i < x_elements; ++i) {
        id[i] = static_cast<std::int32_t>(random_.below(static_cast<std::uint32_t>(options_.vocabulary)));
      }
    } else {
      draw(batch.input_data<double>(), x_elements, 1.0);
    }
    draw(batch.dy.data(), y_elements, 1.0);
    batch.first_x.assign(batch.x.begin(), batch.x.end());
    return batch;
  }

  /// The derivatives that every gradient of the batch is compared with. forward() runs inference.
  void take_derivatives(CheckBatch& batch, const std::function<void()>& forward, bool of_input) {
    expect(all_finite(batch.y), "forward must write every element of y, and no NaN");
    batch.first_y.assign(batch.y.begin(), batch.y.end());
    const std::function<Sum()> loss = [&] {
      forward();
      Sum sum;
      for (Index i = 0; i < batch.y.size(); ++i) { sum.add(batch.y[i] * batch.dy[i]); }
      return sum;
    };
    const auto probe = [&](const std::string& name, double* data, Index size) {
      return GradientProbe(name, data, size, options_.differences, random_, loss);
    };
    for (const ParameterLeaf& leaf : leaves_) {
      batch.parameters.push_back(probe(leaf.name.empty() ? "the unnamed tensor" : leaf.name, leaf.data, leaf.size));
    }
    if (of_input) { batch.input.push_back(probe("dx", batch.input_data<double>(), batch.x.size() / sizeof(double))); }
  }

  /// dw, in which the gradients lie, began as `noise`: what was added to it is the gradient. Between the tensors the
  /// noise must still be there.
  void compare_gradients(const CheckBatch& batch, const std::vector<GradientLeaf>& gradients, const Guarded<double>& dw,
                         const std::vector<double>& noise) {
    std::vector<double> added(dw.begin(), dw.end());
    for (Index i = 0; i < added.size(); ++i) { added[i] -= noise[i]; }
    for (Index leaf = 0; leaf < gradients.size(); ++leaf) {
      if (gradients[leaf].data == nullptr) { continue; }
      double* const gradient = added.data() + (gradients[leaf].data - dw.data());
      batch.parameters[leaf].compare(report_, where_, gradient);
      std::fill_n(gradient, gradients[leaf].size, 0.0);
    }
    expect(std::all_of(added.begin(), added.end(), [](double x) { return x == 0; }),
           "backward must not write between the gradients of two tensors");
    expect(dw.guards_are_intact(), "backward must not write beside the gradients of the parameters");
  }
  void compare_input_gradient(const CheckBatch& batch, const Guarded<double>& dx) {
    expect(all_finite(dx), "dx: backward must assign every element, and not add to it");
    expect(dx.guards_are_intact(), "backward must not write beside dx");
    for (const GradientProbe& probe : batch.input) { probe.compare(report_, where_, dx.data()); }
  }

  /// What must hold after every pass.
  void check_pass(const std::string& pass, const CheckBatch& batch, const Arena& arena, const PoisonedArena& poisoned,
                  const PassPlan& plan) {
    const auto bytes = [&](const char* kind, Index planned, Index taken) {
      expect(planned == taken, pass + ": the plan says " + std::to_string(planned) + " bytes " + kind +
                                   ", taken were " + std::to_string(taken));
    };
    bytes("kept", plan.kept, arena.kept_peak());
    bytes("of scratch", plan.scratch, arena.scratch_peak());
    expect(poisoned.rest_is_untouched(), pass + ": nothing may be written behind the memory that was taken");
    expect(batch.x.guards_are_intact() && batch.y.guards_are_intact() && batch.dy.guards_are_intact(),
           pass + ": nothing may be written beside x, y and dy");
    expect(std::equal(batch.first_x.begin(), batch.first_x.end(), batch.x.begin()), pass + ": x must not change");
    expect(std::equal(first_parameters_.begin(), first_parameters_.end(), memory_),
           pass + ": parameters must not change");
  }
  /// The same arithmetic in other memory: a few roundings of 1e-16 where sums begin at another address.
  void check_same_output(const CheckBatch& batch) {
    double error = 0, largest = 0;
    for (Index i = 0; i < batch.y.size(); ++i) {
      const double difference = std::abs(batch.y[i] - batch.first_y[i]);
      error = difference > error || std::isnan(difference) ? difference : error;
      largest = std::max(largest, std::abs(batch.first_y[i]));
    }
    expect(error <= 1e-13 * largest, "forward must give the same y in training and in inference");
  }

  void expect(bool ok, const std::string& sentence) { report_.expect(ok, where_ + ": " + sentence); }
  /// Runs a part of the check. A layer that throws has failed, and the next part is still checked.
  void attempt(const std::string& where, const std::function<void()>& part) {
    where_ = where;
    try {
      part();
    } catch (const error& e) { expect(false, e.what()); }
  }
  void draw(double* x, Index n, double deviation) {
    for (Index i = 0; i < n; ++i) { x[i] = deviation * random_.normal(); }
  }
  static bool all_finite(const Guarded<double>& x) {
    return std::all_of(x.begin(), x.end(), [](double value) { return std::isfinite(value); });
  }

  CheckOptions options_;
  Report report_;

 private:
  Random random_;
  std::vector<ParameterLeaf> leaves_;
  const double* memory_ = nullptr;
  std::vector<double> first_parameters_;
  std::string where_;
};

}  // namespace radapt::test::detail
