/// Features of captions, and the zero-shot head.
#include "bench/support/flops.hpp"
#include "bench/worker/files.hpp"
#include "bench/worker/precision.hpp"
#include "bench/worker/work.hpp"
#include "radapt/clip/zero_shot.hpp"
#include "radapt/io/load_mapped.hpp"

namespace radapt_bench {
namespace {

template <class Model, class Backend>
class Texts : public Work {
 public:
  explicit Texts(const Request& request)
      : captions_(captions_of<Model>(read_json(request.captions)["captions"], request.batch)),
        features_(captions_.size() * Model::arch::embed),
        session_(radapt::load_mapped<Model>(request.weights),
                 {.images = 1, .captions = captions_.size(), .constant_weights = true}) {}
  void run() override { session_.encode_texts(captions_, features_); }
  std::string unit() const override { return "captions"; }
  Index items() const override { return captions_.size(); }
  double flops() const override { return text_flops<Model>(captions_.sequences()); }
  std::vector<float> output() const override { return features_; }

 private:
  radapt::Captions captions_;
  std::vector<float> features_;
  radapt::Session<Model, Backend> session_;
};

template <class Model, class Backend>
class Head : public Work {
 public:
  explicit Head(const Request& request) : Head(request, read_json(request.prompts)) {}
  void run() override { head_ = radapt::zero_shot_weights(session_, prompts_, per_class_); }
  std::string unit() const override { return "prompts"; }
  Index items() const override { return prompts_.size(); }
  double flops() const override { return text_flops<Model>(prompts_.sequences()); }
  std::vector<float> output() const override { return head_; }

 private:
  Head(const Request& request, const nlohmann::json& file)
      : prompts_(captions_of<Model>(file["prompts"])),
        per_class_(file["per_class"].get<std::vector<Index>>()),
        session_(radapt::load_mapped<Model>(request.weights), {.images = 1}) {}

  radapt::Captions prompts_;
  std::vector<Index> per_class_;
  std::vector<float> head_;
  radapt::Session<Model, Backend> session_;
};

template <template <class, class> class Kind>
std::unique_ptr<Work> make(const Request& request) {
  // The text towers of B/32 and B/16 have the same sizes, but their files differ.
  return with_architecture<radapt::arch::ViT_B_32, radapt::arch::ViT_B_16, radapt::arch::ViT_L_14>(
      request, [&]<class Arch>(Arch) -> std::unique_ptr<Work> {
        return with_backend(request, [&]<class Backend>(std::type_identity<Backend>) -> std::unique_ptr<Work> {
          return std::make_unique<Kind<radapt::Clip<Arch>, Backend>>(request);
        });
      });
}

}  // namespace

std::unique_ptr<Work> text_work(const Request& request) { return make<Texts>(request); }
std::unique_ptr<Work> zero_shot_head_work(const Request& request) { return make<Head>(request); }

}  // namespace radapt_bench
