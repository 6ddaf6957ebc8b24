/// Every kernel of the oneDNN backend against the reference backend in double, on the same inputs.
///
/// Each comparison also checks that nothing beside the outputs is written, that a repeated call gives the same bits,
/// that one thread gives the bits of two where the backend promises it, and that a repeated call allocates nothing.
#include <dlfcn.h>
#include <doctest/doctest.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <numeric>
#include <string_view>
#include <utility>
#include <vector>

#include "radapt/backend/onednn/all.hpp"
#include "radapt/backend/reference/all.hpp"
#include "radapt/backend/run.hpp"
#include "radapt/core/random.hpp"
#include "radapt/op/all.hpp"
#include "tests/support/tolerance.hpp"

namespace {
std::atomic<long> allocations{0};
std::atomic<bool> counting{false};

/// Counts an allocation unless oneDNN itself asked for it: it makes a table of arguments in every execution.
void count_allocation(void* caller) {
  if (!counting) { return; }
  Dl_info info{};
  const bool known = dladdr(caller, &info) != 0 && info.dli_fname != nullptr;
  if (!known || std::string_view{info.dli_fname}.find("dnnl") == std::string_view::npos) { ++allocations; }
}
}  // namespace

// Replaced for the whole executable; they do what the default ones do, and count. Not inlined: g++ would see `free`
// meet `new` in the caller and warn.
[[gnu::noinline]] void* operator new(std::size_t n) {
  count_allocation(__builtin_return_address(0));
  if (void* p = std::malloc(n == 0 ? 1 : n)) { return p; }
  throw std::bad_alloc{};
}
[[gnu::noinline]] void* operator new(std::size_t n, std::align_val_t alignment) {
  count_allocation(__builtin_return_address(0));
  const auto a = static_cast<std::size_t>(alignment);
  if (void* p = std::aligned_alloc(a, (n + a - 1) / a * a)) { return p; }
  throw std::bad_alloc{};
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }

namespace {
using namespace radapt;

template <class... Ops>
constexpr bool all_in_float_only(op::list<Ops...>) {
  return (... && (has_kernel<Ops, onednn> == std::is_same_v<typename Ops::element, float>));
}
static_assert(all_in_float_only(op::all<float>{}) && all_in_float_only(op::all<double>{}));

/// The same numbers as T for whoever asks in the same order, with guards around them. Outputs that a kernel must
/// overwrite begin as NaN.
template <class T>
class Memory {
 public:
  T* input(Index n, double low = -1, double high = 1) { return take(n, Use::read, low, high); }
  T* updated(Index n, double low = -1, double high = 1) { return take(n, Use::written, low, high); }
  T* output(Index n) {
    T* const p = take(n, Use::written, 0, 1);
    std::fill_n(p, n, static_cast<T>(NAN));
    return p;
  }
  T* given(const std::vector<double>& values) {
    T* const p = take(values.size(), Use::read, 0, 1);
    for (Index i = 0; i < values.size(); ++i) { p[i] = blocks_.back().initial[i] = static_cast<float>(values[i]); }
    return p;
  }
  double* sum(double first) {
    sums_.push_back(std::make_unique<double>(first));
    return sums_.back().get();
  }

  /// Largest normalised error of an output or a sum against `expected`, or NaN.
  template <class U>
  double error_against(const Memory<U>& expected) const {
    double worst = 0;
    for (Index b = 0; b < blocks_.size(); ++b) {
      if (blocks_[b].use == Use::read) { continue; }
      REQUIRE(blocks_[b].size == expected.blocks_[b].size);
      const double e = radapt_test::normalised_error(blocks_[b].begin(), expected.blocks_[b].begin(), blocks_[b].size);
      worst = e > worst || std::isnan(e) ? e : worst;
    }
    for (Index i = 0; i < sums_.size(); ++i) {
      const double e = radapt_test::normalised_error(sums_[i].get(), expected.sums_[i].get(), 1);
      worst = e > worst || std::isnan(e) ? e : worst;
    }
    return worst;
  }
  bool same_bits(const Memory& other) const {
    for (Index b = 0; b < blocks_.size(); ++b) {
      if (std::memcmp(blocks_[b].begin(), other.blocks_[b].begin(), blocks_[b].size * sizeof(T)) != 0) { return false; }
    }
    for (Index i = 0; i < sums_.size(); ++i) {
      if (std::memcmp(sums_[i].get(), other.sums_[i].get(), sizeof(double)) != 0) { return false; }
    }
    return true;
  }
  /// Whether guards and inputs are as they were.
  bool only_outputs_changed() const {
    for (const Block& b : blocks_) {
      for (Index i = 0; i < guard; ++i) {
        if (b.storage[i] != sentinel || b.storage[guard + b.size + i] != sentinel) { return false; }
      }
      if (b.use == Use::read && !std::equal(b.initial.begin(), b.initial.end(), b.begin())) { return false; }
    }
    return true;
  }

