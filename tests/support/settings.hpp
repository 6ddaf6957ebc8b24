#pragma once
/// What a test that runs on several backends is given as its type: a backend and the element type it computes in.

namespace radapt_test {

template <class Backend, class Element>
struct Setting {
  using backend = Backend;
  using T = Element;
};

}  // namespace radapt_test
