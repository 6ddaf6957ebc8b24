/// Folds trained adapters into their base: a plain checkpoint that transformers or open_clip loads. Proves: the merged
/// model computes what the adapted one computes at alpha, and what was written is what was computed.
///
///     merge --base clip-vit-base-patch32 --adapter r_adapter.safetensors --alpha 0.5 --out robust-clip --origin hf
#include <cstring>

#include "compiled_architectures.hpp"
#include "radapt/backend/onednn/all.hpp"
#include "radapt/clip/merge.hpp"
#include "radapt/clip/session.hpp"
#include "radapt/io/adapter_file.hpp"
#include "radapt/io/tokenizer_files.hpp"
#include "support/checkpoint_model.hpp"
#include "support/command_line.hpp"
#include "support/difference.hpp"
#include "support/outputs.hpp"

namespace {

struct Job {
  std::filesystem::path base, adapter, out;
  double alpha = 0;
  std::string origin = "hf";
  bool any_base = false;

  template <class Arch>
  void operator()() const {
    using Plain = radapt::Clip<Arch>;
    const auto plain = radapt::load<Plain>(base);
    auto adapted = radapt::with_adapters<radapt::RAdapter<>>(plain);
    const radapt::AdapterFacts facts =
        radapt::load_adapters(adapter, adapted, {.expand_low_rank = true, .any_base = any_base});
    fmt::print("adapters of rank {}, {}\n", facts.rank,
               facts.averaged ? "averaged while training" : "of the last step");

    const radapt::Weights<Plain> merged = radapt::merge(alpha, adapted);
    prove<Arch>(adapted, merged);

    radapt::PreprocessConfig preprocess;
    if (std::filesystem::exists(base / "preprocessor_config.json") ||
        std::filesystem::exists(base / "open_clip_config.json")) {
      preprocess = radapt::read_preprocess_config(base);
    }
    const bool huggingface = origin == "hf";
    radapt::save(out, merged, huggingface ? radapt::names::Origin::huggingface : radapt::names::Origin::open_clip,
                 radapt::safetensors::DType::F32, preprocess);
    radapt::copy_tokenizer_files(base, out);
    const auto loaded = radapt::load<Plain>(out);
    const bool same =
        std::memcmp(loaded.buffer().data(), merged.buffer().data(), merged.buffer().size() * sizeof(float)) == 0;
    if (!same) {
      radapt::fail({.what = "reading '" + out.string() + "' again",
                    .expected = "the bits that were merged",
                    .got = "others",
                    .hint = "Did another program write to that folder?"});
    }
    fmt::print("{}: a plain CLIP under {} names, read again bit for bit\n", out.string(),
               huggingface ? "transformers'" : "open_clip's");
  }

 private:
  /// Compares the features of both on random pixels and captions. Error: they are not those of one model.
  template <class Arch>
  void prove(const auto& adapted, const radapt::Weights<radapt::Clip<Arch>>& merged) const {
    using Adapted = typename std::remove_cvref_t<decltype(adapted)>::model;
    radapt::Session<Adapted, radapt::onednn> before(adapted, {.images = 4, .captions = 4, .adapter_alpha = alpha});
    radapt::Session<radapt::Clip<Arch>, radapt::onednn> after(merged, {.images = 4, .captions = 4});
    constexpr radapt::Index count = 8;
    radapt::Random random(1);
    std::vector<float> pixels(count * radapt::Clip<Arch>::PixelRow::width);
    for (float& x : pixels) { x = static_cast<float>(random.normal()); }
    auto captions = radapt::Captions::of<radapt::Clip<Arch>>();
    for (radapt::Index i = 0; i < count; ++i) {
      std::vector<std::int64_t> ids{Arch::vocabulary - 2};
      for (radapt::Index t = 0; t < 2 + i; ++t) { ids.push_back(random.below(Arch::vocabulary - 2)); }
      ids.push_back(Arch::vocabulary - 1);
      captions.add(ids);
    }
    std::vector<float> a(count * Arch::embed), b(a.size());
    const auto compare = [&](const char* what) {
      example::Difference d;
      for (std::size_t i = 0; i < a.size(); ++i) { d.add(static_cast<double>(b[i]), static_cast<double>(a[i])); }
      fmt::print("max |{} features (merged) - (unmerged at alpha {:g})| = {:.2e}, of features up to {:.3g}\n", what,
                 alpha, d.most, d.largest);
      // Ten times what rounding to f32 was measured to do to merged features in the golden values; a bias that is left
      // unmerged does four times as much.
      if (!d.within(1e-4)) {
        radapt::fail({.what = std::string("checking the merged model's ") + what + " features",
                      .expected = "a difference below 1e-4 of the largest",
                      .got = fmt::format("{:.2e}", d.share()),
                      .hint = "This is a defect of radapt, or the adapters hold values that are not finite"});
      }
    };
    before.encode_images(pixels, a);
    after.encode_images(pixels, b);
    compare("image");
    before.encode_texts(captions, a);
    after.encode_texts(captions, b);
    compare("text");
  }
};

}  // namespace

int main(int argc, char** argv) try {
  Job job;
  CLI::App app{"Folds R-Adapters into the CLIP that they were trained with", "merge"};
  app.add_option("--base", job.base, "Checkpoint folder that was fine-tuned (transformers or open_clip)")->required();
  app.add_option("--adapter", job.adapter, "Adapter file, as fine_tune --save writes it")->required();
  app.add_option("--alpha", job.alpha, "How much of the adapters: 0 is the base, 1 all that was trained")->required();
  app.add_option("--out", job.out, "Folder for the merged checkpoint")->required();
  app.add_option("--origin", job.origin, "Whose names: hf (default) or open_clip")
      ->check(CLI::IsMember({"hf", "open_clip"}));
  app.add_flag("--any-base", job.any_base, "Merge although the adapters were trained with other frozen weights");
  if (const auto code = example::parse(app, argc, argv)) { return *code; }
  example::check_output_folder(job.out);
  example::with_architecture(example::RunArchitectures{}, job.base, job, example::add_an_architecture);
  return 0;
} catch (const std::exception& e) {
  fmt::print(stderr, "{}\n", e.what());
  return 1;
}
