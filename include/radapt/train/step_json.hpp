#pragma once
/// A step as a line of a log.
#include <string>

#include <nlohmann/json.hpp>

#include "radapt/io/json_lines.hpp"
#include "radapt/train/trainer.hpp"

namespace radapt {

/// {"step": 3, "loss": 1.5, "lr": 1e-05, "grad_norm": 0.7, "terms": {"toward_base": 0.1}}, for JsonLines::write;
/// without "terms" for a loss that has none. `loss` holds them already.
inline nlohmann::ordered_json step_json(const StepReport& report) {
  nlohmann::ordered_json line{
      {"step", report.step}, {"loss", report.loss}, {"lr", report.lr}, {"grad_norm", report.grad_norm}};
  for (const TermValue& term : report.terms) { line["terms"][std::string(term.name)] = term.value; }
  return line;
}

}  // namespace radapt
