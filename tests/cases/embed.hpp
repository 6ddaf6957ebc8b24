#pragma once
/// Cases of op/embed.hpp.
#include "cases/case.hpp"
#include "radapt/backend/reference/embed.hpp"

namespace radapt_test::cases {

namespace op = radapt::op;

/// Square images cut into square patches, and what of the gradients is wanted.
struct ImageSize {
  Index images, size, patch, width;
  bool dpatches = true, dclass_embedding = true, dpositions = true;

  Index grid() const { return size / patch; }
  Index patches() const { return grid() * grid(); }
  Index tokens() const { return 1 + patches(); }
  Index pixels() const { return 3 * size * size; }
  Batch batch() const { return uniform(images, tokens()); }
  std::string title() const {
    return std::to_string(images) + " images of " + std::to_string(size) + ", patches of " + std::to_string(patch) +
           ", width " + std::to_string(width) + (dpatches ? ", dpatches" : "") +
           (dclass_embedding ? ", dclass_embedding" : "") + (dpositions ? ", dpositions" : "");
  }
};
inline std::vector<ImageSize> cuts() {
  std::vector<ImageSize> all;
  const ImageSize shapes[] = {{1, 1, 1, 0}, {2, 6, 3, 0}, {3, 8, 2, 0}, {1, 5, 5, 0}, {5, 64, 16, 0}, {0, 4, 2, 0}};
  const Index widths[] = {1, 7, 70};
  for (ImageSize s : shapes) {
    for (const Index width : widths) {
      s.width = width;
      all.push_back(s);
    }
  }
  return all;
}
inline std::vector<Timed<ImageSize>> timed_images() {
  return for_timed_models<ImageSize>([](const TimedModel& m) { return ImageSize{timed_batch, 224, m.patch, m.width}; });
}

struct ExtractPatches {
  template <class T>
  using operation = op::extract_patches<T>;
  using Size = ImageSize;
  static constexpr Tolerance tolerance = exact;
  static constexpr Threads threads = Threads::same_bits;
  static std::vector<Size> tested() { return cuts(); }
  static std::vector<Timed<Size>> timed() { return timed_images(); }
  static Work work(const Size& s) { return {.flops = 0, .elements = 2 * number(s.images * s.pixels())}; }
  template <class T>
  static operation<T> build(Memory<T>& m, const Size& s) {
    return {{m.output(s.images * s.pixels()), s.images * s.patches(), 3 * s.patch * s.patch},
            {m.parameter(s.images * s.pixels()), s.images, s.pixels()},
            s.size,
            s.patch};
  }
};

struct AssembleTokensForward {
  template <class T>
  using operation = op::assemble_tokens_forward<T>;
  using Size = ImageSize;
  static constexpr Tolerance tolerance = element_tolerance;
  static constexpr Threads threads = Threads::same_bits;
  static std::vector<Size> tested() { return cuts(); }
  static std::vector<Timed<Size>> timed() { return timed_images(); }
  static Work work(const Size& s) {
    const double n = number(s.images * s.tokens() * s.width);
    return {.flops = n, .elements = 2 * n};
  }
  template <class T>
  static operation<T> build(Memory<T>& m, const Size& s) {
    const Index patches = s.images * s.patches();
    return {{m.output(s.images * s.tokens() * s.width), s.images * s.tokens(), s.width},
            {m.input(patches * s.width), patches, s.width},
            {m.parameter(s.width), s.width},
            {m.parameter(s.tokens() * s.width), s.tokens(), s.width},
            m.sequences(s.batch())};
  }
};

struct AssembleTokensBackward {
  template <class T>
  using operation = op::assemble_tokens_backward<T>;
  using Size = ImageSize;
  static constexpr Tolerance tolerance = sum_tolerance;
  static constexpr Threads threads = Threads::same_bits;
  static std::vector<Size> tested() {
    std::vector<Size> all;
    for (ImageSize s : cuts()) {
      for (int wanted = 0; wanted < 8; ++wanted) {
        s.dpatches = (wanted & 1) != 0;
        s.dclass_embedding = (wanted & 2) != 0;
        s.dpositions = (wanted & 4) != 0;
        all.push_back(s);
      }
    }
    return all;
  }
  static std::vector<Timed<Size>> timed() { return timed_images(); }
  static Work work(const Size& s) {
    const double n = number(s.images * s.tokens() * s.width);
    return {.flops = n, .elements = 2 * n};
  }
  template <class T>
  static operation<T> build(Memory<T>& m, const Size& s) {
    const Index patches = s.images * s.patches();
    operation<T> o{};
    if (s.dpatches) { o.dpatches = {m.output(patches * s.width), patches, s.width}; }
    if (s.dclass_embedding) { o.dclass_embedding = {m.updated_parameter(s.width), s.width}; }
    if (s.dpositions) { o.dpositions = {m.updated_parameter(s.tokens() * s.width), s.tokens(), s.width}; }
    o.dy = {m.input(s.images * s.tokens() * s.width), s.images * s.tokens(), s.width};
    o.sequences = m.sequences(s.batch());
    return o;
  }
  static std::vector<Size> differentiated() { return cuts(); }
  /// Of assemble_tokens_forward, by all three of its inputs.
  static void differentiate(Differentiation& d, const Size& s) {
    const Index patches = s.images * s.patches();
    const auto& embedded = d.variable(patches * s.width, Gradient::assigned);
    const auto& class_embedding = d.variable(s.width, Gradient::added);
    const auto& positions = d.variable(s.tokens() * s.width, Gradient::added);
    const auto& y = d.result(s.images * s.tokens() * s.width);
    const radapt::Sequences sequences{.count = s.images, .uniform_length = s.tokens()};
    d.forward = launched(op::assemble_tokens_forward<double>{{y.y, s.images * s.tokens(), s.width},
                                                             {embedded.x, patches, s.width},
                                                             {class_embedding.x, s.width},
                                                             {positions.x, s.tokens(), s.width},
                                                             sequences});
    d.backward = launched(operation<double>{{embedded.dx, patches, s.width},
                                            {class_embedding.dx, s.width},
                                            {positions.dx, s.tokens(), s.width},
                                            {y.dy, s.images * s.tokens(), s.width},
                                            sequences});
  }
};

/// Captions, and which gradients are wanted.
struct TokenSize {
  Batch batch;
  Index width, vocabulary = 11, context = 31;
  bool dtable = true, dpositions = true;

