#pragma once
/// The terms of a loss that read parameters: their values, their gradients, and the memory they work in.
#include <algorithm>
#include <cmath>
#include <concepts>
#include <string>
#include <vector>

#include "radapt/backend/run.hpp"
#include "radapt/core/tensors.hpp"
#include "radapt/loss/terms.hpp"
#include "radapt/op/update.hpp"

namespace radapt::detail {

/// A penalty that a term computes itself; else it is the squared distance from the frozen weights.
template <class Term>
inline constexpr bool has_own_penalty = loss::parameter_term<Term>&& requires {
  Term::scratch_elements(Index{}, Index{});
};

/// A penalty on two tensors together.
template <class Term>
inline constexpr bool couples_tensors = loss::parameter_term<Term>&& requires {
  Term::scratch_elements(Index{}, Index{}, Index{});
};

/// A name that a term may have as well: then it stands for two things, and is ambiguous.
struct named_add {
  int add;
};
template <class Term>
struct beside_named_add : Term, named_add {};
template <class Term>
inline constexpr bool has_add = !requires {
  &beside_named_add<Term>::add;
};

/// A term on parameters whose own parts are not understood would be taken for a squared distance.
template <class Term>
struct check_parameter_term {
  static_assert(has_own_penalty<Term> || couples_tensors<Term> || !has_add<Term>,
                "radapt: this term on parameters has an add() but no static scratch_elements(rows, columns), or "
                "scratch_elements(rows of the first, rows of the second, columns) where it couples two tensors; to "
                "fix: say there how many elements of workspace it needs, 0 if none.");
  static_assert(
      !requires(const Term& t) { t.weight(loss::StepPosition{}); },
      "radapt: a term on parameters has no weight(position); to fix: change its strength between steps, "
      "through trainer.objective().loss().");
  static constexpr bool ok = true;
};

/// The position of a tensor that a term couples with another. Errors: the model has none of that name.
template <class Term, class T>
Index position_of(std::string_view name, const std::vector<Tensor<const T>>& tensors) {
  for (Index k = 0; k < tensors.size(); ++k) {
    if (tensors[k].name() == name) { return k; }
  }
  fail({.what = "loss term " + std::string(Term::name),
        .expected =
            "a model with the tensors '" + std::string(Term::first) + "' and '" + std::string(Term::second) + "'",
        .got = "none of the name '" + std::string(name) + "'",
        .hint = "Use it with a loss that reads both towers"});
}

/// Bytes of scratch that the terms of a loss take at most, one term at a time.
template <class T, class Loss>
Index penalty_scratch(const Loss& loss, const std::vector<Tensor<const T>>& tensors) {
  Index most = 0;
  loss.each_term([&]<class Term>(const Term& term) {
    if constexpr (couples_tensors<Term>) {
      const Matrix<const T> first = tensors[position_of<Term>(Term::first, tensors)].matrix();
      const Matrix<const T> second = tensors[position_of<Term>(Term::second, tensors)].matrix();
      most = std::max(most, padded(Term::scratch_elements(first.rows, second.rows, first.columns) * sizeof(T)));
    } else if constexpr (has_own_penalty<Term>) {
      for (const Tensor<const T>& tensor : tensors) {
        if (!term.reaches(tensor.name())) { continue; }
        const Matrix<const T> matrix = tensor.matrix();
        most = std::max(most, padded(Term::scratch_elements(matrix.rows, matrix.columns) * sizeof(T)));
      }
    }
  });
  return most;
}

/// The same for a term on two tensors.
template <class T, class Term, class State, class Backend>
void add_coupled_penalty(Context<Backend>& c, const Term& term, State& state,
                         const std::vector<Tensor<const T>>& frozen, double* value) {
  const auto tensor = [&](std::string_view name) {
    const Index position = position_of<Term>(name, frozen);
    loss::PairedTensor<T> found{.value = frozen[position].matrix()};
    for (const auto& slot : state.slots()) {
      if (slot.position != position) { continue; }
      const Matrix<const T> extents = found.value;
      found.value = {state.parameter_buffer().data() + slot.offset, extents.rows, extents.columns};
      found.gradient = {state.gradient_buffer().data() + slot.offset, extents.rows, extents.columns};
    }
    return found;
  };
  const auto first = tensor(Term::first), second = tensor(Term::second);
  const Arena::Mark before = c.arena.mark();
  T* const scratch = c.arena
                         .template scratch<T, Samples<1>>(
                             Term::scratch_elements(first.value.rows, second.value.rows, first.value.columns))
                         .data;
  term.add(c, first, second, scratch, value);
  c.arena.release(before);
}

/// Launches what adds a term's value to *value, and its gradients to those of the trained tensors that it reaches.
/// `frozen` are the tensors of the weights that the run began with.
template <class T, class Term, class State, class Backend>
void add_penalty(Context<Backend>& c, const Term& term, State& state, const std::vector<Tensor<const T>>& frozen,
                 double* value) {
  if (term.strength == 0.0) { return; }  // not even the sign of a zero changes
  if constexpr (couples_tensors<Term>) {
    add_coupled_penalty<T>(c, term, state, frozen, value);
  } else {
    for (const auto& slot : state.slots()) {
      if (!term.reaches(slot.name)) { continue; }
      T* const gradient = state.gradient_buffer().data() + slot.offset;
      const T* const parameters = state.parameter_buffer().data() + slot.offset;
      const Tensor<const T>& anchor = frozen[slot.position];
      if constexpr (has_own_penalty<Term>) {
        const Index rows = anchor.matrix().rows, columns = anchor.matrix().columns;
        const Arena::Mark before = c.arena.mark();
        T* const scratch = c.arena.template scratch<T, Samples<1>>(Term::scratch_elements(rows, columns)).data;
        term.add(c, Matrix<T>{gradient, rows, columns}, Matrix<const T>{parameters, rows, columns}, scratch, value);
        c.arena.release(before);
      } else {
        run(c, op::distance_penalty<T>{.gradients = {gradient, slot.size},
                                       .parameters = {parameters, slot.size},
                                       .anchor = {anchor.data, slot.size},
                                       .strength = term.strength,
                                       .loss = value});
      }
    }
  }
}

/// A term on parameters that reaches nothing is a mistake in a recipe, as is a schedule that moves no teacher, or a
/// strength that rewards what the term is against.
template <class Loss, class State>
void check_terms(const Loss& loss, const State& state) {
  loss.each_term([&]<class Term>(const Term& term) {
    if constexpr (requires {
                    { term.strength } -> std::convertible_to<double>;
                  }) {
      if (!(term.strength >= 0.0 && std::isfinite(term.strength))) {
        fail({.what = "loss term " + std::string(Term::name) + ": option strength",
              .expected = "a finite number of at least 0",
              .got = std::to_string(term.strength),
              .hint = "0 leaves the term out"});
      }
    }
    if constexpr (loss::parameter_term<Term>) {
      static_assert(check_parameter_term<Term>::ok);
      const auto& slots = state.slots();
      if (term.strength != 0.0 &&
          std::none_of(slots.begin(), slots.end(), [&](const auto& slot) { return term.reaches(slot.name); })) {
        fail({.what = "loss term " + std::string(Term::name),
              .expected = "a trained tensor that it reaches",
              .got = "a tuning policy that trains none of them",
              .hint = "Train the tensor that the term is for, or leave the term out"});
      }
    }
    if constexpr (loss::follows_average<Term>) { loss::check_schedule(Term::name, term.average); }
  });
}

}  // namespace radapt::detail
