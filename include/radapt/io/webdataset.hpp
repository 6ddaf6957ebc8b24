#pragma once
/// WebDataset: samples in tar shards, the files of a sample side by side under one key (clip_compat.md 5.3).
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "radapt/io/json_document.hpp"
#include "radapt/io/sample_source.hpp"
#include "radapt/io/shard_names.hpp"
#include "radapt/io/tar.hpp"

namespace radapt {

/// Which members of a sample mean what. The defaults are open_clip's.
struct WebDatasetOptions {
  std::vector<std::string> image{"jpg", "png", "jpeg", "webp"};  ///< extensions, the first that is there counts
  std::string label = "cls";                                     ///< a whole number in decimal
  std::string caption = "txt";                                   ///< UTF-8 text
  bool caption_per_line = false;  ///< each line of the text is a caption: CLIP_benchmark's retrieval sets
  std::string json = "json";      ///< an object, read only where one of the next three is named
  std::string json_label{}, json_group{},
      json_caption{};          ///< its keys: whole numbers, and a string or a list of strings
  bool needs_label = false;    ///< a sample without a label counts as unreadable
  bool needs_caption = false;  ///< likewise without a caption
};

namespace detail {

/// `a/b.c.jpg` has the key `a/b` and the extension `c.jpg`, in lower case: a name is split at the first dot after its
/// last slash. Both are empty where a name has no dot, or nothing before it.
inline std::pair<std::string_view, std::string> split_member_name(std::string_view name) {
  const std::size_t slash = name.rfind('/'), begin = slash == std::string_view::npos ? 0 : slash + 1;
  const std::size_t dot = name.find('.', begin);
  if (dot == std::string_view::npos || dot == begin) { return {}; }
  std::string extension(name.substr(dot + 1));
  for (char& c : extension) { c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
  return {name.substr(0, dot), std::move(extension)};
}

/// The whole number in `text`, spaces around it left out.
inline std::int32_t whole_number(std::string_view text, const std::string& name) {
  const auto space = [](char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; };
  std::string_view digits = text;
  while (!digits.empty() && space(digits.front())) { digits.remove_prefix(1); }
  while (!digits.empty() && space(digits.back())) { digits.remove_suffix(1); }
  std::int32_t number = 0;
  const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (problem != std::errc{} || end != digits.data() + digits.size() || number < 0) {
    fail({.what = "reading '" + name + "'", .expected = "a whole number from 0", .got = quoted_name(text), .hint = {}});
  }
  return number;
}

}  // namespace detail

/// The samples of shards on disk, found once by reading all headers: consecutive members with the same key are one
/// sample, and a repeated extension begins another. What stays in memory is a name and the positions of each sample,
/// some 200 bytes; content is read sample by sample, in any order. Names of the form `__x__`, folders and links are
/// passed over, and so are names without an extension.
class WebDataset {
 public:
  /// A sample: where its members lie.
  struct Sample {
    std::string key;
    Index shard = 0;
    std::vector<std::pair<std::string, tar::Member>> members;  ///< by extension; members have no names of their own
  };

  /// Opens the shards `pattern` stands for (see shard_names). Errors: a shard that is missing, damaged or cut off,
  /// which is named, and shards without any sample.
  explicit WebDataset(std::string_view pattern, WebDatasetOptions options = {})
      : WebDataset(shard_names(pattern), std::move(options)) {}
  explicit WebDataset(const std::vector<std::string>& shards, WebDatasetOptions options = {})
      : options_(std::move(options)) {
    for (const std::string& shard : shards) { add_shard(shard); }
    if (samples_.empty()) {
      fail({.what = "opening " + std::to_string(shards.size()) + " shards" +
                    (shards.empty() ? std::string() : ", the first '" + shards.front() + "'"),
            .expected = "at least one sample",
            .got = "none",
            .hint = "A member is named key.extension, such as 000001.jpg"});
    }
  }

  Index size() const { return samples_.size(); }
  Index shards() const { return shards_.size(); }
  const Sample& sample(Index i) const { return samples_.at(i); }
  std::string name(Index i) const { return shards_[samples_.at(i).shard].string() + ":" + samples_[i].key; }

  /// The bytes of the member of sample i with that extension (lower case). Error: it has none.
  std::vector<std::byte> member(Index i, std::string_view extension) const {
    const tar::Member* const found = find(samples_.at(i), extension);
    if (found == nullptr) { lacks(i, "a member ." + std::string(extension)); }
    return tar::read(shards_[samples_[i].shard], *found);
  }

  /// The label of sample i, or -1, without reading its image. Errors: as read.
  std::int32_t label(Index i) const {
    RawSample raw;
    add_label(i, raw);
    add_json(i, raw);
    return raw.label;
  }