  Index rows() const { return batch.rows(); }
  std::vector<std::int32_t> ids() const {
    std::vector<std::int32_t> all(rows());
    for (Index i = 0; i < all.size(); ++i) { all[i] = static_cast<std::int32_t>((i * i + 3) % vocabulary); }
    return all;
  }
  std::string title() const {
    return batch.title() + ", width " + std::to_string(width) + (dtable ? ", dtable" : "") +
           (dpositions ? ", dpositions" : "");
  }
};
inline std::vector<TokenSize> captions() {
  std::vector<TokenSize> all;
  const Batch batches[] = {packed({3, 1, 7, 2, 5, 30, 30}), uniform(1, 1), uniform(20, 31), uniform(0, 4)};
  const Index widths[] = {1, 65, 130};
  for (const Batch& batch : batches) {
    for (const Index width : widths) { all.push_back({batch, width}); }
  }
  return all;
}
inline std::vector<Timed<TokenSize>> timed_captions() {
  return for_timed_models<TokenSize>([](const TimedModel& m) {
    return TokenSize{uniform(timed_batch, timed_context), m.text_width, timed_vocabulary, timed_context};
  });
}

struct EmbedTokensForward {
  template <class T>
  using operation = op::embed_tokens_forward<T>;
  using Size = TokenSize;
  static constexpr Tolerance tolerance = element_tolerance;
  static constexpr Threads threads = Threads::same_bits;
  static std::vector<Size> tested() { return captions(); }
  static std::vector<Timed<Size>> timed() { return timed_captions(); }
  static Work work(const Size& s) {
    return {.flops = number(s.rows() * s.width), .elements = 3 * number(s.rows() * s.width)};
  }
  template <class T>
  static operation<T> build(Memory<T>& m, const Size& s) {
    return {{m.output(s.rows() * s.width), s.rows(), s.width},
            m.whole(s.ids()),
            {m.parameter(s.vocabulary * s.width), s.vocabulary, s.width},
            {m.parameter(s.context * s.width), s.context, s.width},
            m.sequences(s.batch)};
  }
};

struct EmbedTokensBackward {
  template <class T>
  using operation = op::embed_tokens_backward<T>;
  using Size = TokenSize;
  static constexpr Tolerance tolerance = sum_tolerance;
  static constexpr Threads threads = Threads::same_bits;
  static std::vector<Size> tested() {
    std::vector<Size> all;
    for (const TokenSize& s : captions()) {
      for (int wanted = 0; wanted < 4; ++wanted) {
        all.push_back(s);
        all.back().dtable = (wanted & 1) != 0;
        all.back().dpositions = (wanted & 2) != 0;
      }
    }
    return all;
  }
  static std::vector<Timed<Size>> timed() { return timed_captions(); }
  static Work work(const Size& s) {
    return {.flops = 2 * number(s.rows() * s.width), .elements = 5 * number(s.rows() * s.width)};
  }
  template <class T>
  static operation<T> build(Memory<T>& m, const Size& s) {
    operation<T> o{};
    if (s.dtable) { o.dtable = {m.updated_parameter(s.vocabulary * s.width), s.vocabulary, s.width}; }
    if (s.dpositions) { o.dpositions = {m.updated_parameter(s.context * s.width), s.context, s.width}; }
    o.dy = {m.input(s.rows() * s.width), s.rows(), s.width};
    o.ids = m.whole(s.ids());
    o.sequences = m.sequences(s.batch);
    return o;
  }
  static std::vector<Size> differentiated() { return captions(); }
  /// Of embed_tokens_forward, by table and positions.
  static void differentiate(Differentiation& d, const Size& s) {
    const auto& table = d.variable(s.vocabulary * s.width, Gradient::added);
    const auto& positions = d.variable(s.context * s.width, Gradient::added);
    const auto& y = d.result(s.rows() * s.width);
    const std::int32_t* const ids = d.whole(s.ids());
    const radapt::Sequences sequences = s.batch.view();
    d.forward = launched(op::embed_tokens_forward<double>{
        {y.y, s.rows(), s.width}, ids, {table.x, s.vocabulary, s.width}, {positions.x, s.context, s.width}, sequences});
    d.backward = launched(operation<double>{{table.dx, s.vocabulary, s.width},
                                            {positions.dx, s.context, s.width},
                                            {y.dy, s.rows(), s.width},
                                            ids,
                                            sequences});
  }
};

}  // namespace radapt_test::cases
