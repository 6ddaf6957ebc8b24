#pragma once
/// What a case is: the one description of an operation from which the agreement test, the gradient test and the
/// benchmark are made.
///
///     struct Negate {                                                // y = -x
///       template <class T> using operation = op::negate<T>;
///       struct Size { Index n; std::string title() const; };         // one problem
///       static std::vector<Size> tested();                           // odd, one, with a tail, empty where allowed
///       static std::vector<Timed<Size>> timed();                     // what real models run
///       static constexpr Tolerance tolerance = element_tolerance;    // normalised error, with its reason
///       static constexpr Threads threads = Threads::same_bits;
///       static Work work(const Size&);                               // flops, and elements read or written
///       template <class T> static operation<T> build(Memory<T>&, const Size&);   // buffers and fields
///       static void differentiate(Differentiation&, const Size&);    // only where the operation computes a gradient
///       static std::vector<Size> differentiated();                   // optional; else the tested sizes
///     };
#include <string>
#include <type_traits>
#include <vector>

#include "cases/blocks.hpp"
#include "cases/differentiation.hpp"
#include "radapt/backend/reference/reference.hpp"

namespace radapt_test {

/// Bounds on the normalised error (max |x - expected| / max |expected| over a buffer) against the reference in double.
struct Tolerance {
  double f32, f64;
  const char* reason;

  template <class T>
  constexpr double of() const {
    // Computed in float and rounded once, by 2^-8 of the element at most; 1 % for a tie that float has moved.
    if (std::is_same_v<T, radapt::bf16>) { return f32 + 1.01 * 0x1p-8; }
    static_assert(!std::is_same_v<T, radapt::f16>, "give Tolerance a bound for this type");
    return std::is_same_v<T, float> ? f32 : f64;
  }
};
inline constexpr Tolerance exact{0, 0, "values are copied"};
inline constexpr Tolerance element_tolerance{
    1e-6, 2e-15, "a handful of roundings of half a unit in the last place, 6e-8 or 1.1e-16"};
inline constexpr Tolerance sum_tolerance{1e-5, 2e-14,
                                         "sums of at most 1000 terms: roundings of half a unit in the last place (6e-8 "
                                         "or 1.1e-16) add up like a random walk, 2e-6 or 4e-15 of the largest result; "
                                         "times five for the rows with cancellation"};

/// Whether a backend whose loops are independent of the number of threads gives the same bits for this operation.
enum class Threads { same_bits, may_differ };

/// Arithmetic and traffic of one call: floating-point operations, and elements that are read or written once.
struct Work {
  double flops, elements;
};

/// A size with the name under which it is timed.
template <class Size>
struct Timed {
  std::string name;
  Size size;
};

/// The models whose shapes are timed; `tokens` per image at 224 pixels.
struct TimedModel {
  const char* name;
  Index tokens, width, heads, hidden, patch, text_width, text_heads;

  std::string at_batch() const;
  /// Parameters of full R-Adapters in both towers of 12 layers (24 in the image tower of L_14).
  Index trained() const { return 2 * ((width == 1024 ? 24 : 12) * width * width + 12 * text_width * text_width); }
};
#ifndef RADAPT_TIMED_BATCH
#define RADAPT_TIMED_BATCH 32
#endif
inline constexpr Index timed_batch = RADAPT_TIMED_BATCH, timed_context = 77, timed_vocabulary = 49408;
inline std::string TimedModel::at_batch() const { return std::string(name) + " batch " + std::to_string(timed_batch); }
inline constexpr TimedModel timed_models[] = {{"B_32", 50, 768, 12, 3072, 32, 512, 8},
                                              {"B_16", 197, 768, 12, 3072, 16, 512, 8},
                                              {"L_14", 257, 1024, 16, 4096, 14, 768, 12}};

/// One entry for each timed model: make(model) gives the size.
template <class Size, class Make>
std::vector<Timed<Size>> for_timed_models(Make&& make) {
  std::vector<Timed<Size>> all;
  for (const TimedModel& model : timed_models) { all.push_back({model.at_batch(), make(model)}); }
  return all;
}

/// A call of the operation on the reference backend.
template <class Op>
auto launched(const Op& o) {
  return [o] {
    radapt::reference device;
    launch(device, o);
  };
}

inline double number(Index n) { return static_cast<double>(n); }
inline std::string extents(Index rows, Index columns) { return std::to_string(rows) + " x " + std::to_string(columns); }

}  // namespace radapt_test
