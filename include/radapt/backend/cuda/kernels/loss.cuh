#pragma once
/// CUDA kernels of op/loss.hpp, op/orthogonality.hpp and op/frobenius.hpp. A block for each row of logits; sums over
/// rows in double.
#include "radapt/backend/cuda/kernels/map.cuh"
#include "radapt/backend/cuda/kernels/matrix_product.cuh"

namespace radapt {

namespace detail::gpu {

inline constexpr unsigned row_threads = 128;

/// log of the sum of exponentials of value(j) over j in 0 .. n - 1, by one block; -inf for nothing. `value` gives -inf
/// for entries that do not count.
template <class F>
__device__ float block_log_sum_exp(Index n, const F& value) {
  float most = -INFINITY, total = 0;
  for (Index j = threadIdx.x; j < n; j += row_threads) {
    const float v = value(j);
    most = v > most ? v : most;
  }
  most = block_max<row_threads>(most);
  if (most == -INFINITY) { return most; }
  for (Index j = threadIdx.x; j < n; j += row_threads) { total += std::exp(value(j) - most); }
  return most + std::log(block_sum<row_threads>(total));
}

template <class T>
struct ContrastiveKernel {
  op::contrastive_loss<T> o;

  __device__ bool same(Index i, Index j) const { return o.labels[i] == o.labels[j]; }
  __device__ float target(Index i, Index j) const { return same(i, j) ? o.positive.data[i] : o.negative.data[i]; }
  __device__ float scale() const {
    return o.log_scale == nullptr ? static_cast<float>(o.scale) : std::exp(*o.log_scale);
  }
};

/// logits hold cosines: adds the margin, scales, and takes the log sum of row `block`.
template <class T>
__global__ void __launch_bounds__(row_threads) contrastive_row_kernel(ContrastiveKernel<T> k) {
  const Index i = blockIdx.x, batch = k.o.logits.rows;
  float* const z = k.o.logits.data + i * batch;
  const float scale = k.scale(), margin = static_cast<float>(k.o.margin);
  for (Index j = threadIdx.x; j < batch; j += row_threads) { z[j] = scale * (z[j] + (k.same(i, j) ? 0.0F : margin)); }
  __syncthreads();
  const float log_sum = block_log_sum_exp(batch, [&](Index j) { return z[j]; });
  if (threadIdx.x == 0) { k.o.log_sums.data[i] = log_sum; }
}

/// The log sums of 32 columns: a warp reads 32 neighbours of a row, the warps of the block take turns at rows.
template <class T>
__global__ void __launch_bounds__(row_threads) contrastive_column_kernel(ContrastiveKernel<T> k) {
  constexpr unsigned warps = row_threads / warp_size;
  __shared__ float most_of[warps][warp_size], total_of[warps][warp_size];
  const Index batch = k.o.logits.rows, column = Index{blockIdx.x} * warp_size + threadIdx.x % warp_size;
  const unsigned warp = threadIdx.x / warp_size, lane = threadIdx.x % warp_size;
  float most = -INFINITY, total = 0;
  for (Index i = warp; column < batch && i < batch; i += warps) {
    const float v = k.o.logits.data[i * batch + column];
    if (v > most) {
      total = total * std::exp(most - v) + 1.0F;
      most = v;
    } else {
      total += std::exp(v - most);
    }
  }
  most_of[warp][lane] = most;
  total_of[warp][lane] = total;
  __syncthreads();
  if (warp != 0 || column >= batch) { return; }
  for (unsigned w = 1; w < warps; ++w) { most = most_of[w][lane] > most ? most_of[w][lane] : most; }
  float sum = 0;
  for (unsigned w = 0; w < warps; ++w) {
    if (total_of[w][lane] > 0) { sum += total_of[w][lane] * std::exp(most_of[w][lane] - most); }
  }
  k.o.log_sums.data[batch + column] = most + std::log(sum);
}

/// Puts the gradient by z in the place of z; partial sums of the loss and of the gradient by the logarithm of the
/// scale.
template <class T>
__global__ void __launch_bounds__(row_threads)
    contrastive_gradient_kernel(ContrastiveKernel<T> k, double* losses, double* scale_gradients) {
  const Index i = blockIdx.x, batch = k.o.logits.rows;
  const float share = 1.0F / static_cast<float>(2 * batch);
  double loss = 0, dlog_scale = 0;
  for (Index j = threadIdx.x; j < batch; j += row_threads) {
    float& entry = k.o.logits.data[i * batch + j];
    const float row = entry - k.o.log_sums.data[i], column = entry - k.o.log_sums.data[batch + j];
    const float t = k.target(i, j), s = k.target(j, i);
    loss -= static_cast<double>(t * row + s * column);
    const float gradient = share * (std::exp(row) - t + std::exp(column) - s);
    dlog_scale += static_cast<double>(gradient * entry);
    entry = gradient;
  }
  loss = block_sum<row_threads>(loss);
  dlog_scale = block_sum<row_threads>(dlog_scale);
  if (threadIdx.x == 0) {
    losses[i] = loss;
    scale_gradients[i] = dlog_scale;
  }
}

template <class T>
__global__ void __launch_bounds__(row_threads) cross_entropy_kernel(op::cross_entropy<T> o, double* losses) {
  const Index i = blockIdx.x, classes = o.logits.columns, label = static_cast<Index>(o.labels[i]);
  const float* const z = o.logits.data + i * classes;
  const float* const margins = o.margins.data == nullptr ? nullptr : o.margins.data + label * classes;
  const auto value = [&](Index c) { return margins == nullptr ? z[c] : z[c] + margins[c]; };
  const float log_sum = block_log_sum_exp(classes, value);
  const float spread = static_cast<float>(o.smoothing) / static_cast<float>(classes);
  const float share = static_cast<float>(o.gradient_scale) / static_cast<float>(o.logits.rows);
  double loss = 0;
  for (Index c = threadIdx.x; c < classes; c += row_threads) {
    const float target = spread + (c == label ? static_cast<float>(1.0 - o.smoothing) : 0.0F);
    const float log_p = value(c) - log_sum;
    loss -= static_cast<double>(target * log_p);
    if (o.dlogits.data != nullptr) { o.dlogits.data[i * classes + c] = share * (std::exp(log_p) - target); }
  }
  loss = block_sum<row_threads>(loss);
  if (threadIdx.x == 0) { losses[i] = loss; }
}

template <class T>
__global__ void __launch_bounds__(row_threads) distillation_kernel(op::distillation<T> o, double* losses) {
  const Index i = blockIdx.x, columns = o.student.columns;
  float* const student = o.student.data + i * columns;
  const float* const teacher = o.teacher.data + i * columns;
  const auto masked = [&](Index j) { return o.labels != nullptr && o.labels[i] == o.labels[j]; };
  const float student_sum = block_log_sum_exp(columns, [&](Index j) { return masked(j) ? -INFINITY : student[j]; });
  const float teacher_sum = block_log_sum_exp(columns, [&](Index j) { return masked(j) ? -INFINITY : teacher[j]; });
  const float share = static_cast<float>(o.weight) / static_cast<float>(o.student.rows);
  double loss = 0;
  for (Index j = threadIdx.x; j < columns; j += row_threads) {
    float gradient = 0;
    if (!masked(j)) {
      const float log_p = student[j] - student_sum, log_t = teacher[j] - teacher_sum, t = std::exp(log_t);
      if (t > 0) { loss += static_cast<double>(t * ((o.minus_entropy ? log_t : 0.0F) - log_p)); }
      gradient = share * (std::exp(log_p) - t);
    }
    student[j] = gradient;
  }
  loss = block_sum<row_threads>(loss);
  if (threadIdx.x == 0) { losses[i] = loss; }
}

/// g -= 1 on the diagonal; the square of what is left.
struct DistanceFromOrthonormal {
  float* gram;
  Index columns;
  __device__ double operator()(Index i) const {
    if (i / columns == i % columns) { gram[i] -= 1.0F; }
    return static_cast<double>(gram[i]) * static_cast<double>(gram[i]);
  }
};
/// *loss += strength |x|; *factor = slope / |x|, 0 where x is zero.
struct PenaltyOfSquare {
  double* loss;
  float* factor;
  double strength, slope;
  __device__ void operator()(double squares) const {
    const double norm = std::sqrt(squares);
    *loss += strength * norm;
    *factor = norm > 0 ? static_cast<float>(slope / norm) : 0.0F;
  }
};
struct TimesFactor {
  float* x;
  const float* factor;
  __device__ void operator()(Index i) const { x[i] *= *factor; }
};

}  // namespace detail::gpu

template <std::same_as<float> T>
void launch(cuda& backend, const op::contrastive_loss<T>& o) {
  using namespace detail::gpu;
  Call call(backend);
  const Index batch = o.image.rows, width = o.image.columns;
  op::contrastive_loss<T> p = o;
  p.image = call.in(o.image);
  p.text = call.in(o.text);
  p.labels = call.in(o.labels, batch);
  p.positive = call.in(o.positive);
  p.negative = call.in(o.negative);
  p.log_scale = call.in(o.log_scale, 1);
  p.logits = call.out(o.logits);
  p.log_sums = call.out(o.log_sums);
  const ContrastiveKernel<T> k{p};
  const dim3 a_block_each(static_cast<unsigned>(batch));
  double* const losses = call.workspace<double>(batch);
  double* const scale_gradients = call.workspace<double>(batch);

  multiply(call, o.name,
           {.c = p.logits.data,
            .a = p.image.data,
            .b = p.text.data,
            .rows = batch,
            .columns = batch,
            .inner = width,
            .a_stride = width,
            .b_stride = width,
            .c_stride = batch,
            .form = Form::b_transposed});
  call.run(o.name, a_block_each, row_threads, contrastive_row_kernel<T>, k);
  call.run(o.name, blocks_for(batch, warp_size), row_threads, contrastive_column_kernel<T>, k);
  call.run(o.name, a_block_each, row_threads, contrastive_gradient_kernel<T>, k, losses, scale_gradients);
  sum(call, o.name, batch, Given{losses}, Assign<double>{call.out(o.loss, 1), 1.0 / static_cast<double>(2 * batch)});
  // By the scale itself the features' gradients are scale times a product with the other side.
  Product gradient{.a = p.logits.data,
                   .rows = batch,
                   .columns = width,
                   .inner = batch,
                   .a_stride = batch,
                   .b_stride = width,
                   .c_stride = width};
  gradient.factor = o.log_scale == nullptr ? o.scale : 1.0;
  gradient.log_scale = p.log_scale;
  if (o.dimage.data != nullptr) {
    gradient.c = call.out(o.dimage).data;
    gradient.b = p.text.data;
    multiply(call, o.name, gradient);
  }
  if (o.dtext.data != nullptr) {
    gradient.c = call.out(o.dtext).data;
    gradient.b = p.image.data;
    gradient.form = Form::a_transposed;
    multiply(call, o.name, gradient);
  }
  if (o.dlog_scale != nullptr) {
    sum(call, o.name, batch, Given{scale_gradients}, AddTo<T>{call.updated(o.dlog_scale, 1), 1.0});
  }
  call.done();
}

template <std::same_as<float> T>
void launch(cuda& backend, const op::cross_entropy<T>& o) {
  using namespace detail::gpu;
  Call call(backend);
  const Index batch = o.logits.rows;
  op::cross_entropy<T> p = o;
  p.logits = call.in(o.logits);
  p.labels = call.in(o.labels, batch);
  p.margins = call.in(o.margins);
  p.dlogits = call.out(o.dlogits);
  double* const losses = call.workspace<double>(batch);
  call.run(o.name, dim3(static_cast<unsigned>(batch)), row_threads, cross_entropy_kernel<T>, p, losses);
  sum(call, o.name, batch, Given{losses}, Assign<double>{call.out(o.loss, 1), 1.0 / static_cast<double>(batch)});
  call.done();
}

template <std::same_as<float> T>
void launch(cuda& backend, const op::distillation<T>& o) {
  using namespace detail::gpu;
  Call call(backend);
  const Index batch = o.student.rows, columns = o.student.columns;
  op::distillation<T> p = o;
  p.student = call.updated(o.student);
  p.teacher = call.in(o.teacher);
  if (o.labels != nullptr) { p.labels = call.in(o.labels, batch > columns ? batch : columns); }
  double* const losses = call.workspace<double>(batch);
  call.run(o.name, dim3(static_cast<unsigned>(batch)), row_threads, distillation_kernel<T>, p, losses);
  sum(call, o.name, batch, Given{losses},
      AddTo<double>{call.updated(o.loss, 1), o.weight / static_cast<double>(batch)});
  call.done();
}

template <std::same_as<float> T>
void launch(cuda& backend, const op::orthogonality_penalty<T>& o) {
  using namespace detail::gpu;
  Call call(backend);
  const Index rows = o.parameters.rows, columns = o.parameters.columns;
  const float* const w = call.in(o.parameters).data;
  float* const gram = call.out(o.gram).data;
  float* const factor = call.workspace<float>(1);
  multiply(call, o.name,
           {.c = gram,
            .a = w,
            .b = w,
            .rows = columns,
            .columns = columns,
            .inner = rows,
            .a_stride = columns,
            .b_stride = columns,
            .c_stride = columns,
            .form = Form::a_transposed});
  sum(call, o.name, columns * columns, DistanceFromOrthonormal{gram, columns},
      PenaltyOfSquare{call.updated(o.loss, 1), factor, o.strength, 2 * o.strength});
  multiply(call, o.name,
           {.c = call.updated(o.gradients).data,
            .a = w,
            .b = gram,
            .rows = rows,
            .columns = columns,
            .inner = columns,
            .a_stride = columns,
            .b_stride = columns,
            .c_stride = columns,
            .accumulate = true,
            .scale = factor});
  call.done();
}

template <std::same_as<float> T>
void launch(cuda& backend, const op::frobenius_penalty<T>& o) {
  using namespace detail::gpu;
  Call call(backend);
  float* const x = call.updated(o.x).data;
  float* const factor = call.workspace<float>(1);
  sum(call, o.name, o.x.size(), Square<T>{x}, PenaltyOfSquare{call.updated(o.loss, 1), factor, o.strength, o.strength});
  map(call, o.name, o.x.size(), TimesFactor{x, factor});
  call.done();
}

}  // namespace radapt
