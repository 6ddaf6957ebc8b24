#pragma once
/// What a worker can be asked to repeat, and how it is asked.
#include <array>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "radapt/clip/arch.hpp"
#include "radapt/core/error.hpp"

namespace radapt_bench {

using radapt::Index;

/// One work of one shape: what bench/compare asks of all workers of a row alike.
struct Request {
  std::string work;                  ///< a key of `works`
  std::string architecture;          ///< open_clip's name, such as ViT-B-32
  std::string precision = "f32";     ///< what weights and activations are stored and multiplied in
  Index batch = 1;                   ///< images, captions or pairs
  std::filesystem::path weights{};   ///< a safetensors file with open_clip's names
  std::filesystem::path pixels{};    ///< normalised pixels as plain floats: at least `batch` images
  std::filesystem::path captions{};  ///< JSON: captions, groups, and masks of the steps that are compared
  std::filesystem::path prompts{};   ///< JSON: prompts, and how many each class has
  std::filesystem::path pictures{};  ///< a folder that holds at least `batch` files *.jpg
};

/// A work with its memory taken. `run` is what is timed.
class Work {
 public:
  Work() = default;
  virtual ~Work() = default;
  Work(const Work&) = delete;
  Work& operator=(const Work&) = delete;

  virtual void run() = 0;
  /// What a run makes, and how many of them.
  virtual std::string unit() const = 0;
  virtual Index items() const = 0;
  /// Floating-point operations that the last run needed (bench/support/flops.hpp); 0 where that is not the measure.
  virtual double flops() const = 0;
  /// Numbers of the last output that another library must have as well.
  virtual std::vector<float> output() const = 0;
};

/// Works by name, each compiled in a source of its own.
std::unique_ptr<Work> image_work(const Request& request);
std::unique_ptr<Work> text_work(const Request& request);
std::unique_ptr<Work> zero_shot_head_work(const Request& request);
std::unique_ptr<Work> train_step_work(const Request& request);
std::unique_ptr<Work> merged_work(const Request& request);
std::unique_ptr<Work> load_image_work(const Request& request);
std::unique_ptr<Work> load_text_work(const Request& request);
std::unique_ptr<Work> read_file_work(const Request& request);
std::unique_ptr<Work> decode_work(const Request& request);
std::unique_ptr<Work> resize_work(const Request& request);
std::unique_ptr<Work> preprocess_work(const Request& request);

struct NamedWork {
  std::string_view name;
  std::unique_ptr<Work> (*make)(const Request&);
};
inline constexpr std::array<NamedWork, 11> works{{{"image", image_work},
                                                  {"text", text_work},
                                                  {"zero_shot_head", zero_shot_head_work},
                                                  {"train_step", train_step_work},
                                                  {"merged", merged_work},
                                                  {"load_image", load_image_work},
                                                  {"load_text", load_text_work},
                                                  {"read_file", read_file_work},
                                                  {"decode", decode_work},
                                                  {"resize", resize_work},
                                                  {"preprocess", preprocess_work}}};

/// Writes weights of our initialiser, with open_clip's names, below `folder`.
void export_weights(const std::string& architecture, const std::filesystem::path& folder);

/// What open_clip calls an architecture.
inline std::string name_of(radapt::arch::ViT_B_32) { return "ViT-B-32"; }
inline std::string name_of(radapt::arch::ViT_B_16) { return "ViT-B-16"; }
inline std::string name_of(radapt::arch::ViT_L_14) { return "ViT-L-14"; }

/// Calls f(Arch{}) for the architecture of that name out of those given. Error: none of them has it.
template <class... Archs, class F>
auto with_architecture(const Request& request, F&& f) {
  using Result = std::common_type_t<decltype(f(Archs{}))...>;
  Result result{};
  std::string known;
  const auto matches = [&]<class Arch>(Arch arch) {
    const std::string name = name_of(arch);
    known += (known.empty() ? "" : ", ") + name;
    if (name != request.architecture) { return false; }
    result = f(arch);
    return true;
  };
  if (!(matches(Archs{}) || ...)) {
    radapt::fail({.what = "work '" + request.work + "'",
                  .expected = "an architecture out of " + known,
                  .got = "'" + request.architecture + "'",
                  .hint = "Every architecture is compiled for itself; bench/worker/ says which"});
  }
  return result;
}

}  // namespace radapt_bench