 private:
  template <class>
  friend class Memory;
  enum class Use { read, written };
  // Odd, so that no buffer begins on the boundary of a vector register.
  static constexpr Index guard = 17;
  static constexpr T sentinel = T{12345};

  struct Block {
    Buffer<T> storage;  // aligned alike in every run: the order of Eigen's sums depends on the address
    std::vector<T> initial;
    Index size;
    Use use;
    const T* begin() const { return storage.data() + guard; }
  };
  T* take(Index n, Use use, double low, double high) {
    Block b{Buffer<T>{n + 2 * guard}, std::vector<T>(n), n, use};
    std::fill(b.storage.begin(), b.storage.end(), sentinel);
    for (T& x : b.initial) {
      const std::uint32_t word = philox({count_++, 0, 0, 0}, {1, 2})[0];
      x = static_cast<T>(static_cast<float>(low + (high - low) * static_cast<double>(unit_interval(word))));
    }
    std::copy(b.initial.begin(), b.initial.end(), b.storage.data() + guard);
    blocks_.push_back(std::move(b));
    return blocks_.back().storage.data() + guard;
  }

  std::vector<Block> blocks_;
  std::vector<std::unique_ptr<double>> sums_;
  std::uint32_t count_ = 0;
};

void use_threads([[maybe_unused]] int n) {
#ifdef _OPENMP
  omp_set_num_threads(n);
#endif
}

/// One for all cases, so that the workspace is dirty and primitives are met again.
onednn& device() {
  static onednn d;
  return d;
}

enum class Threads { same_bits, may_differ };

// Sums: K <= 1000 roundings of half a unit in the last place (6e-8) that add up like a random walk, 2e-6 of the largest
// result, times five for the rows with cancellation.
constexpr double sum_tolerance = 1e-5;
// Single elements: a handful of roundings of 6e-8.
constexpr double element_tolerance = 1e-6;

/// build(memory) takes buffers and makes the operation.
template <class Build>
void compare(double tolerance, Threads threads, Build&& build) {
  Memory<double> expected;
  reference oracle;
  launch(oracle, build(expected));

  use_threads(2);
  Memory<float> first, again, alone;
  const auto o = build(first);
  launch(device(), o);
  CHECK(first.error_against(expected) <= tolerance);
  CHECK(first.only_outputs_changed());

  launch(device(), build(again));
  CHECK(again.same_bits(first));

  use_threads(1);
  const auto alone_o = build(alone);
  launch(device(), alone_o);
  if (threads == Threads::same_bits) { CHECK(alone.same_bits(first)); }
  CHECK(alone.error_against(expected) <= tolerance);

  use_threads(2);
  allocations = 0;
  counting = true;
  launch(device(), o);
  counting = false;
  CHECK(allocations == 0);
}

/// Sequences of given lengths, with what they point to.
struct Packed {
  explicit Packed(const std::vector<Index>& lengths) {
    offsets.push_back(0);
    for (const Index n : lengths) { offsets.push_back(offsets.back() + n); }
  }
  std::vector<Index> offsets;
  Sequences sequences() const {
    return {.count = offsets.size() - 1, .uniform_length = 0, .offsets = offsets.data(), .pooled = nullptr};
  }
};
Sequences uniform(Index count, Index length) {
  return {.count = count, .uniform_length = length, .offsets = nullptr, .pooled = nullptr};
}

/// Calls f(kept, rows) for masks of every granularity: all, none and some kept; short and long runs; several panels.
template <class F>
void for_each_mask(F&& f) {
  const Packed packed{{3, 1, 7, 2, 5}};
  const Packed long_runs{{40, 3, 50, 33, 1, 45}};
  const Packed single{{1}};
  for (const Sequences& s : {packed.sequences(), long_runs.sequences(), uniform(3, 6), single.sequences()}) {
    f(op::KeptRows{}, s.rows());
    for (const auto granularity :
         {DropGranularity::per_sample, DropGranularity::per_batch, DropGranularity::per_token_position}) {
      const Index n = op::mask_entries(granularity, s);
      std::vector<std::uint8_t> mask(n, 1);
      f(op::KeptRows{mask.data(), granularity, s}, s.rows());
      mask.assign(n, 0);
      f(op::KeptRows{mask.data(), granularity, s}, s.rows());
      for (Index i = 0; i < n; ++i) { mask[i] = i % 3 != 1; }
      f(op::KeptRows{mask.data(), granularity, s}, s.rows());
      for (Index i = 0; i < n; ++i) { mask[i] = i % 2 == 1; }
      f(op::KeptRows{mask.data(), granularity, s}, s.rows());
    }
  }
  const Sequences many = uniform(2, 900);
  std::vector<std::uint8_t> mask(900);
  for (Index i = 0; i < 900; ++i) { mask[i] = i % 5 != 2; }
  f(op::KeptRows{mask.data(), DropGranularity::per_token_position, many}, many.rows());
}

struct Extents {
  Index rows, in, out;
};
constexpr Extents products[] = {{1, 1, 1}, {1, 7, 5}, {5, 3, 9}, {17, 33, 13}, {130, 65, 71}, {64, 128, 32}};
constexpr Extents matrices[] = {{1, 1, 0}, {1, 5, 0}, {3, 7, 0}, {65, 33, 0}, {130, 768, 0}, {700, 64, 0}};
}  // namespace

