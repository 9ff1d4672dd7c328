// Dense convolutions of a single image that stands in a frame of zeros, and the gradients of their kernels.

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

// What a dense convolution sums over: images, of which the one at `at[t]` is multiplied by the t-th of `matrices`,
// [taps][in][out]. A convolution's own taps are one image shifted, and convolutions of several images are summed alike.
template <class T>
struct Taps {
  const T* const* at;
  long count;
  const T* matrices;
};

// out[j] = Σ_t at[t][pixel + j] · matrix_t for B pixels and N vectors of channels from the first on. Pixels lie
// `channels` apart. S is the number of channels where it is one of the usual ones, so that the addresses of the B pixels
// are constants; else 0. Three taps at a time are summed by themselves: so many fewer roundings does a term go through.
template <class T, int L, int B, int N, int S>
inline void dense_block(const Taps<T>& taps, long pixel, long channels, long first, T* out, long ldo, bool accumulate) {
  const long step = S ? S : channels;
  for (long start = 0; start < taps.count; start += 3, accumulate = true) {
    Vec<T, L> sum[B][N] = {};
    for (long t = start; t < std::min(start + 3, taps.count); ++t) {
      const T* in = taps.at[t] + pixel * step;
      const T* matrix = taps.matrices + t * step * step + first;
      for (long c = 0; c < step; ++c) {
        Vec<T, L> k[N];
#pragma GCC unroll 4
        for (int n = 0; n < N; ++n) k[n] = load<T, L>(matrix + c * step + n * L);
#pragma GCC unroll 16
        for (int j = 0; j < B; ++j) {
          const T v = in[j * step + c];
#pragma GCC unroll 4
          for (int n = 0; n < N; ++n) sum[j][n] += v * k[n];
        }
      }
    }
#pragma GCC unroll 16
    for (int j = 0; j < B; ++j)
#pragma GCC unroll 4
      for (int n = 0; n < N; ++n) {
        T* o = out + j * ldo + first + n * L;
        store<T, L>(o, accumulate ? load<T, L>(o) + sum[j][n] : sum[j][n]);
      }
  }
}

template <class T, int L, int B, int S>
inline void dense_pixels(const Taps<T>& taps, long pixel, long channels, T* out, long ldo, bool accumulate) {
  long first = 0;
  for (; first + 2 * L <= channels; first += 2 * L)
    dense_block<T, L, B, 2, S>(taps, pixel, channels, first, out + pixel * ldo, ldo, accumulate);
  if (first < channels) dense_block<T, L, B, 1, S>(taps, pixel, channels, first, out + pixel * ldo, ldo, accumulate);
}

template <class T, int L, int S>
void dense_row_of(const Taps<T>& taps, long pixels, long channels, T* out, long ldo, bool accumulate) {
  long p = 0;
  if (channels < 2 * L)
    for (; p + 16 <= pixels; p += 16) dense_pixels<T, L, 16, S>(taps, p, channels, out, ldo, accumulate);
  for (; p + 8 <= pixels; p += 8) dense_pixels<T, L, 8, S>(taps, p, channels, out, ldo, accumulate);
  for (; p + 4 <= pixels; p += 4) dense_pixels<T, L, 4, S>(taps, p, channels, out, ldo, accumulate);
  for (; p < pixels; ++p) dense_pixels<T, L, 1, S>(taps, p, channels, out, ldo, accumulate);
}

// A row of pixels of a dense convolution.
template <class T, int L>
void dense_row(const Taps<T>& taps, long pixels, long channels, T* out, long ldo, bool accumulate) {
  if (channels == L) return dense_row_of<T, L, L>(taps, pixels, channels, out, ldo, accumulate);
  if (channels == 2 * L) return dense_row_of<T, L, 2 * L>(taps, pixels, channels, out, ldo, accumulate);
  if (channels == 4 * L) return dense_row_of<T, L, 4 * L>(taps, pixels, channels, out, ldo, accumulate);
  dense_row_of<T, L, 0>(taps, pixels, channels, out, ldo, accumulate);
}

// Where the taps of a 3 x 3 convolution lie in a frame, `in` the first of them.
template <class T>
void append_nine(const T* in, long row, long channels, std::vector<const T*>& taps) {
  for (long y = 0; y < 3; ++y)
    for (long x = 0; x < 3; ++x) taps.push_back(in + y * row + x * channels);
}

