/// Loading a checkpoint against just reading its file: ViT-B/32 with random weights, written to a temporary folder
/// first.
///
/// Columns: `bytes/s` of the file; `of_reading` the share of the rate at which the same file is read into memory in
/// this run by large calls of read() into new memory. All of it from the page cache: the disk is not what is measured.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/support/inputs.hpp"
#include "radapt/io/load.hpp"
#include "support/temporary_folder.hpp"

namespace {

using radapt::Index;
using Model = radapt::Clip<radapt::arch::ViT_B_32>;
using Clock = std::chrono::steady_clock;

/// Reads a whole file into new memory, eight megabytes a call.
void read_file(const std::filesystem::path& path, std::size_t bytes) {
  constexpr std::size_t piece = std::size_t{8} << 20;
  const auto memory = std::make_unique_for_overwrite<char[]>(bytes);
  const int file = ::open(path.c_str(), O_RDONLY);
  std::size_t done = 0;
  while (done < bytes) {
    const ssize_t n = ::read(file, memory.get() + done, std::min(piece, bytes - done));
    if (n <= 0) { break; }
    done += static_cast<std::size_t>(n);
  }
  ::close(file);
  if (done != bytes) { throw std::runtime_error("cannot read '" + path.string() + "'"); }
  benchmark::DoNotOptimize(memory.get());
}

/// One checkpoint: its folder, its weights' file, and the best rate of reading it.
struct Checkpoint {
  std::string title;
  std::filesystem::path folder, file;
  std::size_t bytes = 0;
  double reading = 0;  ///< bytes/s
};

Checkpoint write_checkpoint(const std::filesystem::path& root, const std::string& title, radapt::names::Origin origin,
                            radapt::safetensors::DType type) {
  Checkpoint made{title, root / title, {}};
  radapt::save(made.folder, radapt_bench::random_weights<Model>(), origin, type);
  for (const auto& entry : std::filesystem::directory_iterator(made.folder)) {
    if (entry.path().extension() == ".safetensors") { made.file = entry.path(); }
  }
  made.bytes = std::filesystem::file_size(made.file);
  for (int i = 0; i < 5; ++i) {
    const auto begin = Clock::now();
    read_file(made.file, made.bytes);
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    made.reading = std::max(made.reading, static_cast<double>(made.bytes) / seconds);
  }
  return made;
}

void tell(benchmark::State& state, const Checkpoint& checkpoint, Clock::time_point begin) {
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  const double rate = static_cast<double>(state.iterations()) * static_cast<double>(checkpoint.bytes) / seconds;
  state.counters["bytes/s"] = rate;
  state.counters["of_reading"] = rate / checkpoint.reading;
}

void reading(benchmark::State& state, const Checkpoint& checkpoint) {
  const auto begin = Clock::now();
  for (auto _ : state) { read_file(checkpoint.file, checkpoint.bytes); }
  tell(state, checkpoint, begin);
}
void loading(benchmark::State& state, const Checkpoint& checkpoint) {
  const auto begin = Clock::now();
  for (auto _ : state) { benchmark::DoNotOptimize(radapt::load<Model>(checkpoint.folder).buffer().data()); }
  tell(state, checkpoint, begin);
}

}  // namespace

int main(int argc, char** argv) try {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) { return 2; }
  const radapt_test::TemporaryFolder root;
  using radapt::names::Origin;
  using radapt::safetensors::DType;
  std::vector<Checkpoint> checkpoints;
  checkpoints.push_back(write_checkpoint(root.path(), "open_clip F32", Origin::open_clip, DType::F32));
  checkpoints.push_back(write_checkpoint(root.path(), "transformers F32", Origin::huggingface, DType::F32));
  checkpoints.push_back(write_checkpoint(root.path(), "open_clip F16", Origin::open_clip, DType::F16));
  radapt_bench::drawn_weights = {};  // 600 MB that nothing below needs
  for (const Checkpoint& checkpoint : checkpoints) {
    const auto add = [&](const std::string& what, auto run) {
      benchmark::RegisterBenchmark((what + "/" + checkpoint.title).c_str(),
                                   [run, &checkpoint](benchmark::State& state) { run(state, checkpoint); })
          ->Unit(benchmark::kMillisecond)
          ->UseRealTime();
    };
    add("read", reading);
    add("load", loading);
  }
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
} catch (const std::exception& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return 1;
}
