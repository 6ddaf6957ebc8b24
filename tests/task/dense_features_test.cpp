// Dense features against a second implementation in plain loops, and other resolutions.
#include "radapt/task/dense_features.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "cases/reference_kernels.hpp"
#include "radapt/clip/session.hpp"
#include "radapt/task/resolution.hpp"
#include "task/tiny_clip.hpp"

using radapt::Index;
using namespace radapt::task;
using namespace radapt_test;

namespace {

using Rows = std::vector<std::vector<double>>;

/// The vision tower in plain loops, from the tensors by their names (clip_compat.md 1.2).
class ByHand {
 public:
  template <class M>
  explicit ByHand(const radapt::Weights<M, double>& weights) {
    radapt::each_named(
        [&](const std::string& name, const auto& leaf) {
          if (name.starts_with("visual.")) { tensors_[name.substr(7)].assign(leaf.data, leaf.data + leaf.size()); }
        },
        "", weights.tree());
  }

  /// Features of all tokens of one image (tokens, embed). Without attention in the last block, each token has its own
  /// value there.
  Rows features(const double* pixels, Index size, Index patch, Index width, Index heads, Index layers, Index embed,
                bool attention_in_last_block) {
    const Index grid = size / patch;
    Rows x(1 + grid * grid, std::vector<double>(width));
    for (Index w = 0; w < width; ++w) {
      x[0][w] = tensor("class_embedding")[w];
      for (Index p = 0; p < grid * grid; ++p) {
        for (Index c = 0; c < 3; ++c) {
          for (Index i = 0; i < patch; ++i) {
            for (Index j = 0; j < patch; ++j) {
              const Index row = p / grid * patch + i, column = p % grid * patch + j;
              x[1 + p][w] += tensor("conv1.weight")[((w * 3 + c) * patch + i) * patch + j] *
                             pixels[(c * size + row) * size + column];
            }
          }
        }
      }
    }
    for (Index t = 0; t < x.size(); ++t) {
      for (Index w = 0; w < width; ++w) { x[t][w] += tensor("positional_embedding")[t * width + w]; }
    }
    x = normalised(x, "ln_pre");
    for (Index b = 0; b < layers; ++b) {
      const std::string block = "transformer.resblocks." + std::to_string(b) + ".";
      const Rows qkv =
          linear(normalised(x, block + "ln_1"), block + "attn.in_proj_weight", block + "attn.in_proj_bias", 3 * width);
      Rows mixed(x.size(), std::vector<double>(width));
      for (Index t = 0; t < x.size(); ++t) {
        for (Index h = 0; h < heads; ++h) {
          const Index d = width / heads;
          std::vector<double> share(x.size(), 0.0);
          share[t] = 1.0;
          if (b + 1 < layers || attention_in_last_block) {
            double sum = 0;
            for (Index s = 0; s < x.size(); ++s) {
              double score = 0;
              for (Index e = h * d; e < (h + 1) * d; ++e) { score += qkv[t][e] * qkv[s][width + e]; }
              share[s] = std::exp(score / std::sqrt(static_cast<double>(d)));
              sum += share[s];
            }
            for (double& s : share) { s /= sum; }
          }
          for (Index s = 0; s < x.size(); ++s) {
            for (Index e = h * d; e < (h + 1) * d; ++e) { mixed[t][e] += share[s] * qkv[s][2 * width + e]; }
          }
        }
      }
      add(x, linear(mixed, block + "attn.out_proj.weight", block + "attn.out_proj.bias", width));
      const Index hidden = tensor(block + "mlp.c_fc.bias").size();
      Rows inner = linear(normalised(x, block + "ln_2"), block + "mlp.c_fc.weight", block + "mlp.c_fc.bias", hidden);
      for (auto& row : inner) {
        for (double& v : row) { v = 0.5 * v * (1 + std::erf(v / std::sqrt(2.0))); }
      }
      add(x, linear(inner, block + "mlp.c_proj.weight", block + "mlp.c_proj.bias", width));
    }
    x = normalised(x, "ln_post");
    Rows out(x.size(), std::vector<double>(embed));
    for (Index t = 0; t < x.size(); ++t) {
      for (Index e = 0; e < embed; ++e) {
        for (Index w = 0; w < width; ++w) { out[t][e] += x[t][w] * tensor("proj")[w * embed + e]; }
      }
    }
    return out;
  }

 private:
  const std::vector<double>& tensor(const std::string& name) const { return tensors_.at(name); }
  static void add(Rows& x, const Rows& y) {
    for (Index t = 0; t < x.size(); ++t) {
      for (Index w = 0; w < x[t].size(); ++w) { x[t][w] += y[t][w]; }
    }
  }
  Rows normalised(const Rows& x, const std::string& name) const {
    Rows out = x;
    for (auto& row : out) {
      const auto n = static_cast<double>(row.size());
      double mean = 0, variance = 0;
      for (const double v : row) { mean += v / n; }
      for (const double v : row) { variance += (v - mean) * (v - mean) / n; }
      for (Index w = 0; w < row.size(); ++w) {
        row[w] = (row[w] - mean) / std::sqrt(variance + 1e-5) * tensor(name + ".weight")[w] + tensor(name + ".bias")[w];
      }
    }
    return out;
  }
  Rows linear(const Rows& x, const std::string& weight, const std::string& bias, Index out_width) const {
    Rows out(x.size(), std::vector<double>(out_width));
    for (Index t = 0; t < x.size(); ++t) {
      for (Index o = 0; o < out_width; ++o) {
        out[t][o] = tensor(bias)[o];
        for (Index i = 0; i < x[t].size(); ++i) { out[t][o] += tensor(weight)[o * x[t].size() + i] * x[t][i]; }
      }
    }
    return out;
  }

