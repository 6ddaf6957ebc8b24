/// A process that does one work again and again when it is told to: our side of bench/compare.
///
/// One JSON object a line on the standard input, one a line as the answer; an answer with `error` says what was wrong,
/// and the worker lives on. bench/peers/protocol.py speaks the same:
///
///     {"command": "hello"}                              -> {"name", "versions", "works", "precisions"}
///     {"command": "export", "architecture", "folder"}   -> {}            writes weights with open_clip's names
///     {"command": "prepare", "work", "architecture", "batch", "precision", "threads", "weights", "pixels",
///      "captions", "prompts", "pictures"}               -> {"unit", "items"}   runs it once, too
///     {"command": "run", "least_seconds"}               -> {"seconds", "processor_seconds", "flops", "repetitions"},
///                                                          all of one repetition: means over as many as that takes
///     {"command": "check"}                              -> {"values"}    numbers of the last output
///     {"command": "memory"}                             -> {"running", "whole"}  peaks of resident bytes: since
///                                                          `prepare`, and of the process; of a GPU what the library
///                                                          has
///     {"command": "roofline", "threads", "precision"}   -> {"flops", "processor_flops"}  of one second of time
#include <omp.h>

#include <chrono>
#include <ctime>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "bench/support/roofline.hpp"
#include "bench/worker/precision.hpp"
#include "bench/worker/work.hpp"
#include "radapt/version.hpp"

namespace {

using nlohmann::json;
using radapt_bench::Index;

/// Seconds of the wall clock and of this process's threads.
struct Time {
  double seconds = 0, processor_seconds = 0;
  static Time now() {
    timespec used{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return {std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(),
            static_cast<double>(used.tv_sec) + 1e-9 * static_cast<double>(used.tv_nsec)};
  }
  Time operator-(const Time& other) const {
    return {seconds - other.seconds, processor_seconds - other.processor_seconds};
  }
};

/// The peak of resident bytes, by the kernel's account.
double peak_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) { return 1024.0 * std::stod(line.substr(6)); }
  }
  return 0;
}
/// Lets that peak begin anew. Where the kernel does not allow it, it stays that of the whole process.
void forget_peak() {
  std::ofstream refs("/proc/self/clear_refs");
  refs << "5\n";
}

class Worker {
 public:
  json answer(const json& message) {
    const std::string command = message.at("command");
    if (command == "hello") { return hello(); }
    if (command == "export") {
      radapt_bench::export_weights(message.at("architecture"), message.at("folder").get<std::string>());
      return json::object();
    }
    if (command == "prepare") { return prepare(message); }
    if (command == "run") { return run(message.value("least_seconds", 0.0)); }
    if (command == "check") { return {{"values", prepared().output()}}; }
    if (command == "memory") {
#ifdef RADAPT_BENCH_CUDA
      const auto on_gpu = static_cast<double>(radapt::cuda::memory_taken());
      return {{"running", on_gpu}, {"whole", on_gpu}};
#else
      const double running = peak_bytes();
      return {{"running", running}, {"whole", std::max(running, before_running_)}};
#endif
    }
    if (command == "roofline") { return roofline(message); }
    radapt::fail({.what = "a command of a worker",
                  .expected = "hello, export, prepare, run, check, memory or roofline",
                  .got = "'" + command + "'",
                  .hint = {}});
  }

 private:
  /// The library that our products go through, or the GPU.
  static std::pair<std::string, std::string> library() {
#ifdef RADAPT_BENCH_CUDA
    return {"GPU", radapt::cuda_availability().reason};
#else
    const dnnl_version_t* onednn = dnnl_version();
    return {"oneDNN",
            std::to_string(onednn->major) + '.' + std::to_string(onednn->minor) + '.' + std::to_string(onednn->patch)};
#endif
  }
  static json hello() {
    const auto [library_name, library_version] = library();
    json names = json::array();
    for (const auto& work : radapt_bench::works) { names.push_back(work.name); }
    return {{"name", "radapt"},
            {"versions",
             {{"radapt", std::to_string(RADAPT_VERSION_MAJOR) + '.' + std::to_string(RADAPT_VERSION_MINOR) + '.' +
                             std::to_string(RADAPT_VERSION_PATCH)},
              {library_name, library_version},
              {"compiler", __VERSION__}}},
            {"works", names},
            {"precisions", radapt_bench::multiplies_bf16() ? json{"f32", "bf16"} : json{"f32"}}};
  }

