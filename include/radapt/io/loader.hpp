#pragma once
/// Batches of pixels and labels, decoded by several threads and the same whatever their number.
#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "radapt/core/random.hpp"
#include "radapt/io/image.hpp"
#include "radapt/io/loader_options.hpp"
#include "radapt/io/sample_source.hpp"

namespace radapt {

/// Goes through a source epoch by epoch. Threads take the next sample in order, decode and preprocess it into one of
/// `ahead` slots, and wait when all are full: memory is bounded by ahead * 3 * size * size floats and the images that
/// are being decoded. `next` gathers the slots in order, so that a batch has the same samples and bits for any number
/// of threads. Draws come from Philox by (seed, epoch, sample), the order from (seed, epoch).
///
/// A sample that fails with an error of radapt is named, counted and passed over, and the batch is filled with the next
/// one. Any other exception is handed to the caller of `next`, at its place in the order, and ends the loading. A
/// loader is used by one thread; destroying it in the middle of an epoch stops the others.
class Loader {
 public:
  /// `source` is anything that is a sample_source; it must outlive the loader. Errors: no samples, more than 2^32 - 1
  /// of them, options out of range, preprocessing or crop settings that do not work.
  template <sample_source Source>
  Loader(const Source& source, const Preprocess& preprocess, LoaderOptions options = {})
      : read_([&source](Index i) { return source.read(i); }),
        name_([&source](Index i) { return std::string(source.name(i)); }),
        count_(source.size()),
        preprocess_(preprocess),
        options_(std::move(options)) {
    start();
  }
  /// It would be gone: give it a name, so that it outlives the loader.
  template <sample_source Source>
  Loader(const Source&&, const Preprocess&, LoaderOptions = {}) = delete;
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;
  ~Loader() { stop(); }

  /// Fills `batch` with the next samples; false when all epochs are through. A batch never mixes epochs; only the last
  /// of an epoch may be smaller than `batch`. Errors: too many unreadable samples, an epoch without a readable one, and
  /// whatever a worker or `on_skip` throws; after a worker's exception every call throws it again.
  bool next(ImageBatch& batch) {
    while (true) {
      batch.pixels.clear();
      batch.labels.clear();
      batch.groups.clear();
      batch.captions.clear();
      batch.samples.clear();
      if (options_.epochs != 0 && taken_ == options_.epochs * count_) { return false; }
      if (taken_ % count_ == 0) { batches_of_epoch_ = 0; }
      batch.epoch = epoch_of(taken_);
      gather(batch);
      if (batch.size() == options_.batch || (batch.size() > 0 && !options_.drop_last)) {
        ++batches_of_epoch_;
        return true;
      }
      // The epoch ended before there was a batch to hand out.
      if (batches_of_epoch_ == 0) {
        fail({.what = "loading epoch " + std::to_string(batch.epoch),
              .expected = options_.drop_last ? "readable samples for a full batch" : "at least one readable sample",
              .got = std::to_string(batch.size()) + " of " + std::to_string(count_),
              .hint = skipped_.empty() ? std::string() : skipped_.back().reason});
      }
    }
  }

  /// Every unreadable sample met so far, in the order in which they were met.
  const std::vector<SkippedSample>& skipped() const { return skipped_; }
  /// Samples in the source.
  Index size() const { return count_; }
  /// Full and partial batches of an epoch in which every sample is readable.
  Index batches_per_epoch() const {
    return options_.drop_last ? count_ / options_.batch : (count_ + options_.batch - 1) / options_.batch;
  }
  const LoaderOptions& options() const { return options_; }

 private:
  /// Where a worker leaves a sample. A worker owns it from claiming a position to setting `ready`, the caller of `next`
  /// from then to `release`; both changes happen under the mutex.
  struct Slot {
    bool ready = false;
    Index sample = 0;
    std::vector<float> pixels;
    std::int32_t label = -1, group = -1;
    std::string caption, name, reason;  // a reason makes it unreadable
    std::exception_ptr exception;
  };

  void start() {
    const auto refuse = [](const std::string& expected, const std::string& got) {
      fail({.what = "opening a loader", .expected = expected, .got = got, .hint = {}});
    };
    if (count_ == 0 || count_ >> 32 != 0) { refuse("1 to 2^32 - 1 samples", std::to_string(count_)); }
    if (options_.batch == 0) { refuse("a batch of at least one sample", "0"); }
    if (options_.first_epoch >> 31 != 0 || options_.epochs >> 31 != 0) {
      refuse("epochs below 2^31", std::to_string(options_.first_epoch) + " and " + std::to_string(options_.epochs));
    }
    if (options_.drop_last && count_ < options_.batch) {
      refuse("a full batch, as drop_last leaves out all others",
             std::to_string(count_) + " samples for a batch of " + std::to_string(options_.batch));
    }
    try_preprocessing();
    if (options_.ahead == 0) { options_.ahead = 2 * options_.batch; }
    if (options_.threads == 0) { options_.threads = std::max(1U, std::thread::hardware_concurrency()); }
    slots_.resize(options_.ahead);
    try {
      for (unsigned t = 0; t < options_.threads; ++t) {
        threads_.emplace_back([this] { work(); });
      }
    } catch (...) {
      stop();
      throw;
    }
  }
  /// Settings that cannot work would make every sample unreadable; they are found out here, on a grey square.
  void try_preprocessing() const {
    std::vector<float> pixels(preprocess_.elements());
    const Image square = zero_image(8, 8, PixelMode::rgb);
    preprocess_(square, pixels);
    if (options_.random_crop) {
      preprocess_(
          square, *options_.random_crop, [] { return 0.5; }, pixels);
    }
  }
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    room_.notify_all();
    for (std::thread& thread : threads_) { thread.join(); }
    threads_.clear();
  }

