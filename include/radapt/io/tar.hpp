#pragma once
/// Where the files in a tar archive lie, so that any of them can be read without the others: ustar, pax and GNU names.
#include <archive.h>
#include <archive_entry.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "radapt/core/error.hpp"
#include "radapt/core/shape.hpp"
#include "radapt/io/quoted_name.hpp"

namespace radapt::tar {

/// A regular file in an archive.
struct Member {
  std::string name;          ///< as it is in the archive, in UTF-8 where it says so
  std::uint64_t offset = 0;  ///< of its first byte in the archive
  std::uint64_t size = 0;    ///< bytes
};

namespace detail {

struct CloseArchive {
  void operator()(::archive* handle) const { ::archive_read_free(handle); }
};

[[noreturn]] inline void broken(const std::filesystem::path& path, const std::string& last, const std::string& got) {
  fail({.what = "reading '" + path.string() + "'",
        .expected = "a whole tar archive",
        .got = got + (last.empty() ? " at its beginning" : " after the member " + quoted_name(last)),
        .hint = last.empty() ? "Shards are plain tar files; unpack a .tar.gz first" : ""});
}

}  // namespace detail

/// The regular files of the archive `path` in their order; links, folders and devices are passed over. Headers are
/// read, content is not. Errors: no such file, no tar archive, a damaged header, content that is cut off, a sparse
/// file; each names the member before.
inline std::vector<Member> list(const std::filesystem::path& path) {
  std::error_code problem;
  const std::uint64_t file_size = std::filesystem::file_size(path, problem);
  if (problem || !std::filesystem::is_regular_file(path)) {
    fail({.what = "reading '" + path.string() + "'",
          .expected = "a tar archive",
          .got = problem ? problem.message() : "no regular file",
          .hint = {}});
  }
  const std::unique_ptr<::archive, detail::CloseArchive> reader(::archive_read_new());
  if (reader == nullptr) { detail::broken(path, {}, "no memory"); }
  ::archive* const handle = reader.get();
  ::archive_read_support_format_tar(handle);
  const auto reason = [handle] {
    const char* const text = ::archive_error_string(handle);
    return text == nullptr ? std::string("an error") : "an error (" + std::string(text) + ")";
  };
  constexpr std::size_t block = 10240;
  std::string last;
  if (::archive_read_open_filename(handle, path.c_str(), block) != ARCHIVE_OK) { detail::broken(path, last, reason()); }

  std::vector<Member> members;
  // Headers of one member may take several blocks, so its content is found from the other side: it ends, filled up to
  // whole blocks of 512 bytes, where the next header begins.
  std::vector<Member> waiting;
  while (true) {
    ::archive_entry* entry = nullptr;
    const int status = ::archive_read_next_header(handle, &entry);
    if (status < ARCHIVE_WARN) { detail::broken(path, last, reason()); }
    const auto here = static_cast<std::uint64_t>(::archive_read_header_position(handle));
    if (!waiting.empty()) {
      Member member = std::move(waiting.back());
      waiting.clear();
      const std::uint64_t filled = (member.size + 511) / 512 * 512;
      member.offset = here - filled;
      if (here < filled || member.offset + member.size > file_size) {
        detail::broken(path, last, "content that is cut off");
      }
      members.push_back(std::move(member));
    }
    if (status == ARCHIVE_EOF) { return members; }
    // In the locale that a program starts in, names come out as the bytes that they are in the archive.
    const char* name = ::archive_entry_pathname(entry);
    if (name == nullptr) { name = ::archive_entry_pathname_utf8(entry); }
    if (name == nullptr) { detail::broken(path, last, "a name that is no text"); }
    last = name;
    if (::archive_entry_filetype(entry) != AE_IFREG) { continue; }
    if (::archive_entry_sparse_count(entry) > 0) { detail::broken(path, last, "a sparse file"); }
    const auto size = static_cast<std::uint64_t>(::archive_entry_size(entry));
    if (size > file_size) { detail::broken(path, last, "content that is cut off"); }
    waiting.push_back({.name = last, .offset = 0, .size = size});
  }
}

/// The content of `member` of the archive `path`. Errors: the archive cannot be read, or has become shorter.
inline std::vector<std::byte> read(const std::filesystem::path& path, const Member& member) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(member.size));
  std::ifstream stream(path, std::ios::binary);
  stream.seekg(static_cast<std::streamoff>(member.offset));
  stream.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  if (!stream || static_cast<std::uint64_t>(stream.gcount()) != member.size) {
    fail({.what = "reading " + quoted_name(member.name) + " in '" + path.string() + "'",
          .expected = std::to_string(member.size) + " bytes",
          .got = stream.is_open() ? std::to_string(stream.gcount()) : "a file that cannot be opened",
          .hint = "The archive changed while it was used, or the disk failed"});
  }
  return bytes;
}

}  // namespace radapt::tar
