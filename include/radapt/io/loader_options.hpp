#pragma once
/// How a loader goes through its samples, what it hands out, and what it reports.
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "radapt/clip/preprocess.hpp"

namespace radapt {

/// A sample that could not be read, decoded or preprocessed, and was passed over.
struct SkippedSample {
  Index sample = 0;         ///< position in the source
  std::uint64_t epoch = 0;  ///< in which it was met
  std::string name{}, reason{};
};

/// The settings of a loader. What is handed out depends on the source, the preprocessing, `seed` and the settings of
/// order and batch alone; `threads` and `ahead` change nothing but time and memory.
struct LoaderOptions {
  Index batch = 32;                                ///< samples of a batch
  bool shuffle = false;                            ///< a new order in each epoch; else the source's
  bool drop_last = false;                          ///< leave out an epoch's last batch when it is not full
  std::uint64_t seed = 0;                          ///< of order, crops and choice of captions
  std::uint64_t first_epoch = 0;                   ///< number of the first epoch, for runs that go on; below 2^31
  std::uint64_t epochs = 1;                        ///< how many are handed out; 0: without end
  std::optional<RandomResizedCrop> random_crop{};  ///< augmentation for training; without it, the evaluation chain
  bool random_caption = false;                     ///< of several captions, one drawn for each epoch; else the first
  DecodeOptions decode{};
  unsigned threads = 0;      ///< that decode; 0: one for each processor
  Index ahead = 0;           ///< samples decoded before they are asked for, which bounds the memory; 0: two batches
  Index most_skipped = 100;  ///< more unreadable samples than these are an error
  std::function<void(const SkippedSample&)> on_skip{};  ///< told of each, in order, by the thread that calls `next`;
                                                        ///< empty: a line on the standard error stream
};

/// Samples ready for a model. Memory is used again from batch to batch.
struct ImageBatch {
  std::vector<float> pixels;          ///< (N, 3, size, size), normalised
  std::vector<std::int32_t> labels;   ///< (N), -1 where a sample has none
  std::vector<std::int32_t> groups;   ///< (N), likewise
  std::vector<std::string> captions;  ///< (N), empty where a sample has none
  std::vector<Index> samples;         ///< (N), positions in the source
  std::uint64_t epoch = 0;
  Index size() const { return samples.size(); }
};

}  // namespace radapt
