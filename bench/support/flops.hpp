#pragma once
/// How many floating-point operations a pass over a model needs, counted from its type.
///
/// Matrix products and attention are counted, a multiplication and an addition each; norms, activations and sums are
/// less than a hundredth of them. What an implementation does besides, such as computing the probabilities of attention
/// a second time in backward, is not needed and not counted, so that it flatters no share of the roofline. What an
/// implementation spares is counted: a linear layer and the adapter behind it are two, as the method is written and as
/// PyTorch runs it, where AdaptedLinear does with fewer operations. The share of a step of R-Adapter is higher by that:
/// 4 % on ViT-B/16 with 32 pairs.
///
///     linear, r rows:            forward 2 r in out;   input gradient and weight gradient the same, each where it is
///     wanted attention, p visible pairs of tokens:  forward 4 p width (scores and values);  backward 8 p width
///     attention of n pooled rows of r:  forward 6 n W^2 + 4 heads r W;  input gradient 6 n W^2 + 8 heads r W
///     adapter, r kept rows:      forward 2 r W^2;   backward 2 r W^2 for u = dh F, and the same for dF
///     (methods.md 1.5) low-rank adapter, r rows:  forward 4 r W R;   backward 2 r W R each for u, dU, dD and dx
#include <cstdint>

#include "radapt/adapter/r_adapter.hpp"
#include "radapt/clip/clip.hpp"

namespace radapt_bench {

using radapt::Index;
constexpr double number(Index n) { return static_cast<double>(n); }

/// One tower's pass over a batch, and the operations counted so far.
struct Pass {
  radapt::Sequences sequences;
  const radapt::Phase* phase = nullptr;  ///< whose draws drop adapters; null: none is dropped
  std::uint32_t site = 0;                ///< of the next adapter, counted as forward meets them
  double forward = 0, backward = 0;

