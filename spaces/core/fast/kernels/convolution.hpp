// Convolutions of a single image that stands in a frame of zeros: depthwise, dense, and the gradients of their kernels.

#pragma once

#include "lanes.hpp"

namespace {

struct Shape {
  long images, height, width, channels, kernel, dilation, stride;
  long pad() const { return dilation * (kernel / 2); }
  long padded_height() const { return height + 2 * pad(); }
  long padded_width() const { return width + 2 * pad(); }
  long out_height() const { return (height + stride - 1) / stride; }
  long out_width() const { return (width + stride - 1) / stride; }
  long out_pixels() const { return out_height() * out_width(); }
};

// One image of relu(a x + b), or of relu(x), in a frame of zeros.
template <class T, int L>
void frame(const Shape& s, const T* x, long ld, const T* a, const T* b, T* out) {
  const long pad = s.pad(), row = s.padded_width() * s.channels;
  std::memset(out, 0, sizeof(T) * s.padded_height() * row);
  for (long y = 0; y < s.height; ++y) {
    T* o = out + (y + pad) * row + pad * s.channels;
    for (long p = 0; p < s.width; ++p)
      for (long c = 0; c < s.channels; c += L) {
        auto v = load<T, L>(x + (y * s.width + p) * ld + c);
        if (a) v = v * load<T, L>(a + c) + load<T, L>(b + c);
        store<T, L>(o + p * s.channels + c, relu<T, L>(v));
      }
  }
}

// B pixels of a depthwise convolution: `in` is the first pixel's first tap, taps `right` and `down` of each other. S is
// `step`, the distance between pixels, where it is one of the usual ones; else 0.
template <class T, int L, int K, int B, int S>
inline void depthwise_block(const T* in, long distance, long right, long down, const T* w, long channels, T* out, long ldo) {
  const long step = S ? S : distance;
  for (long c = 0; c < channels; c += L) {
    Vec<T, L> sum[B] = {};
#pragma GCC unroll 5
    for (int y = 0; y < K; ++y)
#pragma GCC unroll 5
      for (int x = 0; x < K; ++x) {
        const auto k = load<T, L>(w + (y * K + x) * channels + c);
        const T* tap = in + y * down + x * right + c;
#pragma GCC unroll 8
        for (int j = 0; j < B; ++j) sum[j] += k * load<T, L>(tap + j * step);
      }
#pragma GCC unroll 8
    for (int j = 0; j < B; ++j) store<T, L>(out + j * ldo + c, sum[j]);
  }
}

template <class T, int L, int K, int S>
void depthwise_of(const T* framed, long row, long out_height, long out_width, long stride, long dilation, const T* w,
                  long channels, T* out) {
  const long step = stride * channels, right = dilation * channels, down = dilation * row;
  for (long y = 0; y < out_height; ++y) {
    const T* in = framed + y * stride * row;
    T* o = out + y * out_width * channels;
    long x = 0;
    for (; x + 8 <= out_width; x += 8)
      depthwise_block<T, L, K, 8, S>(in + x * step, step, right, down, w, channels, o + x * channels, channels);
    for (; x + 4 <= out_width; x += 4)
      depthwise_block<T, L, K, 4, S>(in + x * step, step, right, down, w, channels, o + x * channels, channels);
    for (; x < out_width; ++x)
      depthwise_block<T, L, K, 1, S>(in + x * step, step, right, down, w, channels, o + x * channels, channels);
  }
}

// A depthwise convolution of one framed image: [out height][out width][channels].
template <class T, int L, int K>
void depthwise(const T* framed, long row, long out_height, long out_width, long stride, long dilation, const T* w,
               long channels, T* out) {
  const auto of = [&](auto kernel) { kernel(framed, row, out_height, out_width, stride, dilation, w, channels, out); };
  if (stride * channels == L) return of(depthwise_of<T, L, K, L>);
  if (stride * channels == 2 * L) return of(depthwise_of<T, L, K, 2 * L>);
  if (stride * channels == 4 * L) return of(depthwise_of<T, L, K, 4 * L>);
  of(depthwise_of<T, L, K, 0>);
}

// B pixels of a dense convolution with `taps` rows and columns: out[j] = Σ in[j + tap] · w[tap], w [taps²][channels][channels].
// A pointwise convolution has one tap. `in` is the first pixel's first tap; pixels and taps lie `channels` apart. S is the number of channels where it is
// one of the usual ones, so that the addresses of the B pixels are constants; else 0.
template <class T, int L, int B, int N, int S>
inline void dense_block(const T* in, long row, long taps, const T* w, long channels, long first, T* out, long ldo,
                        bool accumulate) {
  const long step = S ? S : channels;
  Vec<T, L> sum[B][N];
#pragma GCC unroll 16
  for (int j = 0; j < B; ++j)
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n)
      sum[j][n] = accumulate ? load<T, L>(out + j * ldo + first + n * L) : Vec<T, L>{};
  for (long y = 0; y < taps; ++y)
    for (long x = 0; x < taps; ++x) {
      const T* tap = in + y * row + x * step;
      const T* matrix = w + (y * taps + x) * step * step + first;
      for (long c = 0; c < step; ++c) {
        Vec<T, L> k[N];
#pragma GCC unroll 4
        for (int n = 0; n < N; ++n) k[n] = load<T, L>(matrix + c * step + n * L);
#pragma GCC unroll 16
        for (int j = 0; j < B; ++j) {
          const T v = tap[j * step + c];
#pragma GCC unroll 4
          for (int n = 0; n < N; ++n) sum[j][n] += v * k[n];
        }
      }
    }
#pragma GCC unroll 16
  for (int j = 0; j < B; ++j)
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) store<T, L>(out + j * ldo + first + n * L, sum[j][n]);
}

