/// Captioned images in parts: no file is trained on and tested on, every image is somewhere, batches name their groups.
#include "examples/support/captioned_data.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "support/error_text.hpp"
#include "support/temporary_folder.hpp"

namespace {

using namespace example;

std::filesystem::path write(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path) << text;
  return path;
}

std::string karpathy_entry(const std::string& file, const std::string& split) {
  return R"({"filename": ")" + file + R"(", "split": ")" + split + R"(", "sentences": [{"raw": "a"}, {"raw": "b"}]})";
}

std::multiset<std::string> names(const CaptionParts& parts) {
  std::multiset<std::string> all;
  for (const auto* part : {&parts.pretraining, &parts.train, &parts.validation, &parts.test}) {
    for (const radapt::CaptionedImage& image : *part) { all.insert(image.path.filename().string()); }
  }
  return all;
}

TEST_CASE("a file that is in several parts is tested on only, then chosen on") {
  const radapt_test::TemporaryFolder folder;
  std::string images;
  const auto add = [&](const std::string& file, const std::string& split) {
    images += (images.empty() ? "" : ", ") + karpathy_entry(file, split);
  };
  for (int i = 0; i < 10; ++i) { add("train" + std::to_string(i) + ".jpg", i % 2 == 0 ? "train" : "restval"); }
  for (int i = 0; i < 3; ++i) { add("val" + std::to_string(i) + ".jpg", "val"); }
  for (int i = 0; i < 4; ++i) { add("test" + std::to_string(i) + ".jpg", "test"); }
  add("test0.jpg", "train");
  add("test1.jpg", "val");
  add("val0.jpg", "restval");
  add("test2.jpg", "test");  // twice in one part
  add("train3.jpg", "train");
  const auto file = write(folder.path() / "dataset.json", "{\"images\": [" + images + "]}");
  const CaptionParts parts = read_captions({.file = file, .images = "x", .pretraining_share = 0.5});
  CHECK(parts.overlapping == 5);
  CHECK(parts.pretraining.size() == 5);
  CHECK(parts.train.size() == 5);
  CHECK(parts.validation.size() == 3);
  CHECK(parts.test.size() == 4);
  const auto all = names(parts);
  CHECK(all.size() == 17);
  CHECK(std::set<std::string>(all.begin(), all.end()).size() == 17);
}

TEST_CASE("a table is split by shares; the seed moves the parts, and nothing else") {
  const radapt_test::TemporaryFolder folder;
  std::string rows = "image,caption\n";
  for (int i = 0; i < 20; ++i) {
    for (int k = 0; k < 2; ++k) { rows += "i" + std::to_string(i) + ".jpg,caption " + std::to_string(k) + "\n"; }
  }
  const auto file = write(folder.path() / "captions.csv", rows);
  const CaptionParts one = read_captions({.file = file, .images = "x"}),
                     same = read_captions({.file = file, .images = "x"});
  CHECK(one.train.size() == 12);
  CHECK(one.validation.size() == 4);
  CHECK(one.test.size() == 4);
  CHECK(one.pretraining.empty());
  CHECK(names(one).size() == 20);
  const auto paths = [](const std::vector<radapt::CaptionedImage>& part) {
    std::vector<std::string> list;
    for (const auto& image : part) { list.push_back(image.path.string()); }
    return list;
  };
  CHECK(paths(one.test) == paths(same.test));
  const CaptionParts other = read_captions({.file = file, .images = "x", .split_seed = 1});
  CHECK(paths(one.test) != paths(other.test));
  CHECK(names(one) == names(other));
}

TEST_CASE("a part without images is named") {
  const radapt_test::TemporaryFolder folder;
  const auto file = write(folder.path() / "d.json", "{\"images\": [" + karpathy_entry("a.jpg", "train") + ", " +
                                                        karpathy_entry("b.jpg", "train") + "]}");
  CHECK(radapt_test::error_of([&] { read_captions({.file = file, .images = "x"}); }).find("to test on") !=
        std::string::npos);
}

TEST_CASE("captions of one image are a group, and every image comes once an epoch") {
  CaptionedSet set;
  for (std::int64_t i = 0; i < 4; ++i) {
    set.images.push_back(radapt::zero_image(8, 8, radapt::PixelMode::rgb));
    set.ids.push_back({{1, 2 * i + 2, 60}, {1, 2 * i + 3, 60}});
  }
  CaptionBatches batches(set, radapt::Preprocess::openai(8), {.batch = 4, .positives = 2, .crop = 0.9, .seed = 3},
                         radapt::Captions(8, 64));
  std::set<std::int32_t> epoch;
  for (int b = 0; b < 2; ++b) {
    const auto batch = batches.next();
    REQUIRE(batch.captions->size() == 4);
    REQUIRE(batch.groups.size() == 4);
    CHECK(batch.pixels.size() == 4 * 3 * 8 * 8);
    for (std::size_t row = 0; row < 4; row += 2) {
      CHECK(batch.groups[row] == batch.groups[row + 1]);
      epoch.insert(batch.groups[row]);
      // The captions are those of the image, and different ones.
      const std::int32_t first = batch.captions->ids(row)[1], second = batch.captions->ids(row + 1)[1];
      CHECK((first - 2) / 2 == batch.groups[row]);
      CHECK((second - 2) / 2 == batch.groups[row]);
      CHECK(first != second);
    }
  }
  CHECK(epoch.size() == 4);
}

}  // namespace
