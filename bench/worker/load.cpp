/// From a file to the first features; just reading that file; and writing it.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "bench/worker/files.hpp"
#include "bench/worker/precision.hpp"
#include "bench/worker/work.hpp"
#include "radapt/clip/initialise.hpp"
#include "radapt/clip/session.hpp"
#include "radapt/io/load_mapped.hpp"

namespace radapt_bench {
namespace {

/// Loads a checkpoint and encodes one image or one caption, all anew in every run.
template <class Model, bool OfImage>
class FirstFeatures : public Work {
 public:
  explicit FirstFeatures(const Request& request)
      : weights_(request.weights),
        pixels_(read_floats(request.pixels, Model::PixelRow::width)),
        captions_(captions_of<Model>(read_json(request.captions)["captions"], 1)),
        features_(Model::arch::embed) {}
  void run() override {
    radapt::Session<Model, InFloat> session(radapt::load_mapped<Model>(weights_), {.images = 1, .captions = 1});
    if constexpr (OfImage) {
      session.encode_images(pixels_, features_);
    } else {
      session.encode_texts(captions_, features_);
    }
  }
  std::string unit() const override { return "loads"; }
  Index items() const override { return 1; }
  double flops() const override { return 0; }
  std::vector<float> output() const override { return features_; }

 private:
  std::filesystem::path weights_;
  std::vector<float> pixels_;
  radapt::Captions captions_;
  std::vector<float> features_;
};

/// Reads the file into new memory, eight megabytes a call: the least that a loader does.
class FileReading : public Work {
 public:
  explicit FileReading(const Request& request)
      : path_(request.weights), bytes_(std::filesystem::file_size(request.weights)) {}
  void run() override {
    constexpr std::size_t piece = std::size_t{8} << 20;
    const auto memory = std::make_unique_for_overwrite<char[]>(bytes_);
    const int file = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    std::size_t done = 0;
    for (ssize_t n = 1; done < bytes_ && n > 0; done += n > 0 ? static_cast<std::size_t>(n) : 0) {
      n = ::read(file, memory.get() + done, std::min(piece, bytes_ - done));
    }
    if (file >= 0) { ::close(file); }
    if (done != bytes_) {
      radapt::fail({.what = "reading '" + path_.string() + "'",
                    .expected = std::to_string(bytes_) + " bytes",
                    .got = std::to_string(done),
                    .hint = {}});
    }
    last_ = memory[bytes_ - 1];
  }
  std::string unit() const override { return "loads"; }
  Index items() const override { return 1; }
  double flops() const override { return 0; }
  std::vector<float> output() const override { return {}; }

 private:
  std::filesystem::path path_;
  std::size_t bytes_;
  volatile char last_ = 0;  ///< so that no compiler leaves the reading out
};

template <class Arch>
bool write_weights(const std::filesystem::path& folder) {
  radapt::Weights<radapt::Clip<Arch>> weights;
  radapt::initialise_clip(weights, /*seed=*/1);
  radapt::save(folder, weights);
  return true;
}

template <bool OfImage>
std::unique_ptr<Work> load_work(const Request& request) {
  return with_architecture<radapt::arch::ViT_B_32, radapt::arch::ViT_L_14>(
      request, [&]<class Arch>(Arch) -> std::unique_ptr<Work> {
        return std::make_unique<FirstFeatures<radapt::Clip<Arch>, OfImage>>(request);
      });
}

}  // namespace

std::unique_ptr<Work> load_image_work(const Request& request) { return load_work<true>(request); }
std::unique_ptr<Work> load_text_work(const Request& request) { return load_work<false>(request); }
std::unique_ptr<Work> read_file_work(const Request& request) { return std::make_unique<FileReading>(request); }

void export_weights(const std::string& architecture, const std::filesystem::path& folder) {
  const Request request{.work = "export", .architecture = architecture};
  with_architecture<radapt::arch::ViT_B_32, radapt::arch::ViT_B_16, radapt::arch::ViT_L_14>(
      request, [&]<class Arch>(Arch) { return write_weights<Arch>(folder); });
}

}  // namespace radapt_bench
