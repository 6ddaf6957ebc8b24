#pragma once
/// The header of a safetensors file: from untrusted bytes to validated tensors (docs of the format: u64 little-endian
/// length N, N bytes of JSON, data).
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "radapt/core/error.hpp"
#include "radapt/io/quoted_name.hpp"
#include "radapt/io/safetensors_tensor.hpp"

namespace radapt::safetensors {

/// Largest header that the format allows, in bytes.
inline constexpr std::uint64_t largest_header = 100'000'000;

/// A validated file: its tensors under their names, as views of the bytes that were parsed.
struct Content {
  std::map<std::string, Tensor> tensors;
  Metadata metadata;
};

/// One tensor as the header states it, before its offsets have been compared with those of the others.
struct HeaderEntry {
  std::string name;
  DType dtype = DType::U8;
  std::vector<std::uint64_t> shape;
  std::array<std::uint64_t, 2> offsets{};
};

/// Receives the header's JSON piece by piece. Nothing of it is kept but what a header may hold, so that memory stays
/// proportional to the text, nesting is limited to three levels and a repeated name is seen.
class HeaderReader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit HeaderReader(std::string file) : file_(std::move(file)) {}

  std::vector<HeaderEntry> take_entries() { return std::move(entries_); }
  Metadata take_metadata() { return std::move(metadata_); }

  bool null() override { wrong("null"); }
  bool boolean(bool) override { wrong("a boolean"); }
  bool number_integer(number_integer_t value) override { wrong("the number " + std::to_string(value)); }
  bool number_float(number_float_t, const string_t& text) override { wrong("the number " + text.substr(0, 40)); }
  bool binary(binary_t&) override { wrong("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (place_ == Place::shape) {
      entries_.back().shape.push_back(value);
    } else if (place_ == Place::offsets) {
      if (offset_count_ == 2) { complain("'data_offsets' of " + quoted_name(name_), "two numbers", "more"); }
      entries_.back().offsets[offset_count_++] = value;
    } else {
      wrong("the number " + std::to_string(value));
    }
    return true;
  }

  bool string(string_t& text) override {
    if (place_ == Place::metadata) {
      metadata_.append(std::move(key_), std::move(text));
    } else if (place_ == Place::dtype) {
      const auto type = dtype_of(text);
      if (!type) {
        complain("the dtype of " + quoted_name(name_), "a tag of the format such as F32 or BF16", quoted_name(text));
      }
      entries_.back().dtype = *type;
      place_ = Place::entry;
    } else {
      wrong("the text " + quoted_name(text));
    }
    return true;
  }

  bool start_object(std::size_t) override {
    switch (place_) {
      case Place::document:
        place_ = Place::top;
        return true;
      case Place::top:
        if (name_ == "__metadata__") {
          place_ = Place::metadata;
        } else {
          place_ = Place::entry;
          seen_ = {};
          entries_.emplace_back();
          entries_.back().name = name_;
        }
        return true;
      default:
        wrong("an object");
    }
  }

  bool key(string_t& text) override {
    if (place_ == Place::top) {
      if (!names_.insert(text).second) { complain("header", "distinct tensor names", quoted_name(text) + " twice"); }
      name_ = std::move(text);
    } else if (place_ == Place::metadata) {
      if (!metadata_names_.insert(text).second) {
        complain("metadata", "distinct names", quoted_name(text) + " twice");
      }
      key_ = std::move(text);
    } else {
      const std::size_t field = text == "dtype" ? 0U : text == "shape" ? 1U : text == "data_offsets" ? 2U : 3U;
      if (field == 3U) {
        complain("entry " + quoted_name(name_), "only 'dtype', 'shape' and 'data_offsets'", quoted_name(text));
      }
      if (seen_[field]) { complain("entry " + quoted_name(name_), "each key once", quoted_name(text) + " twice"); }
      seen_[field] = true;
      constexpr std::array<Place, 3> values{Place::dtype, Place::before_shape, Place::before_offsets};
      place_ = values[field];
    }
    return true;
  }

  bool end_object() override {
    if (place_ == Place::entry) {
      constexpr std::array<std::string_view, 3> fields{"dtype", "shape", "data_offsets"};
      for (std::size_t field = 0; field < fields.size(); ++field) {
        if (!seen_[field]) {
          complain("entry " + quoted_name(name_), "the key '" + std::string(fields[field]) + "'", "none");
        }
      }
      place_ = Place::top;
    } else if (place_ == Place::metadata) {
      place_ = Place::top;
    } else {
      place_ = Place::document;
    }
    return true;
  }

  bool start_array(std::size_t) override {
    if (place_ == Place::before_shape) {
      place_ = Place::shape;
    } else if (place_ == Place::before_offsets) {
      place_ = Place::offsets;
      offset_count_ = 0;
    } else {
      wrong("a list");
    }
    return true;
  }

  bool end_array() override {
    if (place_ == Place::offsets && offset_count_ != 2) {
      complain("'data_offsets' of " + quoted_name(name_), "two numbers", std::to_string(offset_count_));
    }
    place_ = Place::entry;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception&) override {
    complain("header", "valid JSON in UTF-8", "an error at byte " + std::to_string(position) + " of the header");
  }

 private:
  enum class Place { document, top, metadata, entry, dtype, before_shape, shape, before_offsets, offsets };

  [[noreturn]] void complain(const std::string& subject, std::string expected, std::string got) const {
    fail({.what = "reading '" + file_ + "': " + subject,
          .expected = std::move(expected),
          .got = std::move(got),
          .hint = {}});
  }

