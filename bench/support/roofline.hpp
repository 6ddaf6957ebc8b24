#pragma once
/// The rate of large matrix products on this machine: what the rates of everything else are shares of.
#include <algorithm>
#include <chrono>
#include <string>

#include "radapt/backend/onednn/all.hpp"
#include "radapt/backend/run.hpp"
#include "radapt/core/context.hpp"

namespace radapt_bench {

using radapt::Index;

/// y = x W^T in the backend: (rows, in) times (out, in) transposed. Through the operation that layers call, so that it
/// is the product that the backend really has.
template <class Backend = radapt::onednn>
class Product {
 public:
  Product(Index rows, Index in, Index out)
      : rows_(rows),
        in_(in),
        out_(out),
        x_(rows * in, radapt::memory_of<Backend>()),
        w_(out * in, radapt::memory_of<Backend>()),
        y_(rows * out, radapt::memory_of<Backend>()) {
    std::fill(x_.begin(), x_.end(), 1.0F);
    std::fill(w_.begin(), w_.end(), 1.0F / static_cast<float>(in));
    if constexpr (requires { context_.device.promise_constant(w_.data(), w_.size()); }) {
      context_.device.promise_constant(w_.data(), w_.size());
    }
  }
  void operator()() {
    radapt::run(context_,
                radapt::op::linear_forward<float>{.y = radapt::Matrix<float>{y_.data(), rows_, out_},
                                                  .x = radapt::Matrix<const float>{x_.data(), rows_, in_},
                                                  .weight = radapt::Matrix<const float>{w_.data(), out_, in_}});
    radapt::finish(context_);
  }
  double flops() const {
    return 2.0 * static_cast<double>(rows_) * static_cast<double>(in_) * static_cast<double>(out_);
  }
  std::string title() const {
    return std::to_string(rows_) + " x " + std::to_string(in_) + " x " + std::to_string(out_);
  }

 private:
  Index rows_, in_, out_;
  radapt::Buffer<float> x_, w_, y_;
  radapt::Context<Backend> context_;
};

/// Sizes in which products are as good as they get: a cube, and the two products of a ViT-B's MLP at batch 32.
struct ProductSize {
  Index rows, in, out;
};
inline constexpr ProductSize roofline_sizes[] = {{2048, 2048, 2048}, {1600, 768, 3072}, {1600, 3072, 768}};

/// FLOP/s of the best call among some of every size; measured once, in about a second.
inline double roofline() {
  static const double best = [] {
    using Clock = std::chrono::steady_clock;
    double rate = 0;
    for (const ProductSize& size : roofline_sizes) {
      Product<> product(size.rows, size.in, size.out);
      product();
      const auto begin = Clock::now();
      for (auto before = begin; before - begin < std::chrono::milliseconds(300);) {
        product();
        const auto after = Clock::now();
        rate = std::max(rate, product.flops() / std::chrono::duration<double>(after - before).count());
        before = after;
      }
    }
    return rate;
  }();
  return best;
}

}  // namespace radapt_bench
