#pragma once
/// Weights that never change, kept in the layout that oneDNN multiplies by without rearranging them in every call.
///
/// dnnl_sgemm copies its factors into its own layout each time. Over thousands of rows that is lost in the product;
/// over the fifty rows of one image it is a third of the time.
#include <unordered_map>
#include <vector>

#include "radapt/backend/onednn/constant_memory.hpp"
#include "radapt/backend/onednn/matrix_product.hpp"

namespace radapt {

/// The packed copies of matrices that were promised to be constant. Each is made when it is first multiplied by, so
/// that a text tower which never runs takes no memory.
class PackedWeights {
 public:
  /// Rows up to which a packed matrix is multiplied by. Measured with AVX-512 on several matrices in turn, one thread,
  /// as ratios to dnnl_sgemm: 1.2 to 1.4 at 50 rows, 1.0 to 1.4 at 197; on Zen 5 1.15 at 197, 1.07 to 1.12 at 257 (an
  /// image of L/14), 1.05 to 1.09 at 384, 1.07 at 400 (eight images of B/32, as a whole). On a Xeon with AMX 1.25 at
  /// 50, 1.05 at 197, but 0.94 at 257, and 0.9 at 288.
  static Index most_rows() {
    constexpr unsigned amx = dnnl_cpu_isa_avx512_core_amx;
    static const bool has_amx = (static_cast<unsigned>(dnnl_get_effective_cpu_isa()) & amx) == amx;
    return has_amx ? 256 : 448;
  }

  /// y = act(x W^T + b) with x (rows, in), y (rows, out) and a W (out, in) that `constant` covers, all row-major;
  /// `epilogue` says which of bias and activation there are.
  void multiply(dnnl_engine_t engine, dnnl_stream_t stream, float* y, const float* x, Index rows, Index in, Index out,
                const float* weight, const float* bias, const detail::cpu::Epilogue& epilogue,
                const detail::cpu::ConstantMemory& constant) {
    using namespace detail::cpu;
    auto found = matrices_.find(weight);
    if (found == matrices_.end()) {
      found = matrices_.emplace(weight, pack(engine, stream, in, out, dnnl_ba, weight, dnnl_f32)).first;
      constant.copied(weight, in * out);
    }
    const PackedMatrix& w = found->second;
    Product& product = recent_entry(
        products_, next_, most_products,
        [&](const Product& p) { return p.rows == rows && p.in == in && p.out == out && p.epilogue == epilogue; },
        [&] {
          return Product{rows, in, out, epilogue,
                         MatrixProduct{engine, out, {rows, out, dnnl_ab}, {rows, in, dnnl_ab}, w.layout, epilogue}};
        });
    product.primitive.run(stream, y, x, w.memory.get(), bias);
  }

 private:
  struct Product {
    Index rows, in, out;
    detail::cpu::Epilogue epilogue;
    detail::cpu::MatrixProduct primitive;
  };

  static constexpr Index most_products = 32;
  std::unordered_map<const float*, detail::cpu::PackedMatrix> matrices_;
  std::vector<Product> products_;
  Index next_ = 0;
};

}  // namespace radapt
