/// From the bytes of JPEG files to the pixels that a model reads: decoding, resizing, and both with normalisation.
#include <algorithm>
#include <fstream>
#include <iterator>
#include <span>

#include "bench/worker/work.hpp"
#include "radapt/clip/preprocess.hpp"
#include "radapt/io/jpeg.hpp"

namespace radapt_bench {
namespace {

using Bytes = std::vector<std::byte>;

/// The first `count` JPEG files of a folder in the order of their names, in memory.
std::vector<Bytes> read_pictures(const std::filesystem::path& folder, Index count) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".jpg") { paths.push_back(entry.path()); }
  }
  if (paths.size() < count) {
    radapt::fail({.what = "pictures in '" + folder.string() + "'",
                  .expected = std::to_string(count) + " files *.jpg",
                  .got = std::to_string(paths.size()),
                  .hint = "Give another folder or a smaller batch"});
  }
  std::sort(paths.begin(), paths.end());
  std::vector<Bytes> pictures;
  for (Index i = 0; i < count; ++i) {
    std::ifstream file(paths[i], std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const auto bytes = std::as_bytes(std::span(text));
    pictures.emplace_back(bytes.begin(), bytes.end());
  }
  return pictures;
}

/// Some bytes of every image, spread over it: what another library must have as well, bit for bit.
std::vector<float> sample(const std::vector<radapt::Image>& images) {
  std::vector<float> values;
  for (const auto& image : images) {
    const radapt::Image rgb = radapt::to_rgb(image);
    for (Index i = 0; i < rgb.pixels.size(); i += 499) { values.push_back(rgb.pixels[i]); }
  }
  return values;
}

class PictureWork : public Work {
 public:
  explicit PictureWork(const Request& request) : files_(read_pictures(request.pictures, request.batch)) {
    for (const Bytes& file : files_) { images_.push_back(radapt::jpeg::decode(file, "a picture")); }
  }
  std::string unit() const override { return "images"; }
  Index items() const override { return files_.size(); }
  double flops() const override { return 0; }

 protected:
  const radapt::Preprocess rules_ = radapt::Preprocess::openai();
  std::vector<Bytes> files_;
  std::vector<radapt::Image> images_;
};

class Decoding : public PictureWork {
 public:
  using PictureWork::PictureWork;
  void run() override {
    for (Index i = 0; i < files_.size(); ++i) { images_[i] = radapt::jpeg::decode(files_[i], "a picture"); }
  }
  std::vector<float> output() const override { return sample(images_); }
};

class Resizing : public PictureWork {
 public:
  explicit Resizing(const Request& request) : PictureWork(request), resized_(images_.size()) {}
  void run() override {
    for (Index i = 0; i < images_.size(); ++i) { resized_[i] = rules_.pixels(images_[i]); }
  }
  std::vector<float> output() const override { return sample(resized_); }

 private:
  std::vector<radapt::Image> resized_;
};

class Preprocessing : public PictureWork {
 public:
  explicit Preprocessing(const Request& request) : PictureWork(request), pixels_(files_.size() * rules_.elements()) {
    images_.clear();
  }
  void run() override {
    for (Index i = 0; i < files_.size(); ++i) {
      rules_(radapt::jpeg::decode(files_[i], "a picture"),
             std::span(pixels_).subspan(i * rules_.elements(), rules_.elements()));
    }
  }
  std::vector<float> output() const override {
    std::vector<float> values;
    for (Index i = 0; i < pixels_.size(); i += 499) { values.push_back(pixels_[i]); }
    return values;
  }

 private:
  std::vector<float> pixels_;
};

}  // namespace

std::unique_ptr<Work> decode_work(const Request& request) { return std::make_unique<Decoding>(request); }
std::unique_ptr<Work> resize_work(const Request& request) { return std::make_unique<Resizing>(request); }
std::unique_ptr<Work> preprocess_work(const Request& request) { return std::make_unique<Preprocessing>(request); }

}  // namespace radapt_bench
