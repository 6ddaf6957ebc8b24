#pragma once
/// A small checker of well-formed XML, for pages and charts that are made of text.
#include <algorithm>
#include <cctype>
#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace radapt_test {

/// What is wrong with a text as XML, or an empty text if nothing is. Knows elements, attributes, the five named
/// entities, decimal character references and one document type declaration; anything else is reported as an error.
class XmlChecker {
 public:
  static std::string problem(std::string_view text) {
    XmlChecker checker(text);
    checker.document();
    return checker.problem_;
  }

 private:
  explicit XmlChecker(std::string_view text) : text_(text) {}

  void document() {
    skip_space();
    if (starts("<!DOCTYPE ")) { at_ = text_.find('>', at_) + 1; }
    skip_space();
    bool root = false;
    while (problem_.empty() && at_ < text_.size()) {
      if (text_[at_] == '<') {
        if (open_.empty() && root) { return complain("a second root element"); }
        root = true;
        starts("</") ? closing_tag() : opening_tag();
      } else if (open_.empty()) {
        if (std::isspace(static_cast<unsigned char>(text_[at_])) == 0) {
          return complain("text outside the root element");
        }
        ++at_;
      } else {
        character();
      }
    }
    if (problem_.empty() && !open_.empty()) { complain("<" + open_.back() + "> is never closed"); }
    if (problem_.empty() && !root) { complain("no root element"); }
  }

  void opening_tag() {
    ++at_;
    const std::string tag = name();
    std::set<std::string> seen;
    while (problem_.empty()) {
      const bool space = skip_space();
      if (starts("/>")) {
        at_ += 2;
        return;
      }
      if (starts(">")) {
        ++at_;
        open_.push_back(tag);
        return;
      }
      if (!space) { return complain("no space before an attribute of <" + tag + ">"); }
      const std::string attribute = name();
      if (!seen.insert(attribute).second) { return complain("attribute " + attribute + " twice in <" + tag + ">"); }
      if (!starts("=\"")) { return complain("no quoted value for " + attribute + " in <" + tag + ">"); }
      at_ += 2;
      while (problem_.empty() && !starts("\"")) {
        if (at_ >= text_.size() || text_[at_] == '<') { return complain("unclosed value of " + attribute); }
        character();
      }
      ++at_;
    }
  }
  void closing_tag() {
    at_ += 2;
    const std::string tag = name();
    if (!problem_.empty()) { return; }
    if (open_.empty() || open_.back() != tag) { return complain("</" + tag + "> closes nothing"); }
    open_.pop_back();
    if (!starts(">")) { return complain("</" + tag + " is not closed"); }
    ++at_;
  }
  void character() {
    const auto byte = static_cast<unsigned char>(text_[at_]);
    if (byte < 0x20 && byte != '\n' && byte != '\t' && byte != '\r') { return complain("a control character"); }
    if (byte == '&') {
      const std::size_t end = text_.find(';', at_);
      const std::string_view entity = text_.substr(at_, end == std::string_view::npos ? 1 : end - at_ + 1);
      static const std::set<std::string_view> named{"&amp;", "&lt;", "&gt;", "&quot;", "&apos;"};
      const bool numbered = entity.size() > 3 && entity[1] == '#' &&
                            entity.substr(2).find_first_not_of("0123456789") == entity.size() - 3;
      if (named.count(entity) == 0 && !numbered) { return complain("a stray &"); }
      at_ += entity.size();
      return;
    }
    ++at_;
  }
  std::string name() {
    const std::size_t start = at_;
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 || text_[at_] == '-')) {
      ++at_;
    }
    if (start == at_) { complain("a name is missing"); }
    return std::string(text_.substr(start, at_ - start));
  }
  bool starts(std::string_view what) const { return text_.substr(std::min(at_, text_.size()), what.size()) == what; }
  bool skip_space() {
    const std::size_t start = at_;
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0) { ++at_; }
    return at_ != start;
  }
  void complain(const std::string& what) {
    if (problem_.empty()) { problem_ = what + ", at byte " + std::to_string(at_); }
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::vector<std::string> open_;
  std::string problem_;
};

}  // namespace radapt_test
