#pragma once
/// What all example programs do with their command line, their results and their errors.
#include <cmath>
#include <exception>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

namespace example {

/// Refuses what is a value of an option's type and yet no answer to it: nothing, a number that is none or has no end, a
/// count below zero (which would be read as a huge one).
inline void refuse_empty_values(CLI::App& app) {
  for (CLI::Option* const option : app.get_options()) {
    if (option->get_expected_max() == 0) { continue; }  // flags
    const std::string type = option->get_type_name();
    const bool is_count = type.starts_with("UINT"), is_number = type.starts_with("FLOAT");
    option->check(CLI::Validator(
        [is_count, is_number](const std::string& text) -> std::string {
          if (text.find_first_not_of(" \t") == std::string::npos) { return "expected a value, got nothing"; }
          if (is_count && text.find('-') != std::string::npos) { return "expected 0 or more, got " + text; }
          double number = 0;
          if (is_number && CLI::detail::lexical_cast(text, number) && !std::isfinite(number)) {
            return "expected a finite number, got " + text;
          }
          return {};
        },
        ""));
  }
  for (CLI::App* const part : app.get_subcommands([](CLI::App*) { return true; })) { refuse_empty_values(*part); }
}

/// Checks of numbers, in fewer digits than CLI11's say it.
inline CLI::Validator above_zero() {
  return CLI::Validator(
      [](const std::string& text) -> std::string {
        double number = 0;
        if (CLI::detail::lexical_cast(text, number) && number > 0 && std::isfinite(number)) { return {}; }
        return "expected a finite number above 0, got " + text;
      },
      "");
}
inline CLI::Validator not_below_zero() {
  return CLI::Validator(
      [](const std::string& text) -> std::string {
        double number = 0;
        if (CLI::detail::lexical_cast(text, number) && number >= 0 && std::isfinite(number)) { return {}; }
        return "expected a finite number, 0 or more, got " + text;
      },
      "");
}

/// Adds an option for learning rates, separated by commas.
inline CLI::Option* add_rates(CLI::App& app, const std::string& name, std::vector<double>& rates,
                              const std::string& description) {
  return app.add_option(name, rates, description)->delimiter(',')->check(above_zero());
}

/// Reads the command line; a value is the exit code to end with: 0 after --help, 1 after one sentence on what is wrong.
inline std::optional<int> parse(CLI::App& app, int argc, char** argv) {
  app.failure_message([](const CLI::App* a, const CLI::Error& e) {
    return fmt::format("radapt: {}: {}. See {} --help\n", a->get_name(), e.what(), a->get_name());
  });
  refuse_empty_values(app);
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

/// Where a program keeps its runs, and how often.
inline void add_checkpoint_options(CLI::App& app, std::filesystem::path& folder, std::uint64_t& every) {
  app.add_option("--checkpoints", folder,
                 "Folder in which runs are kept while they go on. Started again, the program\n"
                 "goes on from there; when all is written, they are removed. A run takes three\n"
                 "to four times its trained parameters");
  app.add_option("--checkpoint-every", every, "Steps from one to the next")->check(CLI::Range(1, 1000000));
}

}  // namespace example
