// Karpathy's split files: Flickr8k's own, the forms of COCO, and every mistake.
#include "radapt/io/karpathy.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "support/shared_data.hpp"
#include "support/temporary_folder.hpp"

using radapt::KarpathyFile;
using radapt::KarpathySplit;

namespace {

KarpathyFile parsed(const std::string& images) {
  const radapt_test::TemporaryFolder folder;
  const std::string text = "{\"dataset\":\"x\",\"images\":" + images + "}";
  return KarpathyFile(folder.write("dataset.json", std::as_bytes(std::span(text))), "pictures");
}
std::string image(const std::string& members) {
  return "[{\"filename\":\"a.jpg\",\"split\":\"test\",\"sentences\":[{\"raw\":\"A dog .\"}]" + members + "}]";
}

}  // namespace

TEST_CASE("Flickr8k's splits have the images and captions of its description, and every image exists") {
  const auto folder = radapt_test::shared_data("data/flickr8k");
  const KarpathyFile file(folder / "dataset_flickr8k.json", folder / "images");
  CHECK(file.size() == 1986);
  CHECK(file.split(KarpathySplit::train).size() == 986);
  CHECK(file.split(KarpathySplit::test).size() == 1000);
  CHECK(file.split(KarpathySplit::val).empty());
  CHECK(file.split(KarpathySplit::restval).empty());
  std::size_t captions = 0;
  for (const auto split : {KarpathySplit::train, KarpathySplit::test}) {
    for (const auto& one : file.split(split)) {
      CHECK(one.captions.size() == 5);
      captions += one.captions.size();
      if (!std::filesystem::is_regular_file(one.path)) { FAIL_CHECK("no image ", one.path.string()); }
    }
  }
  CHECK(captions == 9930);
  const auto& first = file.split(KarpathySplit::train).front();
  CHECK(first.path.filename() == "1012212859_01547e3f17.jpg");
  CHECK(first.id == 0);
  CHECK(first.captions[0] == "A dog shakes its head near the shore , a red ball next to it .");
  const auto list = radapt::list_captions(file.split(KarpathySplit::test));
  CHECK(list.captions.size() == 5000);
  CHECK(list.image_of_text.back() == 999);
}

TEST_CASE("COCO's members: a folder below the images, its own numbers, restval") {
  const auto file = parsed(
      "[{\"filepath\":\"val2014\",\"filename\":\"b.jpg\",\"imgid\":7,\"cocoid\":391895,\"split\":\"restval\","
      "\"sentids\":"
      "[1,2],\"sentences\":[{\"raw\":\"one\",\"tokens\":[\"one\"]},{\"raw\":\"two\"}]},{\"filename\":\"a.jpg\","
      "\"split\":"
      "\"val\",\"sentences\":[{\"raw\":\"\"}]}]");
  REQUIRE(file.split(KarpathySplit::restval).size() == 1);
  const auto& one = file.split(KarpathySplit::restval)[0];
  CHECK(one.path == "pictures/val2014/b.jpg");
  CHECK(one.id == 391895);
  CHECK(one.captions == std::vector<std::string>{"one", "two"});
  CHECK(file.split(KarpathySplit::val)[0].id == 1);
  CHECK(file.size() == 2);
  CHECK(parsed("[]").size() == 0);
}

TEST_CASE("every mistake has one error with the position of its image") {
  const auto says = [](const std::string& images, const char* message) {
    CAPTURE(images);
    CHECK_THROWS_WITH_AS(parsed(images), doctest::Contains(message), radapt::error);
  };
  CHECK_NOTHROW(parsed(image("")));
  says("3", "a list 'images', got JSON of type number");
  says("[3]", "image 0: expected an object, got JSON of type number");
  says("[{\"split\":\"test\",\"sentences\":[{\"raw\":\"x\"}]}]", "image 0: expected a string 'filename', got none");
  says("[{\"filename\":1}]", "a string 'filename', got JSON of type number");
  says("[{\"filename\":\"a.jpg\",\"split\":\"dev\"}]", "a split of 'train', 'restval', 'val' or 'test', got 'dev'");
  says("[{\"filename\":\"a.jpg\",\"split\":\"test\"}]", "a list 'sentences' with at least one, got none");
  says("[{\"filename\":\"a.jpg\",\"split\":\"test\",\"sentences\":[]}]", "a list 'sentences' with at least one");
  says("[{\"filename\":\"a.jpg\",\"split\":\"test\",\"sentences\":[{\"raw\":\"x\"},{}]}]",
       "sentences with a string 'raw', got sentence 1 without");
  says(image(",\"cocoid\":\"x\""), "a whole number 'cocoid', got JSON of type string");
  says(image(",\"filepath\":\"..\""), "the name of a file below the folder of images, got '../a.jpg'");
  says(image(",\"filepath\":\"/etc\""), "got '/etc/a.jpg'");
  says("[{\"filename\":\"\",\"split\":\"test\",\"sentences\":[{\"raw\":\"x\"}]}]", "the name of a file");
}
