// Shards: their names, every dialect of tar, how members become samples, and the real shards.
#include "radapt/io/webdataset.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "radapt/io/image.hpp"
#include "support/shared_data.hpp"
#include "support/tar_writer.hpp"
#include "support/temporary_folder.hpp"

using radapt::Index;
using radapt::shard_names;
using radapt::WebDataset;
using radapt_test::TarFormat;
using radapt_test::TarWriter;
using radapt_test::TemporaryFolder;
using Names = std::vector<std::string>;

namespace {

std::string text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
std::string content(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}
/// Keys and extensions of all samples: "a/b: jpg cls".
Names outline(const WebDataset& data) {
  Names lines;
  for (Index i = 0; i < data.size(); ++i) {
    std::string line = data.sample(i).key + ":";
    for (const auto& [extension, member] : data.sample(i).members) { line += " " + extension; }
    lines.push_back(line);
  }
  return lines;
}

}  // namespace

TEST_CASE("names of shards: ranges, lists, nesting, joints, and braces that mean themselves") {
  CHECK(shard_names("a-{000..003}.tar") == Names{"a-000.tar", "a-001.tar", "a-002.tar", "a-003.tar"});
  CHECK(shard_names("{9..11}") == Names{"9", "10", "11"});
  CHECK(shard_names("{09..11}") == Names{"09", "10", "11"});
  CHECK(shard_names("{8..010}") == Names{"008", "009", "010"});
  CHECK(shard_names("{3..1}") == Names{"3", "2", "1"});
  CHECK(shard_names("{0..7..3}") == Names{"0", "3", "6"});
  CHECK(shard_names("{-1..1}") == Names{"-1", "0", "1"});
  CHECK(shard_names("{a,b}{1..2}.tar") == Names{"a1.tar", "a2.tar", "b1.tar", "b2.tar"});
  CHECK(shard_names("{x,y{1..2},}z") == Names{"xz", "y1z", "y2z", "z"});
  CHECK(shard_names("{{1..2},7}") == Names{"1", "2", "7"});
  CHECK(shard_names("a.tar::b-{0..1}.tar") == Names{"a.tar", "b-0.tar", "b-1.tar"});
  CHECK(shard_names("{a..d}.tar") == Names{"a.tar", "b.tar", "c.tar", "d.tar"});
  CHECK(shard_names("{d..a..2}") == Names{"d", "b"});
  CHECK(shard_names("{a..z..300}") == Names{"a"});
  CHECK(shard_names("{a..c..-2147483648}") == Names{"a"});
  CHECK(shard_names("{Y..b}") == Names{"Y", "Z", "a", "b"});
  CHECK(shard_names("{a..d..x}") == Names{"{a..d..x}"});
  CHECK(shard_names("{a..1}") == Names{"{a..1}"});
  CHECK(shard_names("{a..bc}") == Names{"{a..bc}"});
  CHECK(shard_names("{one}") == Names{"{one}"});
  CHECK(shard_names("a{b") == Names{"a{b"});
  CHECK(shard_names("{000000..000012}").size() == 13);
  CHECK(shard_names("{000000..000012}").back() == "000012");
  CHECK_THROWS_WITH_AS(shard_names("http://host/a.tar"), doctest::Contains("names of files"), radapt::error);
  CHECK_THROWS_AS(shard_names("pipe:cat a.tar"), radapt::error);
  CHECK_THROWS_AS(shard_names(""), radapt::error);
  CHECK_THROWS_AS(shard_names("a.tar::"), radapt::error);
  CHECK_THROWS_WITH_AS(shard_names("{0..99999999999}"), doctest::Contains("at most 1000000 names"), radapt::error);
  CHECK_THROWS_AS(shard_names("{0..9999}{0..9999}"), radapt::error);
}

