/// Zero-shot classification of image files with any CLIP checkpoint. Proves: labels in, probabilities out, no Python.
///
///     zero_shot --model clip-vit-base-patch32 --labels "cat,dog,llama" photo1.jpg photo2.png
#include <algorithm>
#include <cmath>
#include <numeric>

#include "compiled_architectures.hpp"
#include "radapt/backend/onednn/all.hpp"
#include "radapt/clip/zero_shot.hpp"
#include "radapt/io/image.hpp"
#include "support/checkpoint_model.hpp"
#include "support/command_line.hpp"

namespace {

struct Job {
  std::string model, vocabulary;
  std::vector<std::string> labels, templates{"a photo of a {}."}, images;

  template <class Arch>
  void operator()() const {
    using Model = radapt::Clip<Arch>;
    const auto tokenizer = example::tokenizer_of<Arch>(model, vocabulary);
    const auto prepare = example::preprocessing_of(model, Arch::image);
    radapt::Session<Model, radapt::onednn> session(radapt::load_mapped<Model>(model), {.images = 1});

    auto prompts = radapt::Captions::of<Model>();
    for (const std::string& label : labels) {
      for (const std::string& text : templates) {
        prompts.add(tokenizer.context(radapt::fill_template(text, label), Arch::context));
      }
    }
    const auto head =
        radapt::zero_shot_weights(session, prompts, std::vector<radapt::Index>(labels.size(), templates.size()));

    std::vector<float> pixels(Model::PixelRow::width), image(Arch::embed);
    for (const std::string& path : images) {
      prepare(radapt::open_image(path), pixels);
      session.encode_images(pixels, image);
      session.normalize(image);
      std::vector<double> p(labels.size());
      for (std::size_t c = 0; c < p.size(); ++c) {
        double cosine = 0;
        for (std::size_t e = 0; e < Arch::embed; ++e) {
          cosine += static_cast<double>(image[e] * head[c * Arch::embed + e]);
        }
        p[c] = static_cast<double>(session.scale()) * cosine;
      }
      if (!std::all_of(p.begin(), p.end(), [](double x) { return std::isfinite(x); })) {
        radapt::fail({.what = "'" + path + "'",
                      .expected = "logits that are finite",
                      .got = "others",
                      .hint = "Does the checkpoint hold values that are no numbers?"});
      }
      const double most = *std::max_element(p.begin(), p.end());
      for (double& x : p) { x = std::exp(x - most); }
      const double sum = std::accumulate(p.begin(), p.end(), 0.0);
      fmt::print("{}\n", path);
      std::vector<std::size_t> order(p.size());
      std::iota(order.begin(), order.end(), std::size_t{0});
      std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return p[a] > p[b]; });
      for (const std::size_t c : order) { fmt::print("  {:6.2f} %  {}\n", 100 * p[c] / sum, labels[c]); }
    }
  }
};

}  // namespace

int main(int argc, char** argv) try {
  Job job;
  CLI::App app{"Zero-shot classification with a CLIP checkpoint", "zero_shot"};
  app.add_option("--model", job.model, "Checkpoint folder (transformers or open_clip)")->required();
  app.add_option("--vocabulary", job.vocabulary, "Tokenizer folder or BPE file, if not beside the weights");
  // Without allow_extra_args(false) an option of several values takes the images that follow it, too.
  app.add_option("--labels", job.labels, "Class names, separated by commas")
      ->required()
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_option("--template", job.templates, "Prompt template with {} for the name; given several times, averaged")
      ->allow_extra_args(false);
  app.add_option("images", job.images, "Image files")->required();
  if (const auto code = example::parse(app, argc, argv)) { return *code; }
  example::with_architecture(example::RunArchitectures{}, job.model, job, example::add_an_architecture);
  return 0;
} catch (const std::exception& e) {
  fmt::print(stderr, "{}\n", e.what());
  return 1;
}