  /// A value of the wrong type: says what belongs here.
  [[noreturn]] void wrong(std::string got) const {
    switch (place_) {
      case Place::document:
        complain("header", "a JSON object", std::move(got));
      case Place::top:
        complain("header", "an object for " + quoted_name(name_), std::move(got));
      case Place::metadata:
        complain("metadata", "a text for " + quoted_name(key_), std::move(got));
      case Place::entry:
      case Place::dtype:
        complain("the dtype of " + quoted_name(name_), "a text", std::move(got));
      case Place::before_shape:
        complain("'shape' of " + quoted_name(name_), "a list of whole numbers", std::move(got));
      case Place::shape:
        complain("'shape' of " + quoted_name(name_), "whole numbers from 0 to 2^64-1", std::move(got));
      case Place::before_offsets:
        complain("'data_offsets' of " + quoted_name(name_), "a list of two numbers", std::move(got));
      case Place::offsets:
        complain("'data_offsets' of " + quoted_name(name_), "whole numbers from 0 to 2^64-1", std::move(got));
    }
    complain("header", "a header of the format", std::move(got));
  }

  std::string file_;
  Place place_ = Place::document;
  std::string name_;  ///< of the entry being read
  std::string key_;   ///< of the metadata entry whose text comes next
  std::array<bool, 3> seen_{};
  std::size_t offset_count_ = 0;
  std::unordered_set<std::string> names_;
  std::unordered_set<std::string> metadata_names_;
  std::vector<HeaderEntry> entries_;
  Metadata metadata_;
};

/// Places the entries in the data buffer. They must fill it exactly: sorted by offset, each begins where the one before
/// ends, and its length is that of its shape and type.
inline std::map<std::string, Tensor> place_tensors(std::vector<HeaderEntry> entries, std::span<const std::byte> buffer,
                                                   const std::string& file) {
  const auto complain = [&file](const std::string& name, std::string expected, std::string got) {
    fail({.what = "reading '" + file + "': tensor " + quoted_name(name),
          .expected = std::move(expected),
          .got = std::move(got),
          .hint = "The file is damaged or was written by a faulty program"});
  };
  std::sort(entries.begin(), entries.end(),
            [](const HeaderEntry& a, const HeaderEntry& b) { return a.offsets < b.offsets; });
  std::map<std::string, Tensor> tensors;
  std::uint64_t previous_end = 0;
  for (HeaderEntry& entry : entries) {
    const auto [begin, end] = std::pair(entry.offsets[0], entry.offsets[1]);
    if (end < begin) {
      complain(entry.name, "data_offsets in ascending order", std::to_string(begin) + ", " + std::to_string(end));
    }
    if (begin != previous_end) {
      complain(entry.name, "data that begins at byte " + std::to_string(previous_end) + ", where other data ends",
               std::to_string(begin) + (begin < previous_end ? " (overlap)" : " (hole)"));
    }
    const auto length = byte_size(entry.dtype, entry.shape);
    if (!length) {
      complain(entry.name, "a shape whose size fits 64 bits and whole bytes",
               std::string(tag(entry.dtype)) + " " + spell(entry.shape));
    } else if (end - begin != *length) {
      complain(entry.name,
               std::to_string(*length) + " bytes for " + std::string(tag(entry.dtype)) + " " + spell(entry.shape),
               std::to_string(end - begin));
    }
    if (end > buffer.size()) {
      complain(entry.name, "data that ends within the " + std::to_string(buffer.size()) + " bytes after the header",
               std::to_string(end));
    }
    previous_end = end;
    Tensor tensor{entry.dtype, std::move(entry.shape),
                  buffer.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin))};
    tensors.emplace(std::move(entry.name), std::move(tensor));
  }
  if (previous_end != buffer.size()) {
    fail({.what = "reading '" + file + "'",
          .expected = "tensors that fill all " + std::to_string(buffer.size()) + " bytes after the header",
          .got = std::to_string(previous_end),
          .hint = "The file is damaged or was written by a faulty program"});
  }
  return tensors;
}

/// Validates a whole file in memory by every rule of the format; `file` names it in messages. The tensors are views of
/// `bytes`. Errors: a length field that is missing or out of range, a header that is not the JSON the format allows, a
/// name twice, offsets that leave a hole, overlap, leave the data or disagree with type and shape.
inline Content parse_content(std::span<const std::byte> bytes, const std::string& file) {
  const auto complain = [&file](std::string expected, std::string got) {
    fail({.what = "reading '" + file + "'",
          .expected = std::move(expected),
          .got = std::move(got),
          .hint = "This is no complete safetensors file"});
  };
  if (bytes.size() < 8) {
    complain("at least the 8 bytes of the header length", std::to_string(bytes.size()) + " bytes");
  }
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < 8; ++i) { length |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i); }
  if (length > largest_header) {
    complain("a header of at most " + std::to_string(largest_header) + " bytes", std::to_string(length));
  }
  if (length > bytes.size() - 8) {
    complain("a header of " + std::to_string(length) + " bytes",
             "only " + std::to_string(bytes.size() - 8) + " bytes after the length");
  }
  const auto header = bytes.subspan(8, static_cast<std::size_t>(length));
  if (header.empty() || header.front() != std::byte{'{'}) {
    complain("a header that begins with '{'", header.empty() ? "an empty header" : "another character");
  }
  // The JSON parser takes a zero byte for the end of its input and would not look at what follows.
  if (std::memchr(header.data(), 0, header.size()) != nullptr) { complain("a header of text", "a zero byte in it"); }
  HeaderReader reader(file);
  const char* const text = reinterpret_cast<const char*>(header.data());
  nlohmann::json::sax_parse(text, text + header.size(), &reader);
  Content content;
  content.tensors = place_tensors(reader.take_entries(), bytes.subspan(8 + header.size()), file);
  content.metadata = reader.take_metadata();
  return content;
}

}  // namespace radapt::safetensors