  static void check_precision(const std::string& precision, bool bf16_is_known) {
    if (precision == "f32" || (precision == "bf16" && bf16_is_known && radapt_bench::multiplies_bf16())) { return; }
    radapt::fail({.what = "precision of a work",
                  .expected = "f32; or bf16 of image, merged, text, zero_shot_head and train_step, on a processor that multiplies bf16",
                  .got = "'" + precision + "'",
                  .hint = {}});
  }

  json prepare(const json& message) {
    work_.reset();
    radapt_bench::Request request{.work = message.at("work"),
                                  .architecture = message.at("architecture"),
                                  .precision = message.value("precision", "f32"),
                                  .batch = message.at("batch"),
                                  .weights = message.at("weights").get<std::string>(),
                                  .pixels = message.value("pixels", ""),
                                  .captions = message.value("captions", ""),
                                  .prompts = message.value("prompts", ""),
                                  .pictures = message.value("pictures", "")};
    check_precision(request.precision, radapt_bench::knows_bf16(request.work));
    omp_set_num_threads(message.value("threads", 1));
    for (const auto& [name, make] : radapt_bench::works) {
      if (name == request.work) { work_ = make(request); }
    }
    if (!work_) {
      radapt::fail(
          {.what = "a work", .expected = hello()["works"].dump(), .got = "'" + request.work + "'", .hint = {}});
    }
    work_->run();
    before_running_ = peak_bytes();
    forget_peak();
    return {{"unit", work_->unit()}, {"items", work_->items()}};
  }

  json run(double least_seconds) {
    radapt_bench::Work& work = prepared();
    const Time begin = Time::now();
    Time passed;
    double flops = 0;
    int repetitions = 0;
    do {
      work.run();
      flops += work.flops();
      ++repetitions;
      passed = Time::now() - begin;
    } while (passed.seconds < least_seconds);
    return {{"seconds", passed.seconds / repetitions},
            {"processor_seconds", passed.processor_seconds / repetitions},
            {"flops", flops / repetitions},
            {"repetitions", repetitions}};
  }

  /// The best rates of a product of every size, each repeated for a third of a second.
  static json roofline(const json& message) {
    const std::string precision = message.value("precision", "f32");
    check_precision(precision, true);
    omp_set_num_threads(message.value("threads", 1));
    return precision == "bf16" ? best_product<radapt_bench::InBf16>() : best_product<radapt_bench::InFloat>();
  }
  template <class Backend>
  static json best_product() {
    double rate = 0, processor_rate = 0;
    for (const auto& size : radapt_bench::roofline_sizes) {
      radapt_bench::Product<Backend> product(size.rows, size.in, size.out);
      product();
      const Time begin = Time::now();
      for (Time before = begin; (before - begin).seconds < 0.3;) {
        product();
        const Time after = Time::now();
        rate = std::max(rate, product.flops() / (after - before).seconds);
        processor_rate = std::max(processor_rate, product.flops() / (after - before).processor_seconds);
        before = after;
      }
    }
    return {{"flops", rate}, {"processor_flops", processor_rate}};
  }

  radapt_bench::Work& prepared() const {
    if (!work_) { radapt::fail({.what = "a worker", .expected = "prepare", .got = "no work yet", .hint = {}}); }
    return *work_;
  }

  std::unique_ptr<radapt_bench::Work> work_;
  double before_running_ = 0;
};

}  // namespace

int main() {
  Worker worker;
  for (std::string line; std::getline(std::cin, line);) {
    json answer;
    try {
      answer = worker.answer(json::parse(line));
    } catch (const std::exception& e) { answer = {{"error", e.what()}}; }
    std::cout << answer.dump() << std::endl;
  }
  return 0;
}