  std::map<std::string, std::vector<double>> tensors_;
};

template <Index Layers>
void check_against_loops() {
  using M = Model<Layers>;
  const auto weights = weights_of<M>();
  const auto pixels = noise<double>(3 * M::PixelRow::width, 1);
  DenseSession<M, radapt::reference, double> dense(weights, 2);  // three images in pieces of two
  std::vector<double> features(3 * 9 * 6), pooled(3 * 6);
  dense.encode(pixels, features);
  radapt::Session<M, radapt::reference, double> session(weights);
  session.encode_images(pixels, pooled);
  ByHand by_hand(weights);
  for (Index i = 0; i < 3; ++i) {
    const double* const image = pixels.data() + i * M::PixelRow::width;
    const Rows own = by_hand.features(image, 12, 4, 8, 2, Layers, 6, false);
    const Rows attended = by_hand.features(image, 12, 4, 8, 2, Layers, 6, true);
    for (Index e = 0; e < 6; ++e) {
      // With attention, the pooled token is what a session gives: so the loops are right about all else.
      CHECK(std::abs(attended[0][e] - pooled[i * 6 + e]) < 1e-12);  // a few thousand roundings of numbers near one
      for (Index p = 0; p < 9; ++p) { CHECK(std::abs(own[1 + p][e] - features[(i * 9 + p) * 6 + e]) < 1e-12); }
      CHECK(std::abs(own[1][e] - attended[1][e]) > 1e-4);  // attention would have been seen
    }
  }
}

}  // namespace

TEST_CASE("dense features are those of a second implementation") {
  check_against_loops<1>();
  check_against_loops<2>();
}

TEST_CASE("a patch of the last block sees itself alone: with one block, other patches do not matter") {
  using M = Model<1>;
  const auto weights = weights_of<M>();
  DenseSession<M, radapt::reference, double> dense(weights);
  auto pixels = noise<double>(M::PixelRow::width, 1);
  std::vector<double> before(9 * 6), after(9 * 6);
  dense.encode(pixels, before);
  // The patch in the middle: rows and columns 4 to 7 of each channel.
  for (Index c = 0; c < 3; ++c) { pixels[(c * 12 + 5) * 12 + 6] += 1; }
  dense.encode(pixels, after);
  for (Index p = 0; p < 9; ++p) {
    const auto from = before.begin() + static_cast<std::ptrdiff_t>(6 * p);
    CHECK(std::equal(from, from + 6, after.begin() + static_cast<std::ptrdiff_t>(6 * p)) == (p != 4));
  }
  std::vector<double> wrong(9 * 6 + 1);
  CHECK_THROWS_WITH_AS(dense.encode(pixels, wrong), doctest::Contains("features (N, grid, grid, embed)"),
                       radapt::error);
  CHECK_THROWS_AS((DenseSession<M, radapt::reference, double>(weights, 0)), radapt::error);
}

TEST_CASE("another resolution keeps every tensor but the positions, and the same one keeps all") {
  using M = Model<2>;
  const auto weights = weights_of<M, float>();
  const auto same = at_resolution<12>(weights);
  radapt::each([](const auto& a, const auto& b) { CHECK(std::equal(a.data, a.data + a.size(), b.data)); },
               weights.tree(), same.tree());
  const auto larger = at_resolution<20>(weights);
  std::map<std::string, std::vector<float>> tensors;
  radapt::each_named(
      [&](const std::string& name, const auto& leaf) { tensors[name].assign(leaf.data, leaf.data + leaf.size()); }, "",
      larger.tree());
  radapt::each_named(
      [&](const std::string& name, const auto& leaf) {
        const std::vector<float> values(leaf.data, leaf.data + leaf.size());
        if (name != "visual.positional_embedding") {
          CHECK(tensors.at(name) == values);
          return;
        }
        CHECK(tensors.at(name) == radapt::resize_image_positions<float>(values, 8, 5, radapt::GridResize::open_clip));
        CHECK(tensors.at(name).size() == 26 * 8);
      },
      "", weights.tree());
  DenseSession<radapt::Clip<radapt::arch::at_resolution<Tiny<2>, 20>>, radapt::reference> dense(larger);
  std::vector<float> features(25 * 6);
  dense.encode(noise<float>(3 * 20 * 20, 4), features);
  CHECK(std::all_of(features.begin(), features.end(), [](float f) { return std::isfinite(f); }));
}