  std::uint64_t epoch_of(std::uint64_t position) const { return options_.first_epoch + position / count_; }

  /// The order of an epoch, kept for the one that samples are claimed in. Under the mutex.
  Index sample_at(std::uint64_t position) {
    const Index within = static_cast<Index>(position % count_);
    if (!options_.shuffle) { return within; }
    const std::uint64_t epoch = epoch_of(position);
    if (order_.empty() || order_epoch_ != epoch) {
      order_.resize(count_);
      for (Index i = 0; i < count_; ++i) { order_[i] = static_cast<std::uint32_t>(i); }
      Random random(options_.seed, ~epoch);  // the streams of samples begin with an epoch below 2^32 - 1
      for (Index i = count_ - 1; i > 0; --i) {
        std::swap(order_[i], order_[random.below(static_cast<std::uint32_t>(i + 1))]);
      }
      order_epoch_ = epoch;
    }
    return order_[within];
  }

  void work() {
    std::unique_lock lock(mutex_);
    while (true) {
      room_.wait(lock, [this] { return stopping_ || all_claimed() || claimed_ < released_ + options_.ahead; });
      if (stopping_ || all_claimed()) { return; }
      const std::uint64_t position = claimed_++;
      Slot& slot = slots_[static_cast<Index>(position % options_.ahead)];
      try {
        slot.sample = sample_at(position);
      } catch (...) { slot.exception = std::current_exception(); }
      lock.unlock();
      if (!slot.exception) { prepare(slot, epoch_of(position)); }
      lock.lock();
      slot.ready = true;
      filled_.notify_one();
    }
  }
  bool all_claimed() const { return options_.epochs != 0 && claimed_ == options_.epochs * count_; }

  void prepare(Slot& slot, std::uint64_t epoch) const {
    try {
      slot.name = name_(slot.sample);
      try {
        Random random(options_.seed, epoch << 32 | slot.sample);
        const float choice = random.uniform();  // always drawn, so that captions do not move the crop
        RawSample raw = read_(slot.sample);
        const Image image = decode_image(raw.image, slot.name, options_.decode);
        slot.pixels.resize(preprocess_.elements());
        if (options_.random_crop) {
          preprocess_(
              image, *options_.random_crop, [&random] { return random.uniform(); }, slot.pixels);
        } else {
          preprocess_(image, slot.pixels);
        }
        slot.label = raw.label;
        slot.group = raw.group;
        slot.caption.clear();
        if (!raw.captions.empty()) {
          const auto captions = static_cast<double>(raw.captions.size());
          const auto drawn = options_.random_caption ? static_cast<Index>(static_cast<double>(choice) * captions) : 0;
          slot.caption = std::move(raw.captions[drawn]);
        }
      } catch (const error& problem) { slot.reason = problem.what(); }
    } catch (...) { slot.exception = std::current_exception(); }
  }

  /// Takes samples until the batch is full or the epoch ends.
  void gather(ImageBatch& batch) {
    do {
      Slot& slot = wait_for(taken_);
      if (slot.exception) { std::rethrow_exception(slot.exception); }
      const bool readable = slot.reason.empty();
      if (readable) {
        batch.pixels.insert(batch.pixels.end(), slot.pixels.begin(), slot.pixels.end());
        batch.labels.push_back(slot.label);
        batch.groups.push_back(slot.group);
        batch.captions.push_back(std::move(slot.caption));
        batch.samples.push_back(slot.sample);
      } else {
        skipped_.push_back(
            {.sample = slot.sample, .epoch = batch.epoch, .name = slot.name, .reason = std::move(slot.reason)});
      }
      release();
      if (!readable) { report_skipped(); }
    } while (batch.size() < options_.batch && taken_ % count_ != 0);
  }

  Slot& wait_for(std::uint64_t position) {
    Slot& slot = slots_[static_cast<Index>(position % options_.ahead)];
    std::unique_lock lock(mutex_);
    filled_.wait(lock, [&slot] { return slot.ready; });
    return slot;
  }
  /// Gives the slot of the sample just taken back to the workers.
  void release() {
    {
      const std::lock_guard lock(mutex_);
      Slot& slot = slots_[static_cast<Index>(taken_ % options_.ahead)];
      slot.ready = false;
      slot.reason.clear();
      ++released_;
    }
    ++taken_;
    room_.notify_one();
  }

  void report_skipped() {
    const SkippedSample& last = skipped_.back();
    if (options_.on_skip) {
      options_.on_skip(last);
    } else {
      std::fprintf(stderr, "radapt: left out sample %s: %s\n", last.name.c_str(), last.reason.c_str());
    }
    if (skipped_.size() > options_.most_skipped) {
      fail({.what = "loading",
            .expected = "at most " + std::to_string(options_.most_skipped) + " unreadable samples",
            .got = "one more, " + last.name,
            .hint = last.reason});
    }
  }

  std::function<RawSample(Index)> read_;
  std::function<std::string(Index)> name_;
  Index count_;
  Preprocess preprocess_;
  LoaderOptions options_;

  // Of the caller of `next`.
  std::uint64_t taken_ = 0;  ///< samples taken out of slots, over all epochs
  Index batches_of_epoch_ = 0;
  std::vector<SkippedSample> skipped_;

  // Under the mutex, but for the inside of slots.
  std::mutex mutex_;
  std::condition_variable room_;    ///< a slot was given back, or the end has come
  std::condition_variable filled_;  ///< a slot is ready
  std::vector<Slot> slots_;
  std::uint64_t claimed_ = 0, released_ = 0;
  bool stopping_ = false;
  std::vector<std::uint32_t> order_;
  std::uint64_t order_epoch_ = 0;
  std::vector<std::thread> threads_;
};

}  // namespace radapt
