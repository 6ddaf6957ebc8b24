#pragma once
/// Case of op/neighbours.hpp.
#include "cases/case.hpp"
#include "radapt/backend/reference/neighbours.hpp"

namespace radapt_test::cases {

namespace op = radapt::op;

struct NeighbourSize {
  Index rows, n, width, k;
  Index different = n;  ///< members after which the set repeats itself: equal distances
  Index rows_at_once = 1000;

  std::string title() const {
    return extents(rows, width) + " in " + extents(n, width) + ", neighbour " + std::to_string(k) +
           (different < n ? ", every member repeated" : "") +
           (rows_at_once < rows ? ", " + std::to_string(rows_at_once) + " rows at once" : "");
  }
  /// Rows of length 1 in random directions, as near to it as float comes. The first of a width of one are 1, then -1.
  static std::vector<double> directions(Index count, Index width, std::uint64_t seed) {
    radapt::Random random(seed);
    std::vector<double> all(count * width);
    for (Index i = 0; i < count; ++i) {
      double squares = 0;
      for (Index e = 0; e < width; ++e) {
        const double x = random.normal();
        all[i * width + e] = x;
        squares += x * x;
      }
      for (Index e = 0; e < width; ++e) { all[i * width + e] /= std::sqrt(squares); }
    }
    return all;
  }
  /// Half of the rows are members themselves, at distance 0 from it.
  std::vector<double> members() const {
    std::vector<double> all = directions(different, width, 5);
    for (Index i = different * width; i < n * width; ++i) { all.push_back(all[i - different * width]); }
    return all;
  }
  std::vector<double> queries() const {
    std::vector<double> all = directions(rows, width, 6);
    const std::vector<double> set = members();
    for (Index i = 0; i < rows; i += 2) {
      const double* const member = set.data() + i * 7 % n * width;
      std::copy(member, member + width, all.data() + i * width);
    }
    return all;
  }
};

struct KthNeighbour {
  template <class T>
  using operation = op::kth_neighbour<T>;
  using Size = NeighbourSize;
  static constexpr Tolerance tolerance{
      2e-6, 4e-15,
      "twice a cosine of at most 512 products: roundings of half a unit in the last place, of parts that add up to "
      "one, 4e-7 or 8e-16 of a distance near one; times five for sets whose distances are all small"};
  static constexpr Threads threads = Threads::may_differ;
  static std::vector<Size> tested() {
    return {{1, 1, 1, 1},     {5, 1, 3, 1},          {6, 9, 1, 4},       {2, 300, 7, 1},
            {3, 300, 7, 300}, {4, 257, 33, 128},     {3, 64, 5, 33, 16}, {3, 1000, 512, 20},
            {13, 70, 6, 2},   {13, 40, 6, 2, 40, 5}, {0, 5, 3, 2}};
  }
  /// The images of a batch of ImageNet's validation set against a failure set of its training set.
  static std::vector<Timed<Size>> timed() {
    return for_timed_models<Size>([](const TimedModel& m) { return Size{512, 20000, m.text_width, 20}; });
  }
  static Work work(const Size& s) {
    const double cosines = number(s.rows * s.n);
    return {.flops = 2 * cosines * number(s.width),
            .elements = number((s.rows + s.n) * s.width) + 2 * cosines + 2 * number(s.rows)};
  }
  template <class T>
  static operation<T> build(Memory<T>& m, const Size& s) {
    operation<T> o{};
    o.distances = {m.template output<double>(s.rows), s.rows};
    o.x = {m.given(s.queries()), s.rows, s.width};
    o.set = {m.given(s.members()), s.n, s.width};
    o.k = s.k;
    o.table_bytes = s.rows_at_once * s.n * sizeof(T);
    return o;
  }
};

}  // namespace radapt_test::cases