  /// The image, label, group and captions of sample i. Errors: no image, a label that is no number from 0, what is
  /// needed and absent, JSON that does not hold what it should.
  RawSample read(Index i) const {
    const Sample& sample = samples_.at(i);
    RawSample raw;
    const tar::Member* image = nullptr;
    for (const std::string& extension : options_.image) {
      if (image == nullptr) { image = find(sample, extension); }
    }
    if (image == nullptr) { lacks(i, "an image"); }
    raw.image = tar::read(shards_[sample.shard], *image);
    add_label(i, raw);
    if (find(sample, options_.caption) != nullptr) { add_captions(text(i, options_.caption), raw.captions); }
    add_json(i, raw);
    if (options_.needs_label && raw.label < 0) { lacks(i, "a label"); }
    if (options_.needs_caption && raw.captions.empty()) { lacks(i, "a caption"); }
    return raw;
  }

 private:
  void add_shard(const std::string& shard) {
    std::vector<tar::Member> members = tar::list(shard);
    const Index number = shards_.size();
    shards_.emplace_back(shard);
    bool open = false;  // whether the last sample is of this shard and may go on
    for (tar::Member& member : members) {
      const std::string_view top = std::string_view(member.name).substr(0, member.name.find('/'));
      const bool meta = top.size() >= 4 && top.starts_with("__") && top.ends_with("__");
      auto split = detail::split_member_name(member.name);
      if (meta || split.first.empty()) { continue; }
      if (!open || samples_.back().key != split.first || find(samples_.back(), split.second) != nullptr) {
        samples_.push_back({.key = std::string(split.first), .shard = number, .members = {}});
        open = true;
      }
      samples_.back().members.emplace_back(std::move(split.second),
                                           tar::Member{.name = {}, .offset = member.offset, .size = member.size});
    }
  }

  static const tar::Member* find(const Sample& sample, std::string_view extension) {
    for (const auto& [known, member] : sample.members) {
      if (known == extension) { return &member; }
    }
    return nullptr;
  }
  [[noreturn]] void lacks(Index i, const std::string& what) const {
    std::string got;
    for (const auto& [extension, member] : samples_[i].members) { got += (got.empty() ? "." : ", .") + extension; }
    fail({.what = "reading '" + name(i) + "'", .expected = what, .got = got, .hint = {}});
  }
  std::string text(Index i, std::string_view extension) const {
    const auto bytes = member(i, extension);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  void add_label(Index i, RawSample& raw) const {
    if (find(samples_.at(i), options_.label) == nullptr) { return; }
    raw.label = detail::whole_number(text(i, options_.label), name(i) + "." + options_.label);
  }
  void add_json(Index i, RawSample& raw) const {
    const bool reads_json =
        !options_.json_label.empty() || !options_.json_group.empty() || !options_.json_caption.empty();
    if (reads_json && find(samples_[i], options_.json) != nullptr) { read_json_member(i, raw); }
  }
  void add_captions(const std::string& whole, std::vector<std::string>& captions) const {
    if (!options_.caption_per_line) {
      captions.push_back(whole);
      return;
    }
    for (std::size_t begin = 0; begin < whole.size();) {
      const std::size_t end = std::min(whole.find('\n', begin), whole.size());
      const bool carriage = end > begin && whole[end - 1] == '\r';
      if (end - begin > (carriage ? 1U : 0U)) {
        captions.push_back(whole.substr(begin, end - begin - (carriage ? 1 : 0)));
      }
      begin = end + 1;
    }
  }

  void read_json_member(Index i, RawSample& raw) const {
    const std::string file = name(i) + "." + options_.json;
    const nlohmann::json document = parse_json(member(i, options_.json), file);
    const auto wrong = [&](const std::string& key, const char* expected) {
      fail({.what = "reading '" + file + "'",
            .expected = std::string(expected) + " under " + quoted_name(key),
            .got = document.contains(key) ? "JSON of type " + std::string(document[key].type_name()) : "no such key",
            .hint = {}});
    };
    const auto number = [&](const std::string& key, std::int32_t& value) {
      if (key.empty()) { return; }
      const auto found = document.find(key);
      if (found == document.end() || !found->is_number_integer() || found->get<std::int64_t>() < 0 ||
          found->get<std::int64_t>() > std::numeric_limits<std::int32_t>::max()) {
        wrong(key, "a whole number from 0");
      }
      value = found->get<std::int32_t>();
    };
    number(options_.json_label, raw.label);
    number(options_.json_group, raw.group);
    if (options_.json_caption.empty()) { return; }
    const auto found = document.find(options_.json_caption);
    const bool list = found != document.end() && found->is_array();
    if (!list && (found == document.end() || !found->is_string())) {
      wrong(options_.json_caption, "a string or a list of strings");
    }
    if (!list) { raw.captions.push_back(found->get<std::string>()); }
    for (Index k = 0; list && k < found->size(); ++k) {
      if (!(*found)[k].is_string()) { wrong(options_.json_caption, "a string or a list of strings"); }
      raw.captions.push_back((*found)[k].get<std::string>());
    }
  }

  WebDatasetOptions options_;
  std::vector<std::filesystem::path> shards_;
  std::vector<Sample> samples_;
};

}  // namespace radapt
