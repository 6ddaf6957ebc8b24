#pragma once
/// What a study of fine-tuning works on, how long it trains, and what it finds out.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "radapt/core/random.hpp"
#include "radapt/core/shape.hpp"

#include "run_files.hpp"

namespace example {

using radapt::Index;

/// Images with their class ids. Small sets hold their pixels; others make them when they are asked for.
struct ImageSet {
  std::string name = {};
  std::vector<float> pixels = {};  ///< (images, 3 S S), normalised; empty where `read` is set
  std::vector<std::int32_t> labels = {};
  /// Writes the normalised pixels of an image, (3 S S). `draw` numbers the random crops of a training image. Several
  /// threads may call it.
  std::function<void(std::size_t image, std::uint64_t draw, std::span<float> out)> read = {};

  std::size_t size() const { return labels.size(); }
  void copy(std::size_t image, std::uint64_t draw, std::span<float> out) const {
    if (read) {
      read(image, draw, out);
    } else {
      const auto from = pixels.begin() + static_cast<std::ptrdiff_t>(image * out.size());
      std::copy(from, from + static_cast<std::ptrdiff_t>(out.size()), out.begin());
    }
  }
};

/// f(row) for every row of a batch, on several threads: rows must not share what they write. An error of one is thrown
/// when all are done.
template <class F>
void for_each_row(std::size_t rows, F&& f) {
  std::exception_ptr error;
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic)
#endif
  for (std::size_t row = 0; row < rows; ++row) {
    try {
      f(row);
    } catch (...) {
#ifdef _OPENMP
#pragma omp critical(for_each_row)
#endif
      error = std::current_exception();
    }
  }
  if (error) { std::rethrow_exception(error); }
}

/// Token ids of texts, one row per text, from start to end of text.
using Texts = std::vector<std::vector<std::int64_t>>;

/// What a study works on. Prompts are used for zero-shot heads, captions for contrastive training. Rates and alphas are
/// chosen on `validation` where there is one, never on the test sets.
struct StudyData {
  ImageSet train = {}, test = {}, validation = {};
  ImageSet train_as_tested = {};  ///< what is trained on, prepared as for a test; `train`, if empty
  std::vector<ImageSet> shifts = {};
  std::vector<std::string> class_names = {};
  std::vector<Texts> prompts = {};   ///< by class
  std::vector<Texts> captions = {};  ///< by class: one is drawn for every image and step
  /// Ids of a caption of a class that also names something spurious; empty where there are none.
  std::function<std::vector<std::int64_t>(std::int32_t label, std::uint64_t draw)> spurious = {};
};

/// One training step, for a log.
struct StepRecord {
  std::string method = {};
  std::uint64_t seed = 0, step = 0;
  double base_lr = 0, lr = 0, loss = 0, grad_norm = 0;
};

/// How long and how hard the methods train.
struct StudyOptions {
  std::uint64_t seed = 0;
  Index batch = 64;
  Index micro_batch = 0;  ///< images whose activations are alive at once; 0 is the whole batch
  std::uint64_t steps = 300;
  double full_lr = 1e-3;     ///< full fine-tuning
  double adapter_lr = 5e-3;  ///< R-Adapter
  double flyp_lr = 1e-3;     ///< FLYP
  /// Rates to choose from on the validation set, in place of the one above.
  std::vector<double> full_lrs = {}, adapter_lrs = {}, flyp_lrs = {};
  double tau = 0.01;       ///< temperature of R-Adapter's loss, CLIP's own; 0 takes the base's, 1 / exp(logit_scale)
  double momentum = 0.98;  ///< of the moving average; short runs need less than the published 0.999
  double alpha = 0.5;      ///< what is reported for the methods that have one, where there is no validation set
  bool quiet = false;
  std::function<void(const StepRecord&)> log = {};
  RunFiles* run_files = nullptr;  ///< keeps runs while they go on; null: nothing does
};

/// Accuracy in percent: on the test set of the training distribution, and on every shift.
struct Accuracies {
  double id = 0;
  std::vector<double> shifts = {};
  double ood() const {
    double sum = 0;
    for (const double x : shifts) { sum += x; }
    return shifts.empty() ? 0 : sum / static_cast<double>(shifts.size());
  }
};

struct CurvePoint {
  double alpha = 0;
  Accuracies accuracies = {};
  double validation = 0;  ///< percent; 0 without a validation set
};

/// A learning rate and the accuracy on the validation set that it led to, in percent.
struct TriedRate {
  double lr = 0, validation = 0;
};

/// One method's outcome. `curve` runs from zero-shot (alpha 0) to fully fine-tuned (1), where a method has such a line.
struct MethodResult {
  std::string name = {};
  std::string type = {};  ///< the C++ type that spells it
  Accuracies accuracies = {};
  std::vector<CurvePoint> curve = {};
  std::vector<double> losses = {};
  double seconds = 0;  ///< of the training that is reported
  std::size_t trained_parameters = 0;
  std::vector<std::int32_t> sample_predictions = {};  ///< of the first images of each shift, in order
  double lr = 0, alpha = 0;                           ///< as reported; 0 and a curve without points: has none
  std::vector<TriedRate> tried = {};                  ///< empty without a choice
};

inline double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Class ids with the largest score; scores are (images, classes).
inline std::vector<std::int32_t> predictions(std::span<const float> scores, std::size_t classes) {
  std::vector<std::int32_t> out;
  for (std::size_t i = 0; i + classes <= scores.size(); i += classes) {
    const auto row = scores.subspan(i, classes);
    out.push_back(static_cast<std::int32_t>(std::max_element(row.begin(), row.end()) - row.begin()));
  }
  return out;
}

inline double accuracy(const std::vector<std::int32_t>& predicted, const std::vector<std::int32_t>& labels) {
  std::size_t right = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) { right += predicted[i] == labels[i] ? 1U : 0U; }
  return labels.empty() ? 0 : 100.0 * static_cast<double>(right) / static_cast<double>(labels.size());
}

/// Draws batches without replacement: a new order every epoch, the same for the same seed.
class Sampler {
 public:
  Sampler(std::size_t samples, std::uint64_t seed) : order_(samples), seed_(seed) {
    for (std::size_t i = 0; i < samples; ++i) { order_[i] = i; }
    at_ = samples;
  }
  std::size_t next() {
    if (at_ >= order_.size()) {
      radapt::Random random(seed_, epoch_++);
      for (std::size_t i = order_.size(); i > 1; --i) {
        std::swap(order_[i - 1], order_[random.below(static_cast<std::uint32_t>(i))]);
      }
      at_ = 0;
    }
    return order_[at_++];
  }

 private:
  std::vector<std::size_t> order_;
  std::uint64_t seed_, epoch_ = 0;
  std::size_t at_ = 0;
};

}  // namespace example
