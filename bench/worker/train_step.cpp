/// A training step of R-Adapter on images and captions.
#include <algorithm>

#include "bench/support/flops.hpp"
#include "bench/worker/files.hpp"
#include "bench/worker/precision.hpp"
#include "bench/worker/work.hpp"
#include "radapt/io/load_mapped.hpp"
#include "radapt/train/recipes.hpp"
#include "radapt/train/trainer.hpp"

namespace radapt_bench {
namespace {

/// Steps whose losses and gradient norms are compared; their masks come from a file, since no two libraries draw alike.
inline constexpr int compared_steps = 2;

template <class Arch, class Backend>
class Steps : public Work {
  using Recipe = radapt::recipe::r_adapter<Arch>;
  using Model = typename Recipe::trained;
  using Trainer = radapt::Trainer<Recipe, Backend>;

 public:
  explicit Steps(const Request& request) : Steps(request, read_json(request.captions)) {}
  void run() override {
    phase_.step = trainer_.steps();
    step();
  }
  std::string unit() const override { return "pairs"; }
  Index items() const override { return groups_.size(); }
  double flops() const override { return step_flops<Model, typename Recipe::tune>(captions_.sequences(), &phase_); }
  /// Loss and norm of the gradients of each compared step.
  std::vector<float> output() const override { return compared_; }

 private:
  Steps(const Request& request, const nlohmann::json& file)
      : base_(radapt::with_adapters<radapt::RAdapter<>>(radapt::load_mapped<radapt::Clip<Arch>>(request.weights))),
        captions_(captions_of<Model>(file["captions"], request.batch)),
        trainer_(base_, options(request.batch, longest(captions_))),
        pixels_(request.batch * Model::PixelRow::width, radapt::memory_of<Backend>()) {
    const auto read = read_floats(request.pixels, pixels_.size());
    std::copy(read.begin(), read.end(), pixels_.begin());
    for (Index i = 0; i < request.batch; ++i) { groups_.push_back(file["groups"][i].get<std::int32_t>()); }
    compare(file["masks"]);
    phase_.training = true;
    phase_.adapter_drop = trainer_.options().adapter_drop;
    phase_.seed = trainer_.options().seed;
  }
  static Index longest(const radapt::Captions& captions) {
    Index most = 0;
    for (Index i = 0; i < captions.size(); ++i) { most = std::max(most, captions.tokens(i, 1)); }
    return most;
  }
  static radapt::TrainOptions options(Index batch, Index longest_caption) {
    radapt::TrainOptions options;
    options.size.batch = batch;
    options.size.longest_caption = longest_caption;
    options.schedule.warmup = 0;  // so that a wrong update shows in the compared steps
    options.schedule.total = 1'000'000;
    return options;
  }
  radapt::StepReport step() {
    return trainer_.step({.pixels = {pixels_.data(), pixels_.size()}, .captions = &captions_, .groups = groups_});
  }
  void compare(const nlohmann::json& lists) {
    std::vector<std::vector<std::uint8_t>> masks;
    for (const auto& list : lists) { masks.push_back(list.get<std::vector<std::uint8_t>>()); }
    std::vector<const std::uint8_t*> sites;
    for (const auto& mask : masks) { sites.push_back(mask.data()); }
    trainer_.use_masks(sites.data());
    for (int i = 0; i < compared_steps; ++i) {
      const radapt::StepReport report = step();
      compared_.push_back(static_cast<float>(report.loss));
      compared_.push_back(static_cast<float>(report.grad_norm));
    }
    trainer_.use_masks(nullptr);
  }

  radapt::ConstWeights<Model> base_;
  radapt::Captions captions_;
  Trainer trainer_;
  radapt::Buffer<float> pixels_;  // where the backend reads it best
  std::vector<std::int32_t> groups_;
  std::vector<float> compared_;
  radapt::Phase phase_;
};

}  // namespace

std::unique_ptr<Work> train_step_work(const Request& request) {
  return with_architecture<radapt::arch::ViT_B_32, radapt::arch::ViT_B_16, radapt::arch::ViT_L_14>(
      request, [&]<class Arch>(Arch) -> std::unique_ptr<Work> {
        return with_backend(request, [&]<class Backend>(std::type_identity<Backend>) -> std::unique_ptr<Work> {
          return std::make_unique<Steps<Arch, Backend>>(request);
        });
      });
}

}  // namespace radapt_bench
