// ReLU and dense convolutions of stride 1, kernels 1 x 1 and 3 x 3: several of one source at once.

#pragma once

#include "convolution.hpp"
#include "sums.hpp"

namespace {

// torch's kernels [out][in][taps], put as [taps][in][out], or flipped as [taps][out][in] for the way back.
template <class T>
void by_tap(const T* w, long taps, long channels, bool back, T* out) {
  const long square = channels * channels;
  for (long o = 0; o < channels; ++o)
    for (long i = 0; i < channels; ++i)
      for (long k = 0; k < taps; ++k) {
        const T v = w[(o * channels + i) * taps + k];
        if (back)
          out[(taps - 1 - k) * square + o * channels + i] = v;
        else
          out[k * square + i * channels + o] = v;
      }
}

// For each member m: y_m = convolution(relu(x)) of size sizes[m], with its mean and variance where wanted.
template <class T, int L>
void dense(long images, long height, long width, long channels, const T* x, long ld, long count, const long* sizes,
           const T* const* weights, T* const* ys, double* const* means, double* const* variances, int threads) {
  const Shape s{images, height, width, channels, 3, 1, 1};
  const long row = s.padded_width() * channels, pixels = height * width, square = channels * channels;
  std::vector<T> kernels(count * 9 * square);
  std::vector<double> parts(count * 2 * images * channels);
#pragma omp parallel num_threads(threads)
  {
#pragma omp for schedule(static)
    for (long m = 0; m < count; ++m)
      by_tap(weights[m], sizes[m] * sizes[m], channels, false, kernels.data() + m * 9 * square);
#pragma omp for schedule(static)
    for (long i = 0; i < images; ++i) {
      T* framed = scratch<T>(0, s.padded_height() * row);
      frame<T, L>(s, x + i * pixels * ld, ld, nullptr, nullptr, framed);
      for (long m = 0; m < count; ++m) {
        const T* in = sizes[m] == 3 ? framed : framed + row + channels;
        T* out = ys[m] + i * pixels * channels;
        for (long r = 0; r < height; ++r)
          dense_row<T, L>(in + r * row, row, sizes[m], kernels.data() + m * 9 * square, width, channels,
                          out + r * width * channels, channels, false);
        if (!means) continue;
        double* of_image = parts.data() + (m * images + i) * 2 * channels;
        image_moments<T, L>(out, channels, pixels, channels, of_image, of_image + channels);
      }
    }
  }
  if (means)
    for (long m = 0; m < count; ++m)
      merge_moments(parts.data() + m * images * 2 * channels, images, pixels, channels, means[m], variances[m]);
}

// The transpose of `dense` at dL/dy_m = A_m g_m + B_m y_m + K_m (slopes: A, B, K of each member): added to gx; gradients
// of the weights, as torch has them, where wanted.
template <class T, int L>
void dense_backward(long images, long height, long width, long channels, const T* x, long ld, long count,
                    const long* sizes, const T* const* weights, const T* const* ys, const T* const* gs,
                    const long* ldgs, const T* slopes, T* gx, long ldg, T* const* grads, int threads) {
  const Shape s{images, height, width, channels, 3, 1, 1};
  const long row = s.padded_width() * channels, pixels = height * width, square = channels * channels;
  std::vector<T> kernels(count * 9 * square), parts(grads ? threads * count * 9 * square : 0, T(0));
#pragma omp parallel num_threads(threads)
  {
#pragma omp for schedule(static)
    for (long m = 0; m < count; ++m)
      by_tap(weights[m], sizes[m] * sizes[m], channels, true, kernels.data() + m * 9 * square);
    T* framed = scratch<T>(0, s.padded_height() * row);
    T* slope = scratch<T>(1, s.padded_height() * row);
    T* total = scratch<T>(2, pixels * channels);
    std::memset(slope, 0, sizeof(T) * s.padded_height() * row);
    T* inner = slope + row + channels;
#pragma omp for schedule(static)
    for (long thread = 0; thread < threads; ++thread)
      for (long i = share(images, thread, threads); i < share(images, thread + 1, threads); ++i) {
        frame<T, L>(s, x + i * pixels * ld, ld, nullptr, nullptr, framed);
        for (long m = 0; m < count; ++m) {
          const T *A = slopes + m * 3 * channels, *B = A + channels, *K = B + channels;
          const T *g = gs[m] + i * pixels * ldgs[m], *y = ys[m] + i * pixels * channels;
          for (long r = 0; r < height; ++r)
            for (long q = 0; q < width; ++q)
              for (long c = 0; c < channels; c += L) {
                const long p = r * width + q;
                store<T, L>(inner + r * row + q * channels + c,
                            load<T, L>(g + p * ldgs[m] + c) * load<T, L>(A + c) +
                                load<T, L>(y + p * channels + c) * load<T, L>(B + c) + load<T, L>(K + c));
              }
          const T* kernel = kernels.data() + m * 9 * square;
          const T* in = sizes[m] == 3 ? slope : inner;
          for (long r = 0; r < height; ++r)
            dense_row<T, L>(in + r * row, row, sizes[m], kernel, width, channels, total + r * width * channels, channels,
                            m > 0);
          if (!grads) continue;
          T* own = parts.data() + (thread * count + m) * 9 * square;
          if (sizes[m] == 3)
            dense_weights<T, L>(s, framed, row, inner, row, own);
          else
            for (long r = 0; r < height; ++r)
              outer<T, L>(inner + r * row, framed + (r + 1) * row + channels, width, channels, own);
        }
        for (long r = 0; r < height; ++r)
          for (long q = 0; q < width; ++q)
            for (long c = 0; c < channels; c += L) {
              const auto u = load<T, L>(framed + (r + 1) * row + (q + 1) * channels + c);
              T* o = gx + (i * pixels + r * width + q) * ldg + c;
              store<T, L>(o, load<T, L>(o) + passed<T, L>(u, load<T, L>(total + (r * width + q) * channels + c)));
            }
      }
    if (grads) {
#pragma omp for schedule(static)
      for (long m = 0; m < count; ++m) {
        const long taps = sizes[m] * sizes[m];
        for (long k = 0; k < taps; ++k)
          for (long j = 0; j < square; ++j) {
            T sum = 0;
            for (int t = 0; t < threads; ++t) sum += parts[(t * count + m) * 9 * square + k * square + j];
            grads[m][j * taps + k] = sum;
          }
      }
    }
  }
}

}  // namespace
