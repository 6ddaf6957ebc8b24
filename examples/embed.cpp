/// Features of images or texts, as .npy. Proves: the same numbers as a reference, with --verify.
///
///     embed --model clip-vit-base-patch32 --images photos/ --out images.npy
///     embed --model clip-vit-base-patch32 --texts captions.txt --out texts.npy --verify reference.safetensors:features
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <optional>

#include "compiled_architectures.hpp"
#include "radapt/clip/session.hpp"
#include "radapt/io/image.hpp"
#include "radapt/io/npy.hpp"
#include "radapt/train/progress.hpp"
#include "support/checkpoint_model.hpp"
#include "support/command_line.hpp"
#include "support/device.hpp"
#include "support/difference.hpp"
#include "support/image_paths.hpp"
#include "support/outputs.hpp"

namespace {

constexpr std::size_t at_once = 32;

/// `FILE:TENSOR`, a tensor of a safetensors file.
struct TensorPlace {
  std::string file, tensor;
  explicit TensorPlace(const std::string& text) : file(text) {
    const std::size_t colon = text.rfind(':');
    if (colon == std::string::npos || colon == 0 || colon + 1 == text.size()) {
      radapt::fail({.what = "'" + text + "'",
                    .expected = "FILE:TENSOR, a safetensors file and one of its tensors",
                    .got = "no such pair",
                    .hint = ""});
    }
    file = text.substr(0, colon);
    tensor = text.substr(colon + 1);
  }
  template <class T>
  std::vector<T> read() const {
    return radapt::safetensors::open(file).read<T>(tensor);
  }
  /// The same, of at least one image (3, size, size). Error: another shape.
  template <class T>
  std::vector<T> read_images(std::uint64_t size) const {
    const auto checkpoint = radapt::safetensors::open(file);
    const auto values = checkpoint.read<T>(tensor);  // first: it says which tensors there are
    const std::vector<std::uint64_t>& shape = checkpoint.tensors().at(tensor).shape;
    if (shape.size() != 4 || shape[0] == 0 || shape[1] != 3 || shape[2] != size || shape[3] != size) {
      radapt::fail({.what = "pixels in '" + file + ":" + tensor + "'",
                    .expected = fmt::format("shape [N,3,{0},{0}] with at least one image", size),
                    .got = "shape " + radapt::safetensors::spell(shape),
                    .hint = "Prepared images, normalised, channels first"});
    }
    return values;
  }
};

struct Job {
  std::string model, vocabulary, texts, pixels, ids, out, verify, device;
  std::vector<std::string> images;
  std::optional<double> tolerance;
  bool normalise = false;

  template <class Arch>
  void operator()() const {
    example::on_device(device, [&]<class Backend>() { run<Arch, Backend>(); });
  }

 private:
  template <class Arch, class Backend>
  void run() const {
    using Model = radapt::Clip<Arch>;
    radapt::Session<Model, Backend> session(radapt::load_mapped<Model>(model));
    std::vector<float> features = !images.empty()   ? of_images<Model>(session)
                                  : !pixels.empty() ? of_pixels<Model>(session)
                                                    : of_captions<Model>(session);
    if (normalise) { session.normalize(features); }
    const std::size_t rows = features.size() / Arch::embed;
    xt::xtensor<float, 2> table = xt::zeros<float>({rows, static_cast<std::size_t>(Arch::embed)});
    std::copy(features.begin(), features.end(), table.begin());
    if (!verify.empty()) { compare(features, rows); }  // first, so that what fails is not left to be used
    radapt::save_npy(out, table);
    fmt::print("{}: {} x {}\n", out, rows, Arch::embed);
  }