TEST_CASE("linear layers multiply like the reference") {
  for (const auto [rows, in, out] : products) {
    CAPTURE(rows);
    CAPTURE(in);
    for (const bool with_bias : {true, false}) {
      compare(sum_tolerance, Threads::may_differ, [=]<class T>(Memory<T>& m) {
        op::linear_forward<T> o{};
        o.y = {m.output(rows * out), rows, out};
        o.x = {m.input(rows * in), rows, in};
        o.weight = {m.input(out * in), out, in};
        if (with_bias) { o.bias = {m.input(out), out}; }
        return o;
      });
    }
    compare(sum_tolerance, Threads::may_differ, [=]<class T>(Memory<T>& m) {
      op::linear_backward_input<T> o{};
      o.dx = {m.output(rows * in), rows, in};
      o.dy = {m.input(rows * out), rows, out};
      o.weight = {m.input(out * in), out, in};
      return o;
    });
    for (const bool with_scale : {true, false}) {
      compare(sum_tolerance, Threads::may_differ, [=]<class T>(Memory<T>& m) {
        op::linear_backward_weight<T> o{};
        o.dw = {m.updated(out * in), out, in};
        o.dy = {m.input(rows * out), rows, out};
        o.x = {m.input(rows * in), rows, in};
        o.factor = with_scale ? 0.75 : 1.0;
        o.scale = with_scale ? m.input(1) : nullptr;
        return o;
      });
    }
    compare(sum_tolerance, Threads::same_bits, [=]<class T>(Memory<T>& m) {
      return op::linear_backward_bias<T>{{m.updated(out), out}, {m.input(rows * out), rows, out}};
    });
  }
}