TEST_CASE("every dialect gives names and bytes back, however long they are") {
  const TemporaryFolder folder;
  const std::string long_name = std::string(180, 'd') + "/" + std::string(150, 'k') + ".jpg";
  for (const TarFormat format : {TarFormat::ustar, TarFormat::pax, TarFormat::gnu}) {
    CAPTURE(static_cast<int>(format));
    const auto path = folder.path() / "one.tar";
    std::map<std::string, std::string> written;
    for (const std::size_t size : {0U, 1U, 511U, 512U, 513U, 10240U, 100001U}) {
      std::string bytes(size, '\0');
      for (std::size_t i = 0; i < size; ++i) { bytes[i] = static_cast<char>(i * 31 + size); }
      written["k" + std::to_string(size) + ".bin"] = bytes;
    }
    if (format != TarFormat::ustar) { written[long_name] = "long"; }
    written["\xc3\xa9t\xc3\xa9.txt"] = "umlaut";
    {
      TarWriter writer(path, format);
      writer.add_folder("folder");
      for (const auto& [name, bytes] : written) { writer.add(name, bytes); }
      writer.add_symbolic_link("link.jpg", "k1.bin");
      writer.add_hard_link("hard.jpg", "k1.bin");
      writer.close();
    }
    const auto members = radapt::tar::list(path);
    CHECK(members.size() == written.size());
    for (const auto& member : members) {
      CAPTURE(member.name);
      REQUIRE(written.contains(member.name));
      CHECK(text_of(radapt::tar::read(path, member)) == written[member.name]);
    }
  }
}

TEST_CASE("consecutive members with one key are a sample; a repeated extension begins another") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "a.tar";
  {
    TarWriter writer(path);
    writer.add("__index__", "meta");
    writer.add("__index__/a.jpg", "meta");
    writer.add("./x/b.c.jpg", "1");
    writer.add("./x/b.CLS", "3");
    writer.add("x/noextension", "-");
    writer.add("x/.hidden", "-");
    writer.add("q.jpg", "2");
    writer.add("q.txt", "q");
    writer.add("q.jpg", "again");
    writer.add_folder("q.folder");
    writer.add("q.cls", "9");
    writer.add("./x/b.jpg", "apart");
    writer.add("d.ir/name.jpg", "dots in folders are no extensions");
    writer.close();
  }
  const WebDataset data(path.string());
  CHECK(outline(data) == Names{"./x/b: c.jpg cls", "q: jpg txt", "q: jpg cls", "./x/b: jpg", "d.ir/name: jpg"});
  CHECK(data.name(0) == path.string() + ":./x/b");
  CHECK(text_of(data.member(2, "jpg")) == "again");
  CHECK_THROWS_WITH_AS(data.member(2, "txt"), doctest::Contains("a member .txt, got .jpg, .cls"), radapt::error);
  // A key does not reach over the end of a shard.
  const auto other = folder.path() / "b.tar";
  {
    TarWriter writer(other);
    writer.add("d.ir/name.cls", "1");
    writer.close();
  }
  CHECK(WebDataset(path.string() + "::" + other.string()).size() == 6);
}

TEST_CASE("image, label, captions and JSON of a sample") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "a.tar";
  {
    TarWriter writer(path);
    writer.add("0.png", "png");
    writer.add("0.jpg", "jpg");
    writer.add("0.cls", " 12\n");
    writer.add("0.txt", "first line\r\nsecond line\n\n");
    writer.add("0.json", R"({"y": 4, "region": 2, "captions": ["one", "two"], "caption": "single"})");
    writer.add("1.webp", "webp");
    writer.add("2.txt", "no image");
    writer.add("3.jpg", "jpg");
    writer.add("3.cls", "dog");
    writer.add("4.jpg", "jpg");
    writer.add("4.cls", "-1");
    writer.add("4.json", R"({"y": -4, "captions": [1]})");
    writer.close();
  }
  const WebDataset plain(path.string());
  const auto sample = plain.read(0);
  CHECK(text_of(sample.image) == "jpg");
  CHECK(sample.label == 12);
  CHECK(sample.group == -1);
  CHECK(sample.captions == Names{"first line\r\nsecond line\n\n"});
  CHECK(text_of(plain.read(1).image) == "webp");
  CHECK(plain.read(1).label == -1);
  CHECK(plain.read(1).captions.empty());
  // The label alone, of samples without an image as well.
  CHECK(plain.label(0) == 12);
  CHECK(plain.label(1) == -1);
  CHECK(plain.label(2) == -1);
  CHECK_THROWS_WITH_AS(plain.label(3), doctest::Contains("a whole number from 0, got 'dog'"), radapt::error);
  const auto says = [&](const WebDataset& data, Index i, const char* message) {
    CHECK_THROWS_WITH_AS(data.read(i), doctest::Contains(message), radapt::error);
  };
  says(plain, 2, ":2': expected an image, got .txt");
  says(plain, 3, ":3.cls': expected a whole number from 0, got 'dog'");
  says(plain, 4, "a whole number from 0, got '-1'");

  const WebDataset lines(path.string(), {.caption_per_line = true});
  CHECK(lines.read(0).captions == Names{"first line", "second line"});
  radapt::WebDatasetOptions options{
      .label = "none", .caption = "none", .json_label = "y", .json_group = "region", .json_caption = "captions"};
  const WebDataset json(path.string(), options);
  CHECK(json.read(0).label == 4);
  CHECK(json.label(0) == 4);
  CHECK(json.read(0).group == 2);
  CHECK(json.read(0).captions == Names{"one", "two"});
  says(json, 4, "a whole number from 0 under 'y', got JSON of type number");
  options.json_label = options.json_group = {};
  says(WebDataset(path.string(), options), 4, "a string or a list of strings under 'captions'");
  options.json_caption = "caption";
  CHECK(WebDataset(path.string(), options).read(0).captions == Names{"single"});
  options.json_caption = "title";
  says(WebDataset(path.string(), options), 0, "under 'title', got no such key");
  says(WebDataset(path.string(), {.needs_label = true}), 1, "a label");
  says(WebDataset(path.string(), {.needs_caption = true}), 1, "a caption");
}

