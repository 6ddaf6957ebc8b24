/// Features of images, by a plain CLIP and by one whose adapters are folded in.
#include <algorithm>
#include <span>

#include "bench/support/flops.hpp"
#include "bench/worker/files.hpp"
#include "bench/worker/precision.hpp"
#include "bench/worker/work.hpp"
#include "radapt/adapter/r_adapter.hpp"
#include "radapt/clip/merge.hpp"
#include "radapt/clip/session.hpp"
#include "radapt/io/load_mapped.hpp"

namespace radapt_bench {
namespace {

template <class Model, class Backend>
class Images : public Work {
 public:
  Images(const radapt::ConstWeights<Model>& weights, const Request& request)
      : batch_(request.batch),
        pixels_(batch_ * Model::PixelRow::width, radapt::memory_of<Backend>()),
        features_(batch_ * Model::arch::embed),
        session_(weights, {.images = batch_, .captions = 1, .constant_weights = true}) {
    const auto read = read_floats(request.pixels, pixels_.size());
    std::copy(read.begin(), read.end(), pixels_.begin());
  }
  void run() override { session_.encode_images({pixels_.data(), pixels_.size()}, features_); }
  std::string unit() const override { return "images"; }
  Index items() const override { return batch_; }
  double flops() const override { return image_flops<Model>(batch_); }
  std::vector<float> output() const override { return features_; }

 private:
  Index batch_;
  radapt::Buffer<float> pixels_;  // where the backend reads it best
  std::vector<float> features_;
  radapt::Session<Model, Backend> session_;
};

/// Adapters that do something, so that a merge that lost them would show: F is far from its first value 0.
template <class Model>
void fill_adapters(radapt::Weights<Model>& weights) {
  radapt::Random random(4);
  for (const auto& tensor : weights.tensors()) {
    if (!tensor.facts.is_adapter || tensor.size() == 1) { continue; }
    for (Index i = 0; i < tensor.size(); ++i) { tensor.data[i] = static_cast<float>(0.02 * random.normal()); }
  }
}

}  // namespace

std::unique_ptr<Work> image_work(const Request& request) {
  return with_architecture<radapt::arch::ViT_B_32, radapt::arch::ViT_B_16, radapt::arch::ViT_L_14>(
      request, [&]<class Arch>(Arch) -> std::unique_ptr<Work> {
        using Model = radapt::Clip<Arch>;
        return with_backend(request, [&]<class Backend>(std::type_identity<Backend>) -> std::unique_ptr<Work> {
          return std::make_unique<Images<Model, Backend>>(radapt::load_mapped<Model>(request.weights), request);
        });
      });
}

std::unique_ptr<Work> merged_work(const Request& request) {
  return with_architecture<radapt::arch::ViT_B_32, radapt::arch::ViT_B_16>(
      request, [&]<class Arch>(Arch) -> std::unique_ptr<Work> {
        using Model = radapt::Clip<Arch>;
        auto adapted = radapt::with_adapters<radapt::RAdapter<>>(radapt::load<Model>(request.weights));
        fill_adapters(adapted);
        return with_backend(request, [&]<class Backend>(std::type_identity<Backend>) -> std::unique_ptr<Work> {
          return std::make_unique<Images<Model, Backend>>(radapt::merge(0.5, adapted), request);
        });
      });
}

}  // namespace radapt_bench