TEST_CASE("linear layers touch kept rows only") {
  constexpr Index in = 9, out = 13;
  for_each_mask([&](const op::KeptRows& kept, Index rows) {
    CAPTURE(rows);
    CAPTURE(kept.granularity);
    for (const bool with_bias : {true, false}) {
      compare(sum_tolerance, Threads::may_differ, [=]<class T>(Memory<T>& m) {
        op::linear_forward<T> o{};
        o.y = {m.updated(rows * out), rows, out};
        o.x = {m.input(rows * in), rows, in};
        o.weight = {m.input(out * in), out, in};
        if (with_bias) { o.bias = {m.input(out), out}; }
        o.kept = kept;
        return o;
      });
    }
    compare(sum_tolerance, Threads::may_differ, [=]<class T>(Memory<T>& m) {
      return op::linear_backward_input<T>{
          {m.updated(rows * in), rows, in}, {m.input(rows * out), rows, out}, {m.input(out * in), out, in}, kept};
    });
    compare(sum_tolerance, Threads::may_differ, [=]<class T>(Memory<T>& m) {
      return op::linear_backward_weight<T>{{m.updated(out * in), out, in},
                                           {m.input(rows * out), rows, out},
                                           {m.input(rows * in), rows, in},
                                           -0.5,
                                           m.input(1),
                                           kept};
    });
  });
}

TEST_CASE("norms") {
  for (const auto [rows, width, unused] : matrices) {
    CAPTURE(rows);
    CAPTURE(width);
    for (const bool with_statistics : {true, false}) {
      // A row of one element has variance zero: y is the bias, and rstd 1 / sqrt(eps).
      compare(sum_tolerance, Threads::same_bits, [=]<class T>(Memory<T>& m) {
        op::layer_norm_forward<T> o{};
        o.y = {m.output(rows * width), rows, width};
        o.x = {m.input(rows * width, 1, 3), rows, width};
        o.weight = {m.input(width), width};
        o.bias = {m.input(width), width};
        if (with_statistics) {
          o.mean = {m.output(rows), rows};
          o.rstd = {m.output(rows), rows};
        }
        return o;
      });
      compare(sum_tolerance, Threads::same_bits, [=]<class T>(Memory<T>& m) {
        op::l2_normalize_forward<T> o{};
        o.y = {m.output(rows * width), rows, width};
        o.x = {m.input(rows * width), rows, width};
        if (with_statistics) { o.norm = {m.output(rows), rows}; }
        return o;
      });
    }
    compare(sum_tolerance, Threads::same_bits, [=]<class T>(Memory<T>& m) {
      return op::layer_norm_backward_input<T>{{m.output(rows * width), rows, width},
                                              {m.input(rows * width), rows, width},
                                              {m.input(rows * width), rows, width},
                                              {m.input(width), width},
                                              {m.input(rows), rows},
                                              {m.input(rows, 1, 2), rows}};
    });
    compare(sum_tolerance, Threads::same_bits, [=]<class T>(Memory<T>& m) {
      return op::layer_norm_backward_weight<T>{{m.updated(width), width},
                                               {m.updated(width), width},
                                               {m.input(rows * width), rows, width},
                                               {m.input(rows * width), rows, width},
                                               {m.input(rows), rows},
                                               {m.input(rows, 1, 2), rows}};
    });
    compare(sum_tolerance, Threads::same_bits, [=]<class T>(Memory<T>& m) {
      return op::l2_normalize_backward<T>{{m.output(rows * width), rows, width},
                                          {m.input(rows * width), rows, width},
                                          {m.input(rows * width), rows, width},
                                          {m.input(rows, 1, 2), rows}};
    });
  }
  // A row of zeros is divided by eps, not by zero.
  compare(element_tolerance, Threads::same_bits, []<class T>(Memory<T>& m) {
    return op::l2_normalize_forward<T>{{m.output(5), 1, 5}, {m.input(5, 0, 0), 1, 5}, {m.output(1), 1}, 1e-6};
  });
}

