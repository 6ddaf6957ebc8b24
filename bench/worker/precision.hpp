#pragma once
/// The backend for the precision that a row asks for.
#include <string_view>
#include <type_traits>

#include "bench/worker/work.hpp"
#include "radapt/backend/onednn/all.hpp"
#include "radapt/backend/onednn/bf16.hpp"

namespace radapt_bench {

/// Works that run in bf16, too.
inline bool knows_bf16(std::string_view work) { return work == "image" || work == "text" || work == "train_step"; }

/// Calls f(std::type_identity<Backend>{}).
template <class F>
auto with_backend(const Request& request, F&& f) {
  if (request.precision == "bf16") { return f(std::type_identity<radapt::onednn_bf16>{}); }
  return f(std::type_identity<radapt::onednn>{});
}

}  // namespace radapt_bench
