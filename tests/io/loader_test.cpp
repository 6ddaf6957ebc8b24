// The loader: the same batches for any number of threads, what happens to samples that cannot be read, and how it ends.
// Run once with -fsanitize=thread when it changes; the number of iterations below is chosen so that this takes seconds.
#include "radapt/io/loader.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <new>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "radapt/io/webdataset.hpp"
#include "support/shared_data.hpp"
#include "support/tar_writer.hpp"
#include "support/temporary_folder.hpp"

using radapt::ImageBatch;
using radapt::Index;
using radapt::Loader;
using radapt::LoaderOptions;
using radapt::Preprocess;
using radapt::RawSample;

namespace {

/// Small pictures that all differ, some of them broken; reading one may take a while.
struct Pictures {
  Index count = 10;
  std::set<Index> broken{};
  Index throws = radapt::dynamic;  ///< a sample that fails with no error of radapt
  mutable std::atomic<Index> reads{0};

  Index size() const { return count; }
  std::string name(Index i) const { return "picture " + std::to_string(i); }
  RawSample read(Index i) const {
    ++reads;
    if (i == throws) { throw std::bad_alloc(); }
    // Later samples are often quicker, so that threads finish out of order.
    std::this_thread::sleep_for(std::chrono::microseconds(i * 7919 % 5 * 20));
    radapt::Image image = radapt::zero_image(12 + i % 3, 10, radapt::PixelMode::rgb);
    radapt::Random random(1, i);
    for (auto& byte : image.pixels) { byte = static_cast<std::uint8_t>(random.below(256)); }
    RawSample sample{.image = radapt::encode_png(image),
                     .label = static_cast<std::int32_t>(i % 4),
                     .group = static_cast<std::int32_t>(i),
                     .captions = {}};
    for (Index k = 0; k < 1 + i % 5; ++k) { sample.captions.push_back("caption " + std::to_string(k)); }
    if (broken.contains(i)) { sample.image.resize(sample.image.size() / 2); }
    return sample;
  }
};

struct Seen {
  std::vector<ImageBatch> batches;
  std::vector<radapt::SkippedSample> skipped;
};

Seen run(const Pictures& pictures, LoaderOptions options, unsigned threads, Index ahead = 0) {
  options.threads = threads;
  options.ahead = ahead;
  if (!options.on_skip) {
    options.on_skip = [](const radapt::SkippedSample&) {};
  }
  Seen seen;
  Loader loader(pictures, Preprocess::openai(8), options);
  for (ImageBatch batch; loader.next(batch);) { seen.batches.push_back(batch); }
  seen.skipped = loader.skipped();
  return seen;
}

bool same(const Seen& a, const Seen& b) {
  const auto equal = [](const ImageBatch& x, const ImageBatch& y) {
    return x.pixels == y.pixels && x.labels == y.labels && x.groups == y.groups && x.captions == y.captions &&
           x.samples == y.samples && x.epoch == y.epoch;
  };
  const auto equally_skipped = [](const radapt::SkippedSample& x, const radapt::SkippedSample& y) {
    return x.sample == y.sample && x.epoch == y.epoch && x.name == y.name && x.reason == y.reason;
  };
  return std::equal(a.batches.begin(), a.batches.end(), b.batches.begin(), b.batches.end(), equal) &&
         std::equal(a.skipped.begin(), a.skipped.end(), b.skipped.begin(), b.skipped.end(), equally_skipped);
}
std::vector<Index> samples(const Seen& seen) {
  std::vector<Index> all;
  for (const ImageBatch& batch : seen.batches) { all.insert(all.end(), batch.samples.begin(), batch.samples.end()); }
  return all;
}

}  // namespace

static_assert(!std::is_constructible_v<radapt::Loader, radapt::FolderSource, radapt::Preprocess>);  // it would be gone
static_assert(std::is_constructible_v<radapt::Loader, const radapt::FolderSource&, radapt::Preprocess>);

TEST_CASE("in order, a batch holds what decoding and preprocessing one by one gives") {
  const Pictures pictures{.count = 7};
  const Seen seen = run(pictures, {.batch = 3}, 2);
  REQUIRE(seen.batches.size() == 3);
  CHECK(seen.batches[2].size() == 1);
  const Preprocess preprocess = Preprocess::openai(8);
  for (Index i = 0; i < 7; ++i) {
    const ImageBatch& batch = seen.batches[i / 3];
    const RawSample raw = pictures.read(i);
    const auto expected = preprocess(radapt::decode_image(raw.image, ""));
    CHECK(batch.samples[i % 3] == i);
    CHECK(
        std::equal(expected.begin(), expected.end(), batch.pixels.begin() + static_cast<std::ptrdiff_t>(i % 3 * 192)));
    CHECK(batch.labels[i % 3] == raw.label);
    CHECK(batch.groups[i % 3] == raw.group);
    CHECK(batch.captions[i % 3] == "caption 0");
    CHECK(batch.pixels.size() == 192 * batch.size());
  }
}

