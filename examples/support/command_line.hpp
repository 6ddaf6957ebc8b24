#pragma once
/// What all example programs do with their command line, their results and their errors.
#include <exception>
#include <optional>
#include <string>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

namespace example {

/// Reads the command line; a value is the exit code to end with: 0 after --help, 1 after one sentence on what is wrong.
inline std::optional<int> parse(CLI::App& app, int argc, char** argv) {
  app.failure_message([](const CLI::App* a, const CLI::Error& e) {
    return fmt::format("radapt: {}: {}. See {} --help\n", a->get_name(), e.what(), a->get_name());
  });
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) { return app.exit(e) == 0 ? 0 : 1; }
  return std::nullopt;
}

/// The command line as it was typed, words with spaces in quotes.
inline std::string command_of(const std::string& program, int argc, char** argv) {
  std::string text = program;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    text += word.find(' ') == std::string::npos ? " " + word : " '" + word + "'";
  }
  return text;
}

}  // namespace example
