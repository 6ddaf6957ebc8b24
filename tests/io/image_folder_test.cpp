#include "radapt/io/image_folder.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "../support/shared_data.hpp"
#include "../support/temporary_folder.hpp"

using radapt::ImageFolder;
using radapt_test::TemporaryFolder;

namespace {

/// Paths below the root with their labels.
std::vector<std::string> listed(const ImageFolder& images) {
  std::vector<std::string> lines;
  for (const auto& sample : images.samples()) {
    lines.push_back(std::to_string(sample.label) + " " +
                    sample.path.string().substr(images.root().string().size() + 1));
  }
  return lines;
}

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("classes are sorted folders, samples sorted files below them") {
  const TemporaryFolder folder;
  // Folders are sorted as whole paths: "b/x-1" stands before "b/x/sub", since '-' is less than '/'.
  for (const char* name :
       {"b/y.png", "b/x.JPG", "b/x/z.png", "b/x/a.jpeg", "b/x-1/q.webp", "b/x/sub/w.png", "b/notes.txt", "b/x/.jpg",
        "a/2.tiff", "a/10.Bmp", "Z/only.ppm", "stray.png", "\xc3\xa9t\xc3\xa9/1.pgm"}) {
    folder.write(name);
  }
  const ImageFolder images(folder.path());
  CHECK(images.class_names() == Lines{"Z", "a", "b", "\xc3\xa9t\xc3\xa9"});
  const Lines expected{"0 Z/only.ppm",
                       "1 a/10.Bmp",
                       "1 a/2.tiff",
                       "2 b/x.JPG",
                       "2 b/y.png",
                       "2 b/x/.jpg",
                       "2 b/x/a.jpeg",
                       "2 b/x/z.png",
                       "2 b/x-1/q.webp",
                       "2 b/x/sub/w.png",
                       "3 \xc3\xa9t\xc3\xa9/1.pgm"};
  CHECK(listed(images) == expected);
  CHECK(images.size() == 11);
}

TEST_CASE("extensions are those of torchvision, in any case") {
  for (const char* name :
       {"a.jpg", "a.JPEG", "a.PnG", "a.ppm", "a.bmp", "a.pgm", "a.tif", "a.tiff", "a.webp", ".png"}) {
    CHECK(ImageFolder::has_image_name(name));
  }
  for (const char* name : {"", "png", "a.gif", "a.jpg.txt", "a.jp", "jpg", "a.pngx"}) {
    CHECK(!ImageFolder::has_image_name(name));
  }
}

TEST_CASE("a class without images is an error unless it is allowed") {
  const TemporaryFolder folder;
  folder.write("full/a.png");
  folder.write("empty/readme.txt");
  std::filesystem::create_directory(folder.path() / "vacant");
  CHECK_THROWS_WITH_AS(ImageFolder(folder.path()), doctest::Contains("got none in 'empty', 'vacant'"), radapt::error);
  const ImageFolder images(folder.path(), ImageFolder::EmptyClass::allowed);
  CHECK(images.class_names() == Lines{"empty", "full", "vacant"});
  REQUIRE(images.size() == 1);
  CHECK(images.samples()[0].label == 1);
}

TEST_CASE("classes that are numbers are in the order of numbers, where that is asked for") {
  const TemporaryFolder folder;
  for (const char* name : {"0", "2", "10", "1", "007"}) {
    std::filesystem::create_directories(folder.path() / name);
    folder.write(std::string(name) + "/a.png");
  }
  const auto names = [&](auto... order) { return ImageFolder(folder.path(), order...).class_names(); };
  using Empty = ImageFolder::EmptyClass;
  CHECK(names() == Lines{"0", "007", "1", "10", "2"});
  CHECK(names(Empty::error, ImageFolder::ClassOrder::by_number) == Lines{"0", "1", "2", "007", "10"});
  std::filesystem::create_directories(folder.path() / "n1");
  folder.write("n1/a.png");
  CHECK_THROWS_WITH_AS(names(Empty::error, ImageFolder::ClassOrder::by_number), doctest::Contains("got 'n1'"),
                       radapt::error);
}

TEST_CASE("a root without classes, or none at all, is an error") {
  const TemporaryFolder folder;
  CHECK_THROWS_WITH_AS(ImageFolder(folder.path()), doctest::Contains("one folder per class, got none"), radapt::error);
  CHECK_THROWS_WITH_AS(ImageFolder(folder.path() / "absent"), doctest::Contains("expected a readable folder"),
                       radapt::error);
  CHECK_THROWS_AS(ImageFolder(folder.write("file.png")), radapt::error);
}

TEST_CASE("symbolic links are followed, but not in circles and not to nowhere") {
  const TemporaryFolder folder, elsewhere;
  elsewhere.write("deep/far.png");
  folder.write("a/near.png");
  std::filesystem::create_directory_symlink(elsewhere.path(), folder.path() / "b");
  std::filesystem::create_symlink(folder.path() / "a" / "near.png", folder.path() / "a" / "also.png");
  std::filesystem::create_directory_symlink(elsewhere.path() / "deep", folder.path() / "a" / "deep");
  CHECK(listed(ImageFolder(folder.path())) ==
        Lines{"0 a/also.png", "0 a/near.png", "0 a/deep/far.png", "1 b/deep/far.png"});

  std::filesystem::create_directory_symlink(folder.path() / "a", folder.path() / "a" / "deep" / "back");
  CHECK_THROWS_WITH_AS(ImageFolder(folder.path()), doctest::Contains("does not contain itself"), radapt::error);
  std::filesystem::remove(elsewhere.path() / "deep" / "back");
  CHECK_NOTHROW(ImageFolder(folder.path()));

  std::filesystem::create_symlink(folder.path() / "nowhere.png", folder.path() / "a" / "lost.png");
  CHECK_THROWS_WITH_AS(ImageFolder(folder.path()),
                       doctest::Contains("lost.png': expected a file, got a link to nothing"), radapt::error);
}

TEST_CASE("a real data set has the classes and numbers of its description") {
  const ImageFolder photo(radapt_test::shared_data("data/pacs/photo"));
  CHECK(photo.class_names() == Lines{"dog", "elephant", "giraffe", "guitar", "horse", "house", "person"});
  CHECK(photo.size() == 1670);
  CHECK(std::is_sorted(photo.samples().begin(), photo.samples().end(),
                       [](const auto& a, const auto& b) { return a.path.native() < b.path.native(); }));
  CHECK(photo.samples().front().label == 0);
  CHECK(photo.samples().back().label == 6);
}