template <class T, int L, int B, int S>
inline void dense_pixels(const T* in, long row, long taps, const T* w, long channels, T* out, long ldo,
                         bool accumulate) {
  long first = 0;
  for (; first + 2 * L <= channels; first += 2 * L)
    dense_block<T, L, B, 2, S>(in, row, taps, w, channels, first, out, ldo, accumulate);
  if (first < channels) dense_block<T, L, B, 1, S>(in, row, taps, w, channels, first, out, ldo, accumulate);
}

template <class T, int L, int S>
void dense_row_of(const T* in, long row, long taps, const T* w, long pixels, long channels, T* out, long ldo,
                  bool accumulate) {
  long p = 0;
  if (channels < 2 * L)
    for (; p + 16 <= pixels; p += 16)
      dense_pixels<T, L, 16, S>(in + p * channels, row, taps, w, channels, out + p * ldo, ldo, accumulate);
  for (; p + 8 <= pixels; p += 8)
    dense_pixels<T, L, 8, S>(in + p * channels, row, taps, w, channels, out + p * ldo, ldo, accumulate);
  for (; p + 4 <= pixels; p += 4)
    dense_pixels<T, L, 4, S>(in + p * channels, row, taps, w, channels, out + p * ldo, ldo, accumulate);
  for (; p < pixels; ++p)
    dense_pixels<T, L, 1, S>(in + p * channels, row, taps, w, channels, out + p * ldo, ldo, accumulate);
}

// A row of pixels of a dense convolution.
template <class T, int L>
void dense_row(const T* in, long row, long taps, const T* w, long pixels, long channels, T* out, long ldo,
               bool accumulate) {
  if (channels == L) return dense_row_of<T, L, L>(in, row, taps, w, pixels, channels, out, ldo, accumulate);
  if (channels == 2 * L) return dense_row_of<T, L, 2 * L>(in, row, taps, w, pixels, channels, out, ldo, accumulate);
  if (channels == 4 * L) return dense_row_of<T, L, 4 * L>(in, row, taps, w, pixels, channels, out, ldo, accumulate);
  dense_row_of<T, L, 0>(in, row, taps, w, pixels, channels, out, ldo, accumulate);
}

// out[p] = in[p] · w for [pixels][channels] and a square w.
template <class T, int L>
void product(const T* in, const T* w, long pixels, long channels, T* out, long ldo) {
  dense_row<T, L>(in, 0, 1, w, pixels, channels, out, ldo, false);
}

// out[r][c] += Σ_p left[p][r] · right[p][c], R rows at a time.
template <class T, int L, int R, int N>
inline void outer_block(const T* left, const T* right, long pixels, long channels, long row, long column, T* out) {
  Vec<T, L> sum[R][N] = {};
  for (long p = 0; p < pixels; ++p) {
    Vec<T, L> v[N];
    for (int n = 0; n < N; ++n) v[n] = load<T, L>(right + p * channels + column + n * L);
    for (int r = 0; r < R; ++r) {
      const T factor = left[p * channels + row + r];
      for (int n = 0; n < N; ++n) sum[r][n] += factor * v[n];
    }
  }
  for (int r = 0; r < R; ++r)
    for (int n = 0; n < N; ++n) {
      T* o = out + (row + r) * channels + column + n * L;
      store<T, L>(o, load<T, L>(o) + sum[r][n]);
    }
}