TEST_CASE("a shard that is missing, damaged or cut off is named") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "good.tar";
  {
    TarWriter writer(path);
    writer.add("0.jpg", std::string(3000, 'x'));
    writer.add("1.jpg", std::string(3000, 'y'));
    writer.close();
  }
  const std::string whole = content(path);
  const auto write = [&](const char* name, const std::string& bytes) {
    return folder.write(name, std::as_bytes(std::span(bytes))).string();
  };
  const auto says = [](const std::string& shard, const char* message) {
    CHECK_THROWS_WITH_AS(WebDataset{shard}, doctest::Contains(message), radapt::error);
  };
  says((folder.path() / "shard-{0..1}.tar").string(), "shard-0.tar': expected a tar archive");
  says(folder.path().string(), "expected a tar archive");
  // The second member begins at 512 + 3072; its content, at 4096.
  says(write("short.tar", whole.substr(0, 4096 + 2999)), "short.tar': expected a whole tar archive, got ");
  says(write("header.tar", whole.substr(0, 3584 + 100)), "after the member '0.jpg'");
  std::string damaged = whole;
  damaged[3584 + 20] = 'z';
  says(write("damaged.tar", damaged), "after the member '0.jpg'");
  says(write("text.tar", std::string(2000, 'a')), "text.tar': expected a whole tar archive");
  says(write("empty.tar", ""), "empty.tar': expected a whole tar archive");
  says(write("padding.tar", whole.substr(0, 4096 + 3000)), "after the member '1.jpg'");
  CHECK_NOTHROW(WebDataset{write("no_end.tar", whole.substr(0, 4096 + 3072))});
  {
    TarWriter writer(folder.path() / "nothing.tar");
    writer.add_folder("folder");
    writer.add("README", "no extension");
    writer.close();
  }
  says((folder.path() / "nothing.tar").string(), "nothing.tar': expected at least one sample, got none");

  // A shard that changes after it was opened is found out when it is read.
  const WebDataset data(write("shrinks.tar", whole));
  write("shrinks.tar", whole.substr(0, 4096 + 10));
  CHECK_NOTHROW(data.read(0));
  CHECK_THROWS_WITH_AS(data.read(1), doctest::Contains("expected 3000 bytes, got 10"), radapt::error);
}

TEST_CASE("the CIFAR shards have the samples of their description, and members agree with each other") {
  const auto folder = radapt_test::shared_data("data/cifar_shift").string();
  const WebDataset train(folder + "/cifar10-train-{000..004}.tar");
  const WebDataset test(folder + "/cifar10-test-{000..002}.tar");
  const WebDataset shift(folder + "/tinyimagenet-ood-{000,001}.tar");
  CHECK(train.shards() == 5);
  CHECK(train.size() == 10000);
  CHECK(test.size() == 5000);
  CHECK(shift.size() == 2100);
  std::vector<Index> of_class(10);
  const Names names{"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"};
  for (Index i = 0; i < shift.size(); ++i) {
    const auto sample = shift.read(i);
    REQUIRE((sample.label >= 0 && sample.label < 10));
    ++of_class[static_cast<Index>(sample.label)];
    REQUIRE(sample.captions.size() == 1);
    CHECK(sample.captions[0].find(names[static_cast<Index>(sample.label)]) != std::string::npos);
  }
  CHECK(std::count(of_class.begin(), of_class.end(), 0U) == 3);
  const auto image = radapt::decode_image(test.read(4999).image, test.name(4999));
  CHECK(image.width == 32);
  CHECK(image.height == 32);
}