TEST_CASE("activations") {
  // oneDNN's erf and tanh are polynomials with an error of about 1e-6 relative to the largest result.
  constexpr double tolerance = 3e-6;
  for (const auto kind : {Activation::quick_gelu, Activation::gelu, Activation::gelu_tanh}) {
    CAPTURE(kind);
    // Below the smallest block, exactly on it, blocks with and without a tail.
    for (const Index n : {Index{1}, Index{5}, Index{255}, Index{256}, Index{257}, Index{1536}, Index{70001}}) {
      CAPTURE(n);
      for (const double range : {3.0, 40.0}) {
        // A single negative element would be judged relative to a result near zero.
        const double low = n == 1 ? 0.5 : -range;
        compare(tolerance, Threads::same_bits, [=]<class T>(Memory<T>& m) {
          return op::activation_forward<T>{{m.output(n), 1, n}, {m.input(n, low, range), 1, n}, kind};
        });
        compare(tolerance, Threads::same_bits, [=]<class T>(Memory<T>& m) {
          T* const y = m.updated(n, low, range);
          return op::activation_forward<T>{{y, 1, n}, {y, 1, n}, kind};
        });
        compare(tolerance, Threads::same_bits, [=]<class T>(Memory<T>& m) {
          return op::activation_backward<T>{
              {m.output(n), n, 1}, {m.input(n), n, 1}, {m.input(n, low, range), n, 1}, kind};
        });
        compare(tolerance, Threads::same_bits, [=]<class T>(Memory<T>& m) {
          T* const dx = m.updated(n);
          return op::activation_backward<T>{{dx, n, 1}, {dx, n, 1}, {m.input(n, low, range), n, 1}, kind};
        });
      }
    }
  }
}

TEST_CASE("attention") {
  // 129 next to 128: cut into two blocks of 65 and one of 128. 300 takes three blocks.
  const Packed packed[] = {Packed{{1}}, Packed{{3, 1, 7, 2, 5}}, Packed{{129, 128, 2}}, Packed{{300}}};
  const Sequences all[] = {packed[0].sequences(), packed[1].sequences(), packed[2].sequences(),
                           packed[3].sequences(), uniform(4, 50),        uniform(2, 1)};
  struct Heads {
    Index heads, head_width;
  };
  for (const Sequences& s : all) {
    CAPTURE(s.count);
    CAPTURE(s.longest());
    for (const auto [heads, head_width] : {Heads{1, 1}, Heads{3, 5}, Heads{2, 64}}) {
      CAPTURE(heads);
      for (const bool causal : {false, true}) {
        CAPTURE(causal);
        const Index rows = s.rows(), width = heads * head_width;
        for (const bool with_log_sums : {true, false}) {
          compare(sum_tolerance, Threads::same_bits, [=, heads = heads]<class T>(Memory<T>& m) {
            op::attention_forward<T> o{};
            o.y = {m.output(rows * width), rows, width};
            o.qkv = {m.input(rows * 3 * width, -3, 3), rows, 3 * width};
            if (with_log_sums) { o.log_sum_exp = {m.output(rows * heads), rows, heads}; }
            o.heads = heads;
            o.causal = causal;
            o.sequences = s;
            return o;
          });
        }
        // The forward pass in double gives y and the sums that backward reads. A float's rounding of a log sum near 30
        // changes probabilities by 2e-6.
        Memory<double> forward;
        std::vector<double> y(rows * width), log_sums(rows * heads);
        double* const qkv = forward.input(rows * 3 * width, -3, 3);
        const std::vector<double> qkv_values(qkv, qkv + rows * 3 * width);
        reference oracle;
        launch(oracle,
               op::attention_forward<double>{
                   {y.data(), rows, width}, {qkv, rows, 3 * width}, {log_sums.data(), rows, heads}, heads, causal, s});
        compare(sum_tolerance, Threads::same_bits, [&, heads = heads]<class T>(Memory<T>& m) {
          op::attention_backward<T> o{};
          o.dqkv = {m.output(rows * 3 * width), rows, 3 * width};
          o.dy = {m.input(rows * width), rows, width};
          o.y = {m.given(y), rows, width};
          o.qkv = {m.given(qkv_values), rows, 3 * width};
          o.log_sum_exp = {m.given(log_sums), rows, heads};
          o.heads = heads;
          o.causal = causal;
          o.sequences = s;
          return o;
        });
      }
    }
  }
}

