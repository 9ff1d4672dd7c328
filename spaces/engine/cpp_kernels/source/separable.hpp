// ReLU, depthwise and pointwise convolution as one: what lies between never leaves the caches.

#pragma once

#include "convolution.hpp"
#include "sums.hpp"

namespace {

// Puts weights as torch has them where the loops want them: depthwise [taps][channels], pointwise transposed.
template <class T>
void tap_major(const T* depthwise, long taps, long channels, bool flipped, T* out) {
  for (long k = 0; k < taps; ++k)
    for (long c = 0; c < channels; ++c) out[k * channels + c] = depthwise[c * taps + (flipped ? taps - 1 - k : k)];
}

template <class T>
void transpose(const T* square, long channels, T* out) {
  for (long r = 0; r < channels; ++r)
    for (long c = 0; c < channels; ++c) out[c * channels + r] = square[r * channels + c];
}

// y = pointwise(depthwise(relu(a x + b))), with the mean and variance of y where wanted.
template <class T, int L, int K>
void separable(const Shape& s, const T* x, long ld, const T* a, const T* b, const T* dw, const T* pw, T* y, long ldy,
               double* mean, double* variance, int threads) {
  const long taps = K * K, row = s.padded_width() * s.channels, pixels = s.out_pixels();
  Numbers<T> kernel(taps * s.channels), matrix(s.channels * s.channels);
  tap_major(dw, taps, s.channels, false, kernel.data());
  transpose(pw, s.channels, matrix.data());
  Numbers<double> parts(2 * s.images * s.channels);
#pragma omp parallel for schedule(static) num_threads(threads)
  for (long i = 0; i < s.images; ++i) {
    T* framed = scratch<T>(0, s.padded_height() * row);
    T* middle = scratch<T>(1, s.out_width() * s.channels);
    T* out = y + i * pixels * ldy;
    frame<T, L>(s, x + i * s.height * s.width * ld, ld, a, b, framed);
    for (long r = 0; r < s.out_height(); ++r) {
      depthwise<T, L, K>(framed + r * s.stride * row, row, 1, s.out_width(), s.stride, s.dilation, kernel.data(),
                         s.channels, middle);
      product<T, L>(middle, matrix.data(), s.out_width(), s.channels, out + r * s.out_width() * ldy, ldy);
    }
    if (!mean) continue;
    double* of_image = parts.data() + 2 * i * s.channels;
    image_moments<T, L>(out, ldy, pixels, s.channels, of_image, of_image + s.channels);
  }
  if (mean) merge_moments(parts.data(), s.images, pixels, s.channels, mean, variance);
}

// The transpose of `separable` at dL/dy = A g + B y + K (or g alone where A is null).
//
// out = dL/d(a x + b), added to where `accumulate`; sums, where wanted, Σ out and Σ out · x: [2][channels]; gradients of
// the weights, as torch has them, where wanted.
template <class T, int L, int K>
void separable_backward(const Shape& s, const T* g, long ldg, const T* y, long ldy, const T* A, const T* B, const T* C,
                        const T* x, long ld, const T* a, const T* b, const T* dw, const T* pw, T* out, long ldo,
                        int accumulate, double* sums, T* grad_dw, T* grad_pw, int threads) {
  const long taps = K * K, channels = s.channels, row = s.padded_width() * channels, pad = s.pad();
  const long oh = s.out_height(), ow = s.out_width(), pixels = s.out_pixels();
  // Stride 1: dL/dz in a frame of zeros, so that its transpose is one more depthwise convolution, kernel flipped.
  const bool gather = s.stride == 1;
  const long frame_width = gather ? ow + 2 * pad : ow, slope_row = frame_width * channels;
  const long slope_start = gather ? pad * slope_row + pad * channels : 0;
  Numbers<T> kernel(taps * channels), flipped(taps * channels);
  tap_major(dw, taps, channels, false, kernel.data());
  tap_major(dw, taps, channels, true, flipped.data());
  const size_t square = channels * channels, weights = taps * channels + square;
  Numbers<T> parts(grad_dw ? threads * weights : 0, T(0));
  Numbers<double> image_sums(sums ? 2 * s.images * channels : 0, 0.0);
#pragma omp parallel for schedule(static) num_threads(threads)
  for (long thread = 0; thread < threads; ++thread) {
    T* framed = scratch<T>(0, s.padded_height() * row);
    T* slope_y = scratch<T>(1, pixels * channels);
    const size_t slope_size = (gather ? oh + 2 * pad : oh) * slope_row;
    T* slope_z = scratch<T>(2, slope_size);
    T* middle = scratch<T>(3, pixels * channels);
    T* slope_x = scratch<T>(4, s.padded_height() * row);
    if (gather) std::memset(slope_z, 0, sizeof(T) * slope_size);
    for (long i = share(s.images, thread, threads); i < share(s.images, thread + 1, threads); ++i) {
      frame<T, L>(s, x + i * s.height * s.width * ld, ld, a, b, framed);
      for (long p = 0; p < pixels; ++p)
        for (long c = 0; c < channels; c += L) {
          auto v = load<T, L>(g + (i * pixels + p) * ldg + c);
          if (A)
            v = v * load<T, L>(A + c) + load<T, L>(y + (i * pixels + p) * ldy + c) * load<T, L>(B + c) +
                load<T, L>(C + c);
          store<T, L>(slope_y + p * channels + c, v);
        }
      for (long r = 0; r < oh; ++r)
        product<T, L>(slope_y + r * ow * channels, pw, ow, channels, slope_z + slope_start + r * slope_row, channels);
      if (grad_dw) {
        T* own = parts.data() + thread * weights;
        depthwise_weights<T, L, K>(s, framed, row, slope_z + slope_start, slope_row, own);
        depthwise<T, L, K>(framed, row, oh, ow, s.stride, s.dilation, kernel.data(), channels, middle);
        outer<T, L>(Strip<T>{slope_y, 1, 0, pixels, channels}, Strip<T>{middle, 1, 0, pixels, channels}, channels,
                    own + taps * channels);
      }
      const T* inner;
      long inner_row;
      if (gather) {
        depthwise<T, L, K>(slope_z, slope_row, oh, ow, 1, s.dilation, flipped.data(), channels, slope_x);
        inner = slope_x;
        inner_row = ow * channels;
      } else {
        std::memset(slope_x, 0, sizeof(T) * s.padded_height() * row);
        for (long r = 0; r < oh; ++r)
          for (long q = 0; q < ow; ++q)
            for (long c = 0; c < channels; c += L) {
              const auto v = load<T, L>(slope_z + r * slope_row + q * channels + c);
              for (int ky = 0; ky < K; ++ky)
                for (int kx = 0; kx < K; ++kx) {
                  T* o = slope_x + (r * s.stride + ky * s.dilation) * row +
                         (q * s.stride + kx * s.dilation) * channels + c;
                  store<T, L>(o, load<T, L>(o) + v * load<T, L>(kernel.data() + (ky * K + kx) * channels + c));
                }
            }
        inner = slope_x + pad * row + pad * channels;
        inner_row = row;
      }
      for (long r = 0; r < s.height; ++r)
        for (long q = 0; q < s.width; ++q) {
          const T* u = framed + (r + pad) * row + (q + pad) * channels;
          const T* v = inner + r * inner_row + q * channels;
          T* o = out + ((i * s.height + r) * s.width + q) * ldo;
          for (long c = 0; c < channels; c += L) {
            auto w = passed<T, L>(load<T, L>(u + c), load<T, L>(v + c));
            if (accumulate) w += load<T, L>(o + c);
            store<T, L>(o + c, w);
          }
        }
      if (sums) {
        double* own = image_sums.data() + 2 * i * channels;
        const T* o = out + i * s.height * s.width * ldo;
        const T* in = x + i * s.height * s.width * ld;
        for (long start = 0; start < s.height * s.width; start += kChunk)
          for (long c = 0; c < channels; c += L) {
            Vec<T, L> q[4] = {}, d[4] = {};
            by_four(start, std::min(s.height * s.width, start + kChunk), [&](long p, int lane) {
              const auto v = load<T, L>(o + p * ldo + c);
              q[lane] += v;
              d[lane] += v * load<T, L>(in + p * ld + c);
            });
            flush<T, L>(q, own + c);
            flush<T, L>(d, own + channels + c);
          }
      }
    }
  }
  if (sums) {
    std::fill(sums, sums + 2 * channels, 0.0);
    for (long i = 0; i < s.images; ++i)
      for (long c = 0; c < 2 * channels; ++c) sums[c] += image_sums[2 * i * channels + c];
  }
  if (grad_dw)
    for (size_t j = 0; j < weights; ++j) {
      T total = 0;
      for (int thread = 0; thread < threads; ++thread) total += parts[thread * weights + j];
      const size_t depthwise_size = taps * channels;
      if (j < depthwise_size)
        grad_dw[(j % channels) * taps + j / channels] = total;
      else
        grad_pw[j - depthwise_size] = total;
    }
}

}  // namespace