TEST_CASE("batches have the same bits with 1, 2 and 5 threads and any number of samples ahead") {
  const Pictures pictures{.count = 53, .broken = {3, 11, 52}};
  const LoaderOptions options{.batch = 8,
                              .shuffle = true,
                              .seed = 9,
                              .epochs = 3,
                              .random_crop = radapt::RandomResizedCrop{.scale = {0.3, 1.0}},
                              .random_caption = true};
  const Seen one = run(pictures, options, 1);
  CHECK(one.batches.size() == 3 * 7);
  CHECK(one.skipped.size() == 9);
  CHECK(same(one, run(pictures, options, 2)));
  CHECK(same(one, run(pictures, options, 5)));
  CHECK(same(one, run(pictures, options, 5, 1)));
  CHECK(same(one, run(pictures, options, 3, 200)));
  LoaderOptions other = options;
  other.seed = 10;
  CHECK(!same(one, run(pictures, other, 2)));
}

TEST_CASE("every epoch holds every sample once, in its own order; a run that goes on sees the same epochs") {
  const Pictures pictures{.count = 30};
  LoaderOptions options{.batch = 7,
                        .shuffle = true,
                        .seed = 4,
                        .epochs = 3,
                        .random_crop = radapt::RandomResizedCrop{.scale = {0.3, 1.0}}};
  const Seen seen = run(pictures, options, 2);
  REQUIRE(seen.batches.size() == 15);
  std::vector<std::vector<Index>> orders(3);
  for (const ImageBatch& batch : seen.batches) {
    auto& order = orders[batch.epoch];
    order.insert(order.end(), batch.samples.begin(), batch.samples.end());
  }
  for (const auto& order : orders) {
    CHECK(order.size() == 30);
    CHECK(std::set<Index>(order.begin(), order.end()).size() == 30);
    CHECK(!std::is_sorted(order.begin(), order.end()));
  }
  CHECK(orders[0] != orders[1]);
  CHECK(orders[1] != orders[2]);
  options.first_epoch = 1;
  options.epochs = 2;
  Seen later = run(pictures, options, 2);
  Seen expected;
  expected.batches.assign(seen.batches.begin() + 5, seen.batches.end());
  CHECK(same(later, expected));
  // A crop is drawn for each epoch, whatever the place of the sample in the order.
  const auto pixels_of = [&](Index sample, std::uint64_t epoch) {
    for (const ImageBatch& batch : seen.batches) {
      for (Index i = 0; i < batch.size(); ++i) {
        if (batch.epoch == epoch && batch.samples[i] == sample) {
          const auto from = batch.pixels.begin() + static_cast<std::ptrdiff_t>(192 * i);
          return std::vector<float>(from, from + 192);
        }
      }
    }
    return std::vector<float>();
  };
  CHECK(pixels_of(5, 0) != pixels_of(5, 1));
  options.shuffle = false;
  options.first_epoch = 0;
  options.epochs = 1;
  const Seen in_order = run(pictures, options, 2);
  const auto from = in_order.batches[0].pixels.begin() + 5 * 192;
  CHECK(pixels_of(5, 0) == std::vector<float>(from, from + 192));
}

TEST_CASE("drop_last leaves out what does not fill a batch; of several captions one is drawn") {
  const Pictures pictures{.count = 10};
  CHECK(samples(run(pictures, {.batch = 4, .drop_last = true, .epochs = 2}, 2)).size() == 16);
  CHECK(run(pictures, {.batch = 4, .epochs = 2}, 2).batches.size() == 6);
  const Loader loader(pictures, Preprocess::openai(8), {.batch = 4, .drop_last = true});
  CHECK(loader.batches_per_epoch() == 2);
  // Sample 4 has five captions; over 200 epochs each comes 40 times +- 5 standard deviations of sqrt(200 * 0.16) = 5.7.
  const Pictures five{.count = 5};
  std::vector<int> drawn(5);
  for (const ImageBatch& batch : run(five, {.batch = 5, .epochs = 200, .random_caption = true}, 2).batches) {
    ++drawn[static_cast<Index>(batch.captions[4].back() - '0')];
    CHECK(batch.captions[0] == "caption 0");
  }
  CHECK(*std::min_element(drawn.begin(), drawn.end()) > 11);
  CHECK(*std::max_element(drawn.begin(), drawn.end()) < 69);
}

