/// Features of a folder of images or of the lines of a text file, as .npy. Proves: the same numbers as a reference,
/// with
/// `--verify REF.safetensors` (a tensor `features`, not normalised) printing cosine and largest difference.
///
///     embed --model clip-vit-base-patch32 --images photos/ --out images.npy
///     embed --model clip-vit-base-patch32 --texts captions.txt --out texts.npy --verify reference.safetensors
#include <algorithm>
#include <cmath>
#include <fstream>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "radapt/backend/onednn/all.hpp"
#include "radapt/clip/session.hpp"
#include "radapt/io/image.hpp"
#include "radapt/io/npy.hpp"
#include "radapt/train/progress.hpp"
#include "support/checkpoint_model.hpp"

namespace {

struct Job {
  std::string model, vocabulary, images, texts, out, verify;
  bool normalise = false;

  template <class Arch>
  void operator()() const {
    using Model = radapt::Clip<Arch>;
    const auto weights = radapt::load<Model>(model);
    radapt::Session<Model, radapt::onednn> session(weights);
    std::vector<float> features = images.empty() ? of_texts<Model>(session) : of_images<Model>(session);
    if (!verify.empty()) { compare(features); }
    if (normalise) { session.normalize(features); }
    const std::size_t rows = features.size() / Arch::embed;
    xt::xtensor<float, 2> table = xt::zeros<float>({rows, static_cast<std::size_t>(Arch::embed)});
    std::copy(features.begin(), features.end(), table.begin());
    radapt::save_npy(out, table);
    fmt::print("{}: {} x {}\n", out, rows, Arch::embed);
  }

 private:
  template <class Model>
  std::vector<float> of_images(radapt::Session<Model, radapt::onednn>& session) const {
    std::vector<std::filesystem::path> paths;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(images)) {
      std::string extension = entry.path().extension().string();
      std::transform(extension.begin(), extension.end(), extension.begin(),
                     [](unsigned char c) { return std::tolower(c); });
      if (extension == ".jpg" || extension == ".jpeg" || extension == ".png") { paths.push_back(entry.path()); }
    }
    std::sort(paths.begin(), paths.end());
    const auto prepare = example::preprocessing_of(model, Model::arch::image);
    std::vector<float> features(paths.size() * Model::arch::embed), pixels;
    radapt::Progress progress("embedding images", paths.size());
    for (std::size_t first = 0; first < paths.size(); first += 32) {
      const std::size_t n = std::min<std::size_t>(32, paths.size() - first);
      pixels.resize(n * Model::PixelRow::width);
      for (std::size_t i = 0; i < n; ++i) {
        prepare(radapt::open_image(paths[first + i]),
                std::span<float>(pixels).subspan(i * Model::PixelRow::width, Model::PixelRow::width));
      }
      session.encode_images(pixels,
                            std::span<float>(features).subspan(first * Model::arch::embed, n * Model::arch::embed));
      progress.advance(n);
    }
    return features;
  }
  template <class Model>
  std::vector<float> of_texts(radapt::Session<Model, radapt::onednn>& session) const {
    const auto tokenizer = example::tokenizer_of(model, vocabulary);
    auto captions = radapt::Captions::of<Model>();
    std::ifstream file(texts);
    if (!file) {
      radapt::fail({.what = "reading '" + texts + "'",
                    .expected = "a text file, one caption per line",
                    .got = "no such file",
                    .hint = ""});
    }
    for (std::string line; std::getline(file, line);) { captions.add(tokenizer.context(line, Model::arch::context)); }
    std::vector<float> features(captions.size() * Model::arch::embed);
    session.encode_texts(captions, features);
    return features;
  }
  void compare(const std::vector<float>& features) const {
    const auto file = radapt::safetensors::open(verify);
    const auto expected = file.read<double>("features");
    if (expected.size() != features.size()) {
      radapt::fail({.what = "verifying against '" + verify + "'",
                    .expected = std::to_string(features.size()) + " numbers in `features`",
                    .got = std::to_string(expected.size()),
                    .hint = ""});
    }
    double dot = 0, ours = 0, theirs = 0, most = 0;
    for (std::size_t i = 0; i < features.size(); ++i) {
      const double x = static_cast<double>(features[i]);
      dot += x * expected[i];
      ours += x * x;
      theirs += expected[i] * expected[i];
      most = std::max(most, std::abs(x - expected[i]));
    }
    fmt::print("cosine {:.9f}   max abs difference {:.3e}\n", dot / std::sqrt(ours * theirs), most);
  }
};

}  // namespace

int main(int argc, char** argv) try {
  Job job;
  CLI::App app{"Embeds images or texts with a CLIP checkpoint"};
  app.add_option("--model", job.model, "Checkpoint folder (transformers or open_clip)")->required();
  app.add_option("--vocabulary", job.vocabulary, "Tokenizer folder or BPE file, if not beside the weights");
  auto* images =
      app.add_option("--images", job.images, "Folder of .jpg and .png files, taken in the order of their paths");
  auto* texts = app.add_option("--texts", job.texts, "Text file, one caption per line");
  images->excludes(texts);
  app.add_option("--out", job.out, "The .npy file, float32 (rows, embed)")->required();
  app.add_option("--verify", job.verify, "A safetensors file with the expected `features`");
  app.add_flag("--normalize", job.normalise, "Write features of length 1");
  CLI11_PARSE(app, argc, argv);
  if (job.images.empty() == job.texts.empty()) {
    fmt::print(stderr, "radapt: embed: expected --images or --texts, got {}\n",
               job.images.empty() ? "neither" : "both");
    return 2;
  }
  example::with_architecture(job.model, job);
  return 0;
} catch (const std::exception& e) {
  fmt::print(stderr, "{}\n", e.what());
  return 1;
}