// out[p] = in[p] · w for [pixels][channels] and a square w.
template <class T, int L>
void product(const T* in, const T* w, long pixels, long channels, T* out, long ldo) {
  dense_row<T, L>(Taps<T>{&in, 1, w}, pixels, channels, out, ldo, false);
}

// Pixels that stand in `rows` rows, `row` numbers apart, of `width` pixels, `ld` apart.
template <class T>
struct Strip {
  const T* at;
  long rows, row, width, ld;
};

// sums += Σ of the pixels.
template <class T, int L>
void add_up(const Strip<T>& strip, long channels, double* sums) {
  for (long c = 0; c < channels; c += L) {
    Vec<T, L> sum[4] = {};
    for (long y = 0; y < strip.rows; ++y)
      by_four(0, strip.width, [&](long p, int lane) {
        sum[lane] += load<T, L>(strip.at + y * strip.row + p * strip.ld + c);
      });
    flush<T, L>(sum, sums + c);
  }
}

// out[r][c] += Σ_p left[p][r] · right[p][c], R rows at a time; two strips of the same size.
template <class T, int L, int R, int N, class S>
inline void outer_block(const Strip<T>& left, const Strip<T>& right, long channels, long first, long column, S* out) {
  Vec<T, L> sum[R][N] = {};
  for (long y = 0; y < left.rows; ++y) {
    const T* a = left.at + y * left.row + first;
    const T* b = right.at + y * right.row + column;
    for (long x = 0; x < left.width; ++x, a += left.ld, b += right.ld) {
      Vec<T, L> v[N];
#pragma GCC unroll 2
      for (int n = 0; n < N; ++n) v[n] = load<T, L>(b + n * L);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
        for (int n = 0; n < N; ++n) sum[r][n] += a[r] * v[n];
    }
  }
  for (int r = 0; r < R; ++r)
    for (int n = 0; n < N; ++n) {
      S* o = out + (first + r) * channels + column + n * L;
      if constexpr (std::is_same_v<S, double>)
        add_to<T, L>(o, sum[r][n]);
      else
        store<T, L>(o, load<T, L>(o) + sum[r][n]);
    }
}

template <class T, int L, class S>
void outer(const Strip<T>& left, const Strip<T>& right, long channels, S* out) {
  for (long column = 0; column < channels;) {
    const bool two = column + 2 * L <= channels;
    long first = 0;
    if (!two)
      for (; first + 16 <= channels; first += 16) outer_block<T, L, 16, 1>(left, right, channels, first, column, out);
    for (; first + 8 <= channels; first += 8)
      two ? outer_block<T, L, 8, 2>(left, right, channels, first, column, out)
          : outer_block<T, L, 8, 1>(left, right, channels, first, column, out);
    for (; first < channels; first += 4)
      two ? outer_block<T, L, 4, 2>(left, right, channels, first, column, out)
          : outer_block<T, L, 4, 1>(left, right, channels, first, column, out);
    column += two ? 2 * L : L;
  }
}

// out[tap][r][c] += Σ_p slope[p][r] · framed[p + tap][c] for R rows r, over `images` frames `size` numbers apart: the
// gradient of a dense 3 x 3 kernel.
template <class T, int L, int R>
void dense_weights_block(const Shape& s, long images, long size, const T* framed, const T* slope, long row, long first,
                         double* out) {
  const long channels = s.channels;
  for (long c = 0; c < channels; c += L)
    for (int ky = 0; ky < 3; ++ky) {
      Vec<T, L> sum[R][3] = {};
      for (long y = 0; y < images * s.height; ++y) {
        const long start = y / s.height * size + y % s.height * row;
        const T* in = framed + start + ky * row + c;
        const T* g = slope + start + first;
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
          add_to<T, L>(out + ((ky * 3 + kx) * channels + first + r) * channels + c, sum[r][kx]);
        }
    }
}

template <class T, int L>
void dense_weights(const Shape& s, long images, long size, const T* framed, const T* slope, long row, double* out) {
  long first = 0;
  for (; first + 8 <= s.channels; first += 8)
    dense_weights_block<T, L, 8>(s, images, size, framed, slope, row, first, out);
  for (; first < s.channels; first += 4)
    dense_weights_block<T, L, 4>(s, images, size, framed, slope, row, first, out);
}

}  // namespace