TEST_CASE("embeddings") {
  struct Cut {
    Index images, size, patch;
  };
  for (const auto [images, size, patch] : {Cut{1, 1, 1}, Cut{2, 6, 3}, Cut{3, 8, 2}, Cut{1, 5, 5}, Cut{5, 64, 16}}) {
    CAPTURE(size);
    const Index grid = size / patch, tokens = 1 + grid * grid, count = images;
    for (const Index width : {Index{1}, Index{7}, Index{70}}) {
      compare(0, Threads::same_bits, [=, size = size, patch = patch]<class T>(Memory<T>& m) {
        return op::extract_patches<T>{{m.output(count * 3 * size * size), count * grid * grid, 3 * patch * patch},
                                      {m.input(count * 3 * size * size), count, 3 * size * size},
                                      size,
                                      patch};
      });
      compare(element_tolerance, Threads::same_bits, [=]<class T>(Memory<T>& m) {
        return op::assemble_tokens_forward<T>{{m.output(count * tokens * width), count * tokens, width},
                                              {m.input(count * (tokens - 1) * width), count * (tokens - 1), width},
                                              {m.input(width), width},
                                              {m.input(tokens * width), tokens, width},
                                              uniform(count, tokens)};
      });
      for (int wanted = 0; wanted < 8; ++wanted) {
        compare(sum_tolerance, Threads::same_bits, [=]<class T>(Memory<T>& m) {
          op::assemble_tokens_backward<T> o{};
          if ((wanted & 1) != 0) { o.dpatches = {m.output(count * (tokens - 1) * width), count * (tokens - 1), width}; }
          if ((wanted & 2) != 0) { o.dclass_embedding = {m.updated(width), width}; }
          if ((wanted & 4) != 0) { o.dpositions = {m.updated(tokens * width), tokens, width}; }
          o.dy = {m.input(count * tokens * width), count * tokens, width};
          o.sequences = uniform(count, tokens);
          return o;
        });
      }
    }
  }

  const Packed packed{{3, 1, 7, 2, 5, 30, 30}};
  constexpr Index vocabulary = 11, context = 31;
  for (const Sequences& s : {packed.sequences(), uniform(1, 1), uniform(20, 31)}) {
    const Index rows = s.rows();
    std::vector<std::int32_t> ids(rows);
    for (Index i = 0; i < rows; ++i) { ids[i] = static_cast<std::int32_t>((i * i + 3) % vocabulary); }
    for (const Index width : {Index{1}, Index{65}, Index{130}}) {
      compare(element_tolerance, Threads::same_bits, [&]<class T>(Memory<T>& m) {
        return op::embed_tokens_forward<T>{{m.output(rows * width), rows, width},
                                           ids.data(),
                                           {m.input(vocabulary * width), vocabulary, width},
                                           {m.input(context * width), context, width},
                                           s};
      });
      for (int wanted = 0; wanted < 4; ++wanted) {
        compare(sum_tolerance, Threads::same_bits, [&]<class T>(Memory<T>& m) {
          op::embed_tokens_backward<T> o{};
          if ((wanted & 1) != 0) { o.dtable = {m.updated(vocabulary * width), vocabulary, width}; }
          if ((wanted & 2) != 0) { o.dpositions = {m.updated(context * width), context, width}; }
          o.dy = {m.input(rows * width), rows, width};
          o.ids = ids.data();
          o.sequences = s;
          return o;
        });
      }
    }
  }
}

TEST_CASE("pooling copies one row of each sequence") {
  const Packed packed{{3, 1, 7, 2, 5}};
  const std::vector<Index> positions{1, 0, 4, 1, 2};
  Sequences chosen = packed.sequences();
  chosen.pooled = positions.data();
  for (const Sequences& s : {packed.sequences(), chosen, uniform(1, 1), uniform(40, 17)}) {
    for (const auto pooling : {Pooling::first, Pooling::last}) {
      for (const Index width : {Index{1}, Index{37}, Index{512}}) {
        compare(0, Threads::same_bits, [&]<class T>(Memory<T>& m) {
          return op::pool_forward<T>{
              {m.output(s.count * width), s.count, width}, {m.input(s.rows() * width), s.rows(), width}, pooling, s};
        });
        compare(0, Threads::same_bits, [&]<class T>(Memory<T>& m) {
          return op::pool_backward<T>{
              {m.output(s.rows() * width), s.rows(), width}, {m.input(s.count * width), s.count, width}, pooling, s};
        });
      }
    }
  }
}

