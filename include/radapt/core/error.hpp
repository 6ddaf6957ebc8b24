#pragma once
/// The one exception that radapt throws at run time, and the way its message is built.
#include <stdexcept>
#include <string>
#include <string_view>

namespace radapt {

/// Thrown for every mistake that can only be seen at run time: a bad file, an option out of range, a misshapen tensor.
///
/// The message has up to four parts in a fixed order, so that it can be read at a glance and searched for:
/// `radapt: <what>: expected <expected>, got <got>. <hint>`
class error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The parts of an error message. Every part may be empty; `what` names the operation and its subject.
struct complaint {
  std::string what = {};      ///< what was being done, and to which file, tensor or option
  std::string expected = {};  ///< the rule that was broken, with its value
  std::string got = {};       ///< the value found
  std::string hint = {};      ///< what a user can do about it; a whole sentence
};

/// Spells a complaint as one sentence: `radapt: what: expected e, got g. Hint.`
inline std::string describe(const complaint& c) {
  std::string text = "radapt: " + c.what;
  if (!c.expected.empty()) {
    text += ": expected " + c.expected;
    if (!c.got.empty()) { text += ", got " + c.got; }
  } else if (!c.got.empty()) {
    text += ": got " + c.got;
  }
  if (!c.hint.empty()) { text += ". " + c.hint; }
  return text;
}

/// Throws `error` with the message of `c`.
[[noreturn]] inline void fail(const complaint& c) { throw error(describe(c)); }

}  // namespace radapt