TEST_CASE("a broken sample in the middle is named, counted and passed over; the batch is filled with the next") {
  const Pictures pictures{.count = 10, .broken = {4}};
  std::vector<std::string> told;
  LoaderOptions options{.batch = 4};
  options.on_skip = [&](const radapt::SkippedSample& skipped) { told.push_back(skipped.name); };
  const Seen seen = run(pictures, options, 3);
  CHECK(samples(seen) == std::vector<Index>{0, 1, 2, 3, 5, 6, 7, 8, 9});
  CHECK(seen.batches[1].samples == std::vector<Index>{5, 6, 7, 8});
  CHECK(told == std::vector<std::string>{"picture 4"});
  REQUIRE(seen.skipped.size() == 1);
  CHECK(seen.skipped[0].sample == 4);
  CHECK(seen.skipped[0].reason.find("decoding 'picture 4'") != std::string::npos);
}

TEST_CASE("too many broken samples, or nothing but such, is an error") {
  const Pictures some{.count = 10, .broken = {2, 5, 7}}, all{.count = 3, .broken = {0, 1, 2}};
  CHECK_NOTHROW(run(some, {.batch = 4, .most_skipped = 3}, 2));
  CHECK_THROWS_WITH_AS(run(some, {.batch = 4, .most_skipped = 2}, 2),
                       doctest::Contains("at most 2 unreadable samples, got one more, picture 7"), radapt::error);
  CHECK_THROWS_WITH_AS(run(all, {.batch = 2}, 2), doctest::Contains("epoch 0: expected at least one readable sample"),
                       radapt::error);
  CHECK_THROWS_WITH_AS(run(all, {.batch = 2, .epochs = 0}, 2), doctest::Contains("got 0 of 3"), radapt::error);
  // Two of three can be read, which never fills a batch of three.
  const Pictures two{.count = 3, .broken = {1}};
  CHECK_THROWS_WITH_AS(run(two, {.batch = 3, .drop_last = true, .epochs = 0}, 2),
                       doctest::Contains("readable samples for a full batch, got 2 of 3"), radapt::error);
  // When only the end of an epoch is broken, the epoch just ends.
  const Pictures tail{.count = 5, .broken = {4}};
  CHECK(run(tail, {.batch = 4, .epochs = 2}, 2).batches.size() == 2);
}

TEST_CASE("any other exception of a worker reaches the consumer at its place, and again after that") {
  const Pictures pictures{.count = 20, .throws = 9};
  for (const unsigned threads : {1U, 4U}) {
    Loader loader(pictures, Preprocess::openai(8), {.batch = 4, .threads = threads});
    ImageBatch batch;
    CHECK(loader.next(batch));
    CHECK(loader.next(batch));
    CHECK(batch.samples.back() == 7);
    CHECK_THROWS_AS(loader.next(batch), std::bad_alloc);
    CHECK_THROWS_AS(loader.next(batch), std::bad_alloc);
  }
}

TEST_CASE("a consumer that stops early does not hang, and no more is read than was asked for ahead") {
  for (int repeat = 0; repeat < 20; ++repeat) {
    const Pictures pictures{.count = 1000};
    {
      Loader loader(
          pictures, Preprocess::openai(8),
          {.batch = 4, .shuffle = true, .epochs = 0, .threads = 1U + static_cast<unsigned>(repeat) % 5, .ahead = 6});
      ImageBatch batch;
      for (int b = 0; b < repeat % 3; ++b) { CHECK(loader.next(batch)); }
    }
    CHECK(pictures.reads <= static_cast<Index>(repeat % 3) * 4 + 6);
  }
  // Nor one that is stopped by what it is told.
  const Pictures broken{.count = 50, .broken = {1}};
  LoaderOptions options{.batch = 4, .threads = 3};
  options.on_skip = [](const radapt::SkippedSample&) { throw std::runtime_error("enough"); };
  Loader loader(broken, Preprocess::openai(8), options);
  ImageBatch batch;
  CHECK_THROWS_WITH(loader.next(batch), "enough");
}