TEST_CASE("sums of streams") {
  for (const Index n : {Index{1}, Index{7}, Index{16384}, Index{50001}}) {
    compare(element_tolerance, Threads::same_bits, [=]<class T>(Memory<T>& m) {
      return op::add<T>{{m.updated(n), 1, n}, {m.input(n), 1, n}};
    });
  }
  enum class Place { own, of_x, of_z };
  for_each_mask([&](const op::KeptRows& kept, Index rows) {
    CAPTURE(rows);
    CAPTURE(kept.granularity);
    for (const Index width : {Index{1}, Index{11}, Index{300}}) {
      for (const auto place : {Place::own, Place::of_x, Place::of_z}) {
        compare(element_tolerance, Threads::same_bits, [=]<class T>(Memory<T>& m) {
          op::scaled_add<T> o{};
          o.y = {place == Place::own ? m.output(rows * width) : m.updated(rows * width), rows, width};
          o.x = {place == Place::of_x ? o.y.data : m.input(rows * width), rows, width};
          o.z = {place == Place::of_z ? o.y.data : m.input(rows * width), rows, width};
          o.factor = 0.6;
          o.scale = place == Place::of_x ? nullptr : m.input(1);
          o.kept = kept;
          return o;
        });
      }
      // Products of floats are summed in double: what is left is the rounding of the result, and nothing cancels.
      compare(element_tolerance, Threads::same_bits, [=]<class T>(Memory<T>& m) {
        return op::scaled_add_backward_scale<T>{m.updated(1, 0, 1),
                                                {m.input(rows * width, 0, 1), rows, width},
                                                {m.input(rows * width, 0, 1), rows, width},
                                                0.5,
                                                kept};
      });
    }
  });
}

TEST_CASE("contrastive loss") {
  // Logits near 100 carry a rounding of 4e-6, which the exponential turns into a relative error of the same size, and
  // the sums over a row of the batch into up to ten times that.
  constexpr double tolerance = 5e-5;
  for (const Index batch : {Index{1}, Index{2}, Index{5}, Index{67}, Index{300}}) {
    CAPTURE(batch);
    for (const bool supervised : {false, true}) {
      constexpr Index width = 33;
      constexpr double eps = 0.1;
      std::vector<std::int32_t> labels(batch);
      for (Index i = 0; i < batch; ++i) { labels[i] = static_cast<std::int32_t>(supervised ? i % 3 : i); }
      std::vector<double> positive(batch, 1), negative(batch, 0);
      for (Index i = 0; supervised && batch > 3 && i < batch; ++i) {
        const auto same = static_cast<double>(std::count(labels.begin(), labels.end(), labels[i]));
        positive[i] = (1 - eps) / same;
        negative[i] = eps / (static_cast<double>(batch) - same);
      }
      for (int variant = 0; variant < 4; ++variant) {
        compare(tolerance, Threads::may_differ, [&]<class T>(Memory<T>& m) {
          op::contrastive_loss<T> o{};
          o.image = {m.input(batch * width, -0.3, 0.3), batch, width};
          o.text = {m.input(batch * width, -0.3, 0.3), batch, width};
          o.labels = labels.data();
          o.positive = {m.given(positive), batch};
          o.negative = {m.given(negative), batch};
          o.margin = variant == 1 ? 0.15 : 0.0;
          o.scale = variant == 2 ? 10.0 : 100.0;
          if (variant >= 2) { o.log_scale = m.input(1, 3, 4); }
          o.logits = {m.output(batch * batch), batch, batch};
          o.log_sums = {m.output(2 * batch), 2 * batch};
          o.loss = m.sum(-1);
          if (variant != 3) {
            o.dimage = {m.output(batch * width), batch, width};
            o.dtext = {m.output(batch * width), batch, width};
          }
          if (variant == 2) { o.dlog_scale = m.updated(1, 5, 6); }
          return o;
        });
      }
    }
  }
}