  constexpr void both(double forward_flops, double backward_flops) {
    forward += forward_flops;
    backward += backward_flops;
  }
  template <class X>
  constexpr double rows() const {
    return number(X::rows(sequences.extent()));
  }
  /// Pairs of tokens of which the first sees the second.
  constexpr double pairs(bool causal) const {
    double sum = 0;
    for (Index i = 0; i < sequences.count; ++i) {
      const double length = number(sequences.length(i));
      sum += causal ? length * (length + 1) / 2 : length * length;
    }
    return sum;
  }
  /// Rows that the next adapter sees.
  constexpr double adapter_rows() {
    const std::uint32_t at = site++;
    if (phase == nullptr || phase->adapter_drop <= 0.0) { return number(sequences.rows()); }
    double sum = 0;
    for (Index i = 0; i < sequences.count; ++i) {
      if (phase->draws_of(at).keeps(phase->first_sequence + i)) { sum += number(sequences.length(i)); }
    }
    return sum;
  }
};

/// Binds to a layer that multiplies no matrices: it is taken when nothing below fits.
struct WithoutProducts {
  template <class L>
  constexpr WithoutProducts(const L&) {}
};
template <class X, class Tune, bool Dx>
constexpr void count(Pass&, WithoutProducts) {}

template <class X, class Tune, bool Dx, Index In, Index Out, class Role>
constexpr void count(Pass& pass, const radapt::Linear<In, Out, Role>&) {
  const double product = 2 * pass.rows<X>() * number(In) * number(Out);
  pass.both(product, (Dx ? product : 0) + (Tune::template trains<Role> ? product : 0));
}
template <class X, class Tune, bool Dx, Index In, Index Out, class Role>
constexpr void count(Pass& pass, const radapt::Projection<In, Out, Role>&) {
  count<X, Tune, Dx>(pass, radapt::Linear<In, Out, Role>{});
}
template <class X, class Tune, bool Dx, Index Size, Index Patch, Index Width, class Role>
constexpr void count(Pass& pass, const radapt::PatchEmbedding<Size, Patch, Width, Role>&) {
  constexpr Index patches = radapt::PatchEmbedding<Size, Patch, Width, Role>::patches;
  const double product = 2 * number(pass.sequences.count * patches) * number(3 * Patch * Patch) * number(Width);
  pass.both(product, Tune::template trains<Role> ? product : 0);
}
template <class X, class Tune, bool Dx, Index Width, Index Heads, bool Causal>
constexpr void count(Pass& pass, const radapt::SelfAttention<Width, Heads, Causal>&) {
  const double product = 2 * pass.pairs(Causal) * number(Width);
  pass.both(2 * product, Dx ? 4 * product : 0);
}
template <class X, class Tune, bool Dx, Index Width, Index Heads, bool Causal, radapt::Pooling Pooled, class Role>
constexpr void count(Pass& pass, const radapt::PooledAttention<Width, Heads, Causal, Pooled, Role>&) {
  constexpr bool trains = Tune::template trains<Role>;
  const double weights = 3 * 2 * number(pass.sequences.count * Width * Width);
  const double tokens = 2 * number(Heads) * pass.rows<X>() * number(Width);
  pass.both(weights + 2 * tokens, (Dx ? weights + 4 * tokens : 0) + (trains ? weights + tokens : 0));
}
template <class X, class Tune, bool Dx, Index Width, class Role, class Scale>
constexpr void count(Pass& pass, const radapt::FullAdapter<Width, Role, Scale>&) {
  constexpr bool trains = Tune::template trains<Role>;
  constexpr bool needs_u = Dx || (trains && radapt::FullAdapter<Width, Role, Scale>::learns_scale);
  const double product = 2 * pass.adapter_rows() * number(Width) * number(Width);
  pass.both(product, (needs_u ? product : 0) + (trains ? product : 0));
}
template <class X, class Tune, bool Dx, Index Width, Index R, class Role, class Scale>
constexpr void count(Pass& pass, const radapt::LowRankAdapter<Width, R, Role, Scale>&) {
  constexpr bool trains = Tune::template trains<Role>;
  const double product = 2 * pass.adapter_rows() * number(Width) * number(R);
  pass.both(2 * product, (Dx || trains ? product : 0) + (trains ? 2 * product : 0) + (Dx ? product : 0));
}

template <class X, class Tune, bool Dx, class L, radapt::Activation Kind>
constexpr void count(Pass& pass, const radapt::ActivatedLinear<L, Kind>&) {
  count<X, Tune, Dx>(pass, L{});
}

template <class X, class Tune, bool Dx, radapt::fixed_string Name, class L>
constexpr void count(Pass& pass, const radapt::Named<Name, L>&);
template <class X, class Tune, bool Dx, class Body>
constexpr void count(Pass& pass, const radapt::Residual<Body>&);
template <class X, class Tune, bool Dx, radapt::Pooling Pooled, class Body>
constexpr void count(Pass& pass, const radapt::PooledResidual<Pooled, Body>&);
template <class X, class Tune, bool Dx, radapt::Pooling Pooled, class Body>
constexpr void count(Pass& pass, const radapt::OnPooled<Pooled, Body>&);
template <class X, class Tune, bool Dx, Index N, class Block, Index First>
constexpr void count(Pass& pass, const radapt::Repeat<N, Block, First>&);

template <class L>
struct layer_in {
  using type = L;
};
template <radapt::fixed_string Name, class L>
struct layer_in<radapt::Named<Name, L>> {
  using type = L;
};

/// The layers of a chain in order; whatever is trained below a layer makes it want its input's gradient.
template <class X, class Tune, bool Dx>
constexpr void count_chain(Pass&) {}
template <class X, class Tune, bool Dx, class First, class... Rest>
constexpr void count_chain(Pass& pass) {
  using L = typename layer_in<First>::type;
  count<X, Tune, Dx>(pass, L{});
  count_chain<typename L::template output<X>, Tune, (Dx || radapt::trains_any<L, Tune>), Rest...>(pass);
}
template <class X, class Tune, bool Dx, class... Ls>
constexpr void count(Pass& pass, const radapt::Sequential<Ls...>&) {
  count_chain<X, Tune, Dx, Ls...>(pass);
}
template <class X, class Tune, bool Dx, class Body>
constexpr void count(Pass& pass, const radapt::Residual<Body>&) {
  count<X, Tune, Dx>(pass, Body{});
}
template <class X, class Tune, bool Dx, radapt::Pooling Pooled, class Body>
constexpr void count(Pass& pass, const radapt::PooledResidual<Pooled, Body>&) {
  count<X, Tune, Dx>(pass, Body{});
}
template <class X, class Tune, bool Dx, radapt::Pooling Pooled, class Body>
constexpr void count(Pass& pass, const radapt::OnPooled<Pooled, Body>&) {
  const radapt::Sequences whole = pass.sequences;
  pass.sequences = {.count = whole.count, .uniform_length = 1};
  count<radapt::Tokens<X::width>, Tune, Dx>(pass, Body{});
  pass.sequences = whole;
}
template <class X, class Tune, bool Dx, Index N, class Block, Index First>
constexpr void count(Pass& pass, const radapt::Repeat<N, Block, First>&) {
  count<X, Tune, Dx>(pass, Block{});
  for (Index i = 1; i < N; ++i) { count<X, Tune, (Dx || radapt::trains_any<Block, Tune>)>(pass, Block{}); }
}

/// Operations of features from images.
template <class Model>
constexpr double image_flops(Index images) {
  Pass pass{Model::image_sequences(images)};
  count<typename Model::PixelRow, radapt::tune::nothing, false>(pass, typename Model::Image{});
  return pass.forward;
}
/// Operations of features from captions.
template <class Model>
constexpr double text_flops(const radapt::Sequences& captions) {
  Pass pass{captions};
  count<radapt::TokenRow, radapt::tune::nothing, false>(pass, typename Model::Text{});
  return pass.forward;
}
/// Operations of a training step on pairs: both towers forward and backward, and the three products of similarities.
template <class Model, class Tune>
constexpr double step_flops(const radapt::Sequences& captions, const radapt::Phase* phase) {
  Pass image{Model::image_sequences(captions.count), phase};
  count<typename Model::PixelRow, Tune, false>(image, typename Model::Image{});
  Pass text{captions, phase, image.site};
  count<radapt::TokenRow, Tune, false>(text, typename Model::Text{});
  const double similarities = 2 * number(captions.count * captions.count) * number(Model::arch::embed);
  return image.forward + image.backward + text.forward + text.backward + 3 * similarities;
}

// The same by hand for ViT-B/32: 12 W^2 weights in a block of width W, which serve one row in the last block; 49
// patches and a class token; a causal context of 77.
static_assert(image_flops<radapt::Clip<radapt::arch::ViT_B_32>>(1) ==
              2.0 * 49 * 3072 * 768 + 11 * (2.0 * 50 * 12 * 768 * 768 + 4.0 * 50 * 50 * 768) +
                  (2.0 * 12 * 768 * 768 + 4.0 * 12 * 50 * 768) + 2.0 * 768 * 512);
static_assert(text_flops<radapt::Clip<radapt::arch::ViT_B_32>>({.count = 1, .uniform_length = 77}) ==
              11 * (2.0 * 77 * 12 * 512 * 512 + 2.0 * 77 * 78 * 512) + (2.0 * 12 * 512 * 512 + 4.0 * 8 * 77 * 512) +
                  2.0 * 512 * 512);
// Training adapters only: every frozen weight multiplies once forward and once backward, an adapter once forward and
// twice backward. In block 0 nothing below the first adapter is wanted, so in_proj, out_proj, attention and its patches
// have no backward.
static_assert([] {
  const double rows = 50, W = 768, tokens = 77, V = 512;
  const double image = 2 * 49.0 * 3072 * W + 11 * (2 * rows * 12 * W * W + 4 * rows * rows * W) + 2 * W * 512;
  const double image_back = 2 * W * 512 + 11 * 2 * rows * 8 * W * W + 10 * (2 * rows * 4 * W * W + 8 * rows * rows * W);
  const double text = 11 * (2 * tokens * 12 * V * V + 2 * tokens * (tokens + 1) * V) + 2 * V * V;
  const double text_back =
      2 * V * V + 11 * 2 * tokens * 8 * V * V + 10 * (2 * tokens * 4 * V * V + 4 * tokens * (tokens + 1) * V);
  const double last = 2 * 2 * 12 * (W * W + V * V) + (4 + 8) * (12 * rows * W + 8 * tokens * V);  // there and back
  const double adapters = 3 * 2 * ((22 * rows + 2) * W * W + (22 * tokens + 2) * V * V);
  return image + image_back + text + text_back + last + adapters + 3 * 2 * 512.0;
}() == step_flops<radapt::Clip<radapt::arch::ViT_B_32, radapt::RAdapter<>>,
                  radapt::tune::only<radapt::role::adapter>>({.count = 1, .uniform_length = 77}, nullptr));

}  // namespace radapt_bench