TEST_CASE("without an end, epochs follow one another") {
  const Pictures pictures{.count = 3};
  Loader loader(pictures, Preprocess::openai(8), {.batch = 2, .epochs = 0, .threads = 2});
  ImageBatch batch;
  for (std::uint64_t b = 0; b < 100; ++b) {
    REQUIRE(loader.next(batch));
    CHECK(batch.epoch == b / 2);
    CHECK(batch.size() == 2 - b % 2);
  }
}

TEST_CASE("settings that cannot work are found out before the first sample") {
  const Pictures pictures{.count = 3}, none{.count = 0};
  const auto says = [&](const Preprocess& preprocess, const LoaderOptions& options, const char* message) {
    CHECK_THROWS_WITH_AS((Loader{pictures, preprocess, options}), doctest::Contains(message), radapt::error);
  };
  says(Preprocess::openai(0), {}, "a size of 1 to 32768");
  says(Preprocess::openai(8), {.batch = 0}, "a batch of at least one sample");
  says(Preprocess::openai(8), {.batch = 4, .drop_last = true}, "3 samples for a batch of 4");
  says(Preprocess::openai(8), {.random_crop = radapt::RandomResizedCrop{.scale = {0.0, 1.0}}}, "0 < from <= to");
  CHECK_THROWS_WITH_AS((Loader{none, Preprocess::openai(8)}), doctest::Contains("1 to 2^32 - 1 samples, got 0"),
                       radapt::error);
  CHECK(pictures.reads == 0);
}

TEST_CASE("shards and folders are sources: a corrupt member, a file that is gone") {
  const radapt_test::TemporaryFolder folder;
  const auto shard = folder.path() / "a.tar";
  {
    const Pictures pictures{};
    radapt_test::TarWriter writer(shard);
    for (Index i = 0; i < 6; ++i) {
      const auto raw = pictures.read(i);
      auto image = raw.image;
      if (i == 2) { image.assign(100, std::byte{7}); }
      writer.add(std::to_string(i) + ".png", image);
      if (i != 4) { writer.add(std::to_string(i) + ".cls", std::to_string(raw.label)); }
    }
    writer.close();
  }
  const radapt::WebDataset data(shard.string(), {.needs_label = true});
  std::vector<std::string> reasons;
  LoaderOptions options{.batch = 6, .threads = 2};
  options.on_skip = [&](const radapt::SkippedSample& skipped) { reasons.push_back(skipped.reason); };
  Loader loader(data, Preprocess::openai(8), options);
  ImageBatch batch;
  REQUIRE(loader.next(batch));
  CHECK(batch.samples == std::vector<Index>{0, 1, 3, 5});
  CHECK(batch.labels == std::vector<std::int32_t>{0, 1, 3, 1});
  REQUIRE(reasons.size() == 2);
  CHECK(reasons[0].find("a.tar:2': expected a PNG or JPEG file") != std::string::npos);
  CHECK(reasons[1].find("a.tar:4': expected a label, got .png") != std::string::npos);
  CHECK(!loader.next(batch));
  CHECK(batch.size() == 0);

  const auto picture = Pictures{}.read(0).image;
  for (const char* name : {"x/0.png", "x/1.png", "y/2.png"}) { folder.write(std::string("set/") + name, picture); }
  const radapt::FolderSource images{radapt::ImageFolder(folder.path() / "set")};
  std::filesystem::remove(folder.path() / "set/x/1.png");
  reasons.clear();
  Loader of_folder(images, Preprocess::openai(8), options);
  REQUIRE(of_folder.next(batch));
  CHECK(batch.labels == std::vector<std::int32_t>{0, 1});
  REQUIRE(reasons.size() == 1);
  CHECK(reasons[0].find("x/1.png': expected a file, got nothing of that name") != std::string::npos);
}

TEST_CASE("real shards load: every CIFAR test image, and captions with them") {
  const radapt::WebDataset data(radapt_test::shared_data("data/cifar_shift").string() + "/cifar10-test-{000..002}.tar",
                                {.needs_label = true, .needs_caption = true});
  Loader loader(data, Preprocess::openai(32), {.batch = 256, .shuffle = true});
  CHECK(loader.batches_per_epoch() == 20);
  std::vector<Index> of_class(10);
  Index images = 0;
  for (ImageBatch batch; loader.next(batch); images += batch.size()) {
    for (const std::int32_t label : batch.labels) { ++of_class.at(static_cast<Index>(label)); }
    CHECK(!batch.captions.front().empty());
  }
  CHECK(images == 5000);
  CHECK(loader.skipped().empty());
  CHECK(of_class == std::vector<Index>(10, 500));
}