TEST_CASE("cross entropy") {
  for (const auto [rows, classes, unused] : matrices) {
    CAPTURE(rows);
    CAPTURE(classes);
    std::vector<std::int32_t> labels(rows);
    for (Index i = 0; i < rows; ++i) { labels[i] = static_cast<std::int32_t>((i * 7 + 1) % classes); }
    for (const double smoothing : {0.0, 0.1}) {
      for (int gradient = 0; gradient < 3; ++gradient) {
        compare(sum_tolerance, Threads::same_bits, [&, rows = rows, classes = classes]<class T>(Memory<T>& m) {
          op::cross_entropy<T> o{};
          T* const logits = gradient == 2 ? m.updated(rows * classes, -9, 9) : m.input(rows * classes, -9, 9);
          o.logits = {logits, rows, classes};
          o.labels = labels.data();
          o.smoothing = smoothing;
          o.loss = m.sum(-1);
          if (gradient == 1) { o.dlogits = {m.output(rows * classes), rows, classes}; }
          if (gradient == 2) { o.dlogits = {logits, rows, classes}; }
          o.gradient_scale = 0.25;
          return o;
        });
      }
    }
  }
}

TEST_CASE("a logit that is not a number shows in the loss") {
  std::vector<float> logits(70, 0.5F);
  const std::int32_t label = 3;
  for (const Index bad : {Index{0}, Index{3}, Index{69}}) {
    std::vector<float> row = logits;
    row[bad] = NAN;
    double loss = 0;
    launch(device(), op::cross_entropy<float>{{row.data(), 1, 70}, &label, 0.0, &loss});
    CHECK(std::isnan(loss));
  }
}

TEST_CASE("updates of flat buffers") {
  for (const Index n : {Index{1}, Index{5}, Index{1024}, Index{1027}, Index{16385}, Index{100003}}) {
    CAPTURE(n);
    for (const std::uint64_t step : {1U, 40U}) {
      for (const bool with_average : {false, true}) {
        compare(element_tolerance, Threads::same_bits, [=]<class T>(Memory<T>& m) {
          op::adamw<T> o{};
          o.parameters = {m.updated(n), n};
          o.first_moment = {m.updated(n), n};
          o.second_moment = {m.updated(n, 0.01, 1), n};
          o.gradients = {m.input(n), n};
          if (with_average) { o.average = {m.updated(n), n}; }
          o.gradient_scale = 0.7;
          o.lr = 1e-2;
          o.weight_decay = 0.1;
          o.average_momentum = 0.9;
          o.step = step;
          return o;
        });
      }
    }
    // Squares of floats are exact in double, and so are their sums but for some 1e-13.
    compare(1e-12, Threads::same_bits, [=]<class T>(Memory<T>& m) {
      return op::sum_of_squares<T>{{m.input(n), n}, m.sum(3)};
    });
    compare(0, Threads::same_bits, [=]<class T>(Memory<T>& m) { return op::clear<T>{{m.updated(n), n}}; });
  }
}

TEST_CASE("batches without rows are left alone") {
  Memory<float> m;
  float* const dw = m.updated(6);
  launch(device(), op::linear_forward<float>{{nullptr, 0, 2}, {nullptr, 0, 3}, {dw, 2, 3}});
  launch(device(), op::linear_backward_weight<float>{{dw, 2, 3}, {nullptr, 0, 2}, {nullptr, 0, 3}});
  launch(device(), op::linear_backward_bias<float>{{dw, 2}, {nullptr, 0, 2}});
  launch(device(), op::activation_forward<float>{{nullptr, 0, 2}, {nullptr, 0, 2}});
  launch(device(), op::attention_forward<float>{{nullptr, 0, 2}, {nullptr, 0, 6}});
  launch(device(), op::sum_of_squares<float>{{}, m.sum(1)});
  Memory<float> untouched;
  untouched.updated(6);
  untouched.sum(1);
  CHECK(m.same_bits(untouched));
}

TEST_CASE("a device can be moved") {
  onednn first;
  std::vector<float> x{1, 2, 3}, y(3), again(3);
  const auto run_on = [&](onednn& d, std::vector<float>& to) {
    launch(d, op::activation_forward<float>{{to.data(), 1, 3}, {x.data(), 1, 3}, Activation::gelu});
  };
  run_on(first, y);
  onednn second{std::move(first)};
  run_on(second, again);
  CHECK(y == again);
}

TEST_CASE("a failure of oneDNN is one sentence") {
  CHECK_THROWS_WITH_AS(detail::cpu::check_product(false),
                       doctest::Contains("radapt: oneDNN could not multiply matrices: expected status 0"), error);
}
