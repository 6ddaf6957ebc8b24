// Files appear whole or not at all, and mapped files are their bytes.
#include "radapt/io/atomic_file.hpp"

#include <doctest/doctest.h>

#include <sys/stat.h>
#include <unistd.h>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "radapt/io/mapped_file.hpp"

namespace {

namespace fs = std::filesystem;
using radapt::AtomicWriter;
using radapt::MappedFile;

/// A folder of its own, removed at the end.
struct Folder {
  fs::path path;
  Folder() {
    std::string name = (fs::temp_directory_path() / "radapt_atomic_XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) { throw std::runtime_error("no temporary folder"); }
    path = name;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { fs::remove_all(path); }
  std::ptrdiff_t entries() const { return std::distance(fs::directory_iterator(path), {}); }
};

std::string content(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

TEST_CASE("a file has its old content until commit, and the whole new content after it") {
  const Folder folder;
  const fs::path path = folder.path / "file";
  radapt::write_text_atomically(path, "old");
  CHECK(content(path) == "old");
  {
    AtomicWriter file(path);
    file.write(std::string_view("new "));
    file.write(std::string_view("content"));
    CHECK(content(path) == "old");
    file.commit();
    CHECK(content(path) == "new content");
    CHECK_THROWS_WITH_AS(file.commit(), doctest::Contains("one commit"), radapt::error);
  }
  CHECK(content(path) == "new content");
  CHECK(folder.entries() == 1);
}

TEST_CASE("without commit nothing is left behind and the old file stays") {
  const Folder folder;
  const fs::path path = folder.path / "file";
  radapt::write_text_atomically(path, "old");
  {
    AtomicWriter file(path);
    file.write(std::string_view("half"));
    CHECK(folder.entries() == 2);
  }
  CHECK(folder.entries() == 1);
  CHECK(content(path) == "old");
  CHECK_THROWS_AS(radapt::write_atomically(path,
                                           [](AtomicWriter& file) {
                                             file.write(std::string(100'000, 'x'));
                                             throw std::runtime_error("the caller's own");
                                           }),
                  std::runtime_error);
  CHECK(folder.entries() == 1);
  CHECK(content(path) == "old");
}

TEST_CASE("pieces smaller and larger than the buffer arrive in order") {
  const Folder folder;
  std::string expected;
  radapt::write_atomically(folder.path / "file", [&](AtomicWriter& file) {
    for (const std::size_t size : {1U, 65'535U, 65'536U, 65'537U, 3U, 400'000U, 0U, 7U, 65'530U, 10U}) {
      std::string piece(size, static_cast<char>('a' + expected.size() % 26));
      if (size > 2) { piece[size / 2] = '!'; }
      file.write(piece);
      expected += piece;
    }
  });
  CHECK(content(folder.path / "file") == expected);
}

TEST_CASE("errors name the file and the system's reason") {
  const Folder folder;
  CHECK_THROWS_WITH_AS(AtomicWriter(folder.path / "no" / "file"), doctest::Contains("No such file or directory"),
                       radapt::error);
  CHECK_THROWS_WITH_AS(AtomicWriter(folder.path / "no" / "file"), doctest::Contains("no/file"), radapt::error);
  CHECK_THROWS_WITH_AS(AtomicWriter(folder.path.string()), doctest::Contains("a file name, got a folder"),
                       radapt::error);
  CHECK(folder.entries() == 0);
  const fs::path pipe = folder.path / "pipe";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  CHECK_THROWS_WITH_AS(AtomicWriter{pipe}, doctest::Contains("got a device or a pipe"), radapt::error);
  CHECK(fs::is_fifo(pipe));
  CHECK(folder.entries() == 1);
  // A folder that appears in the file's place while it is being written: the rename fails, the temporary goes.
  AtomicWriter file(folder.path / "name");
  fs::create_directories(folder.path / "name" / "inside");
  CHECK_THROWS_WITH_AS(file.commit(), doctest::Contains("renaming the temporary file to"), radapt::error);
}

TEST_CASE("a full disk is an error and leaves the old file") {
  // /dev/full takes no byte; reaching it through a link shows what happens when the disk is full.
  if (!fs::exists("/dev/full")) {
    MESSAGE("this system has no /dev/full; the case checks nothing here");
    return;
  }
  const Folder folder;
  const fs::path path = folder.path / "file";
  radapt::write_text_atomically(path, "old");
  AtomicWriter file(path);
  fs::path temporary;
  for (const auto& item : fs::directory_iterator(folder.path)) {
    if (item.path() != path) { temporary = item.path(); }
  }
  REQUIRE_FALSE(temporary.empty());
  // The open descriptor is replaced by one on /dev/full.
  int found = -1;
  for (int descriptor = 3; descriptor < 256 && found < 0; ++descriptor) {
    struct ::stat of_descriptor {
    }, of_file{};
    if (::fstat(descriptor, &of_descriptor) == 0 && ::stat(temporary.c_str(), &of_file) == 0 &&
        of_descriptor.st_ino == of_file.st_ino && of_descriptor.st_dev == of_file.st_dev) {
      found = descriptor;
    }
  }
  REQUIRE(found >= 0);
  const int full = ::open("/dev/full", O_WRONLY);
  REQUIRE(full >= 0);
  REQUIRE(::dup2(full, found) == found);
  ::close(full);
  file.write(std::string_view("new"));
  CHECK_THROWS_WITH_AS(file.commit(), doctest::Contains("No space left on device"), radapt::error);
  CHECK(content(path) == "old");
}

TEST_CASE("permissions and links of a replaced file stay") {
  const Folder folder;
  const fs::path path = folder.path / "file", link = folder.path / "link";
  radapt::write_text_atomically(path, "old");
  const ::mode_t mask = ::umask(0);
  ::umask(mask);
  CHECK((static_cast<unsigned>(fs::status(path).permissions()) & 0777U) == (0666U & ~mask));
  fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write | fs::perms::group_read);
  fs::create_symlink("file", link);
  radapt::write_text_atomically(link, "new");
  CHECK(fs::is_symlink(link));
  CHECK_FALSE(fs::is_symlink(path));
  CHECK(content(path) == "new");
  CHECK((static_cast<unsigned>(fs::status(path).permissions()) & 0777U) == 0640U);
}

TEST_CASE("writers of one name at once leave one of their contents") {
  const Folder folder;
  const fs::path path = folder.path / "file";
  std::vector<std::thread> writers;
  for (int i = 0; i < 4; ++i) {
    writers.emplace_back([&path, i] {
      for (int turn = 0; turn < 10; ++turn) {
        radapt::write_text_atomically(path, std::string(50'000, static_cast<char>('a' + i)));
      }
    });
  }
  for (std::thread& writer : writers) { writer.join(); }
  const std::string text = content(path);
  REQUIRE(text.size() == 50'000);
  CHECK(text == std::string(50'000, text[0]));
  CHECK(folder.entries() == 1);
}

TEST_CASE("a mapped file is the file's bytes, for as long as the object lives") {
  const Folder folder;
  const fs::path path = folder.path / "file";
  radapt::write_text_atomically(path, "12345");
  MappedFile first(path);
  const std::byte* const address = first.bytes().data();
  MappedFile second = std::move(first);
  CHECK(second.bytes().data() == address);
  CHECK(second.size() == 5);
  CHECK(second.bytes()[4] == std::byte{'5'});
  CHECK(first.size() == 0);  // NOLINT(bugprone-use-after-move): moved-from is documented as empty
  // Replacing the file does not touch what is mapped.
  radapt::write_text_atomically(path, "1");
  CHECK(second.bytes()[4] == std::byte{'5'});
  first = MappedFile(path);
  CHECK(first.size() == 1);
  second = std::move(first);
  CHECK(second.size() == 1);
}

TEST_CASE("what is no readable regular file is not mapped") {
  const Folder folder;
  radapt::write_text_atomically(folder.path / "empty", "");
  CHECK(MappedFile(folder.path / "empty").bytes().empty());
  CHECK(MappedFile().bytes().empty());
  CHECK_THROWS_WITH_AS(MappedFile(folder.path / "none"), doctest::Contains("No such file or directory"), radapt::error);
  CHECK_THROWS_WITH_AS(MappedFile(folder.path.string()), doctest::Contains("a regular file, got a folder"),
                       radapt::error);
  // Opening a named pipe that nobody writes to must not wait.
  REQUIRE(::mkfifo((folder.path / "pipe").c_str(), 0600) == 0);
  CHECK_THROWS_WITH_AS(MappedFile(folder.path / "pipe"), doctest::Contains("got a special file"), radapt::error);
}

}  // namespace
