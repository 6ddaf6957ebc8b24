#pragma once
/// The memory that one head of attention works in.
#include "radapt/backend/onednn/avx512/registers.hpp"
#ifdef RADAPT_HAS_AVX512
#include "radapt/backend/onednn/loops.hpp"
#include "radapt/backend/onednn/pieces.hpp"

namespace radapt::detail::avx512 {

using cpu::Pieces;

/// Runs attend(o, sequence, head, memory) for all heads, with the memory of a Room for each thread.
template <class Room, class Op>
void for_each_head(onednn& device, const Op& o, void (*attend)(const Op&, Index, Index, char*)) {
  const Index bytes = Room(nullptr, o.sequences.longest(), o.y.columns / o.heads).pieces.bytes();
  char* const memory = device.workspace<char>(cpu::thread_count() * bytes);
  cpu::parallel_tasks(o.sequences.count * o.heads,
                      [&](Index i, Index thread) { attend(o, i / o.heads, i % o.heads, memory + thread * bytes); });
}

}  // namespace radapt::detail::avx512
#endif