template <class T, int L>
void outer(const T* left, const T* right, long pixels, long channels, T* out) {
  for (long column = 0; column < channels;) {
    const bool two = column + 2 * L <= channels;
    long row = 0;
    for (; row + 8 <= channels; row += 8)
      two ? outer_block<T, L, 8, 2>(left, right, pixels, channels, row, column, out)
          : outer_block<T, L, 8, 1>(left, right, pixels, channels, row, column, out);
    for (; row < channels; row += 4)
      two ? outer_block<T, L, 4, 2>(left, right, pixels, channels, row, column, out)
          : outer_block<T, L, 4, 1>(left, right, pixels, channels, row, column, out);
    column += two ? 2 * L : L;
  }
}

// out[k] += Σ_p slope[p] · framed[p at tap k]: the gradient of a depthwise kernel, [taps][channels].
template <class T, int L, int K>
void depthwise_weights(const Shape& s, const T* framed, long row, const T* slope, long slope_row, T* out) {
  const long step = s.stride * s.channels;
  for (long c = 0; c < s.channels; c += L)
    for (int ky = 0; ky < K; ++ky) {
      Vec<T, L> sum[K][2] = {};
      for (long y = 0; y < s.out_height(); ++y) {
        const T* in = framed + (y * s.stride + ky * s.dilation) * row + c;
        const T* g = slope + y * slope_row + c;
        long x = 0;
        for (; x + 2 <= s.out_width(); x += 2) {
          const auto even = load<T, L>(g + x * s.channels), odd = load<T, L>(g + (x + 1) * s.channels);
          for (int kx = 0; kx < K; ++kx) {
            const T* tap = in + x * step + kx * s.dilation * s.channels;
            sum[kx][0] += even * load<T, L>(tap);
            sum[kx][1] += odd * load<T, L>(tap + step);
          }
        }
        if (x < s.out_width()) {
          const auto even = load<T, L>(g + x * s.channels);
          for (int kx = 0; kx < K; ++kx)
            sum[kx][0] += even * load<T, L>(in + x * step + kx * s.dilation * s.channels);
        }
      }
      for (int kx = 0; kx < K; ++kx) {
        T* o = out + (ky * K + kx) * s.channels + c;
        store<T, L>(o, load<T, L>(o) + (sum[kx][0] + sum[kx][1]));
      }
    }
}

// out[tap][r][c] += Σ_p slope[p][r] · framed[p + tap][c] for R rows r: the gradient of a dense 3 x 3 kernel.
template <class T, int L, int R>
void dense_weights_block(const Shape& s, const T* framed, long row, const T* slope, long slope_row, long first,
                         T* out) {
  const long channels = s.channels;
  for (long c = 0; c < channels; c += L)
    for (int ky = 0; ky < 3; ++ky) {
      Vec<T, L> sum[R][3] = {};
      for (long y = 0; y < s.height; ++y) {
        const T* in = framed + (y + ky) * row + c;
        const T* g = slope + y * slope_row + first;
        for (long x = 0; x < s.width; ++x) {
          const Vec<T, L> v[3] = {load<T, L>(in + x * channels), load<T, L>(in + (x + 1) * channels),
                                  load<T, L>(in + (x + 2) * channels)};
#pragma GCC unroll 8
          for (int r = 0; r < R; ++r) {
            const T factor = g[x * channels + r];
#pragma GCC unroll 3
            for (int kx = 0; kx < 3; ++kx) sum[r][kx] += factor * v[kx];
          }
        }
      }
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r)
#pragma GCC unroll 3
        for (int kx = 0; kx < 3; ++kx) {
          T* o = out + ((ky * 3 + kx) * channels + first + r) * channels + c;
          store<T, L>(o, load<T, L>(o) + sum[r][kx]);
        }
    }
}

template <class T, int L>
void dense_weights(const Shape& s, const T* framed, long row, const T* slope, long slope_row, T* out) {
  long first = 0;
  for (; first + 8 <= s.channels; first += 8)
    dense_weights_block<T, L, 8>(s, framed, row, slope, slope_row, first, out);
  for (; first < s.channels; first += 4) dense_weights_block<T, L, 4>(s, framed, row, slope, slope_row, first, out);
}

}  // namespace