  template <class Model>
  std::vector<float> of_images(auto& session) const {
    const std::vector<std::filesystem::path> paths = example::image_paths(images);
    const radapt::Preprocess prepare = example::preprocessing_of(model, Model::arch::image);
    std::vector<float> features(paths.size() * Model::arch::embed), prepared;
    radapt::Progress progress("embedding images", paths.size());
    for (std::size_t first = 0; first < paths.size(); first += at_once) {
      const std::size_t n = std::min(at_once, paths.size() - first);
      prepared.resize(n * Model::PixelRow::width);
      for (std::size_t i = 0; i < n; ++i) {
        prepare(radapt::open_image(paths[first + i]),
                std::span<float>(prepared).subspan(i * Model::PixelRow::width, Model::PixelRow::width));
      }
      session.encode_images(prepared,
                            std::span<float>(features).subspan(first * Model::arch::embed, n * Model::arch::embed));
      progress.advance(n);
    }
    return features;
  }
  template <class Model>
  std::vector<float> of_pixels(auto& session) const {
    const auto prepared = TensorPlace(pixels).read_images<float>(Model::arch::image);
    std::vector<float> features(prepared.size() / Model::PixelRow::width * Model::arch::embed);
    session.encode_images(prepared, features);
    return features;
  }
  template <class Model>
  std::vector<float> of_captions(auto& session) const {
    auto captions = radapt::Captions::of<Model>();
    constexpr radapt::Index context = Model::arch::context;
    if (!ids.empty()) {
      const auto rows = TensorPlace(ids).read<std::int64_t>();
      if (rows.empty() || rows.size() % context != 0) {
        radapt::fail({.what = "token ids in '" + ids + "'",
                      .expected = "rows of " + std::to_string(context),
                      .got = std::to_string(rows.size()) + " ids",
                      .hint = "Pad every row to the model's context"});
      }
      for (std::size_t i = 0; i < rows.size(); i += context) {
        captions.add(std::span<const std::int64_t>(rows).subspan(i, context));
      }
    } else {
      std::ifstream file(texts);
      if (!file || std::filesystem::is_directory(texts)) {
        radapt::fail({.what = "reading '" + texts + "'",
                      .expected = "a text file, one caption per line",
                      .got = file ? "a folder" : "no file that can be read",
                      .hint = ""});
      }
      const auto tokenizer = example::tokenizer_of<typename Model::arch>(model, vocabulary);
      std::size_t number = 0;
      for (std::string line; std::getline(file, line);) {
        ++number;
        if (line.ends_with('\r')) { line.pop_back(); }
        try {
          captions.add(tokenizer.context(line, context));
        } catch (const radapt::error& e) {
          radapt::fail({.what = fmt::format("line {} of '{}'", number, texts),
                        .expected = "a caption",
                        .got = "an error: " + example::words_of(e),
                        .hint = ""});
        }
      }
    }
    if (captions.size() == 0) {
      radapt::fail({.what = "reading '" + texts + "'",
                    .expected = "at least one caption, one per line",
                    .got = "an empty file",
                    .hint = ""});
    }
    std::vector<float> features(captions.size() * Model::arch::embed);
    radapt::Progress progress("embedding texts", captions.size());
    session.encode_texts(captions, features);
    progress.advance(captions.size());
    return features;
  }

  /// Prints how far the features are from the reference. Error: another number of values, or farther than allowed.
  void compare(const std::vector<float>& features, std::size_t rows) const {
    const auto expected = TensorPlace(verify).read<double>();
    if (expected.size() != features.size()) {
      radapt::fail({.what = "verifying against '" + verify + "'",
                    .expected = std::to_string(features.size()) + " values",
                    .got = std::to_string(expected.size()),
                    .hint = "The reference has the features of the same inputs, one row for each"});
    }
    const std::size_t width = features.size() / std::max<std::size_t>(rows, 1);
    double worst_cosine = 1;
    example::Difference d;
    for (std::size_t row = 0; row < rows; ++row) {
      double dot = 0, ours = 0, theirs = 0;
      for (std::size_t i = row * width; i < (row + 1) * width; ++i) {
        const auto x = static_cast<double>(features[i]);
        dot += x * expected[i];
        ours += x * x;
        theirs += expected[i] * expected[i];
        d.add(x, expected[i]);
      }
      const double cosine = dot / std::sqrt(ours * theirs);
      if (!(std::isnan(worst_cosine) || cosine >= worst_cosine)) { worst_cosine = cosine; }
    }
    fmt::print("{} rows: least cosine {:.9f}, max |difference| {:.2e}, {:.2e} of the largest value\n", rows,
               worst_cosine, d.most, d.share());
    if (tolerance && !d.within(*tolerance)) {
      radapt::fail({.what = "verifying against '" + verify + "'",
                    .expected = fmt::format("a difference of at most {:g} of the largest value", *tolerance),
                    .got = fmt::format("{:.2e}", d.share()),
                    .hint = ""});
    }
  }
};

}  // namespace

int main(int argc, char** argv) try {
  Job job;
  CLI::App app{"Embeds images or texts with a CLIP checkpoint, into float32 (rows, embed)", "embed"};
  app.add_option("--model", job.model, "Checkpoint folder (transformers or open_clip)")->required();
  app.add_option("--vocabulary", job.vocabulary, "Tokenizer folder or BPE file, if not beside the weights");
  auto* input = app.add_option_group("Input", "one of");
  input->add_option("--images", job.images, "Image files, and folders of them in the order of their paths");
  input->add_option("--texts", job.texts, "Text file, one caption per line");
  input->add_option("--pixels", job.pixels, "FILE:TENSOR, prepared images (N, 3, size, size) in a safetensors file");
  input->add_option("--ids", job.ids, "FILE:TENSOR, token ids (N, context) in a safetensors file");
  input->require_option(1);
  app.add_option("--out", job.out, "The .npy file")->required();
  example::add_device_option(app, job.device);
  app.add_flag("--normalize", job.normalise, "Features of length 1");
  auto* verify = app.add_option("--verify", job.verify, "FILE:TENSOR, the features expected, in a safetensors file");
  app.add_option("--tolerance", job.tolerance, "Fail if they differ by more than this share of the largest value")
      ->check(example::not_below_zero())
      ->needs(verify);
  if (const auto code = example::parse(app, argc, argv)) { return *code; }
  std::vector<std::filesystem::path> inputs(job.images.begin(), job.images.end());
  for (const std::string& text : {job.texts, job.pixels, job.ids, job.verify}) {
    inputs.emplace_back(text.substr(0, text.rfind(':')));
  }
  example::check_output_files({job.out}, inputs);
  example::with_architecture(example::RunArchitectures{}, job.model, job, example::add_an_architecture);
  return 0;
} catch (const std::exception& e) {
  fmt::print(stderr, "{}\n", e.what());
  return 1;
}
