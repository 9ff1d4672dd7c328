// Depthwise convolutions of a single image, their transposes and the gradients of their kernels, a row at a time.
//
// Images stand in frames of zeros, in planes of L channels, so that the distances between the taps of a pixel are
// constants. Eight pixels at a time load each of their neighbours once for each row of taps, not once for each tap.

#pragma once

#include <numeric>
#include <utility>

#include "convolution.hpp"

namespace {

#define INLINED __attribute__((always_inline))

// Calls f with 0, 1, ... N - 1 as constants.
template <class F, int... I>
INLINED inline void with_each(const F& f, std::integer_sequence<int, I...>) {
  (f(std::integral_constant<int, I>{}), ...);
}

template <int N, class F>
INLINED inline void unrolled(const F& f) {
  with_each(f, std::make_integer_sequence<int, N>{});
}

// An image in a frame of zeros, [channels / L][rows][columns][L].
template <class T, int L>
struct Planes {
  long count, height, width, pad;
  T* at = nullptr;
  long row() const { return (width + 2 * pad) * L; }
  long plane() const { return (height + 2 * pad) * row(); }
  size_t size() const { return count * plane(); }
  T* pixel(long p, long y, long x) const { return at + p * plane() + (y + pad) * row() + (x + pad) * L; }
  void put_at(T* where) {
    at = where;
    std::memset(at, 0, sizeof(T) * size());
  }
};

// relu(a x + b), or relu(x), of one image after the other, each row as soon as it is asked for.
template <class T, int L>
struct Framed : Planes<T, L> {
  const T *x = nullptr, *a = nullptr, *b = nullptr;
  long ld = 0, filled = 0;
  void begin(const T* image, long distance, const T* scale, const T* shift) {
    x = image, ld = distance, a = scale, b = shift, filled = 0;
  }
  void fill_to(long end) {
    for (end = std::min(end, this->height); filled < end; ++filled)
      for (long p = 0; p < this->count; ++p) {
        const T* in = x + filled * this->width * ld + p * L;
        T* out = this->pixel(p, filled, 0);
        const auto factor = a ? load<T, L>(a + p * L) : Vec<T, L>{}, offset = a ? load<T, L>(b + p * L) : Vec<T, L>{};
        for (long q = 0; q < this->width; ++q) {
          const auto v = load<T, L>(in + q * ld);
          __builtin_prefetch(in + (q + this->width) * ld);  // the next row, while this one is computed
          store<T, L>(out + q * L, relu<T, L>(a ? v * factor + offset : v));
        }
      }
  }
};

// The taps of a pixel along a row, `apart` pixels from each other, and how far apart the pixels are.
struct Line {
  long taps, apart, stride;
};

template <int K, int D, int S>
struct Form {
  static constexpr int taps = K, apart = D, stride = S;
  // How many neighbours in a row of the input B pixels see.
  static constexpr int span(int pixels) { return (pixels - 1) * S + (K - 1) * D + 1; }
  // Which of the pixels sees neighbour `at` as its tap; -1 if none does.
  static constexpr int seen_by(int at, int tap, int pixels) {
    const int from = at - tap * D;
    return from >= 0 && from % S == 0 && from / S < pixels ? from / S : -1;
  }
};

// Calls f with a usual form as a constant; false if the line has another.
template <class F>
bool as_constant(const Line& line, const F& f) {
  if (line.taps > 5 || line.apart > 2 || line.stride > 2) return false;
  switch (line.taps * 100 + line.apart * 10 + line.stride) {
    case 111: return f(Form<1, 1, 1>{}), true;
    case 211: return f(Form<2, 1, 1>{}), true;
    case 311: return f(Form<3, 1, 1>{}), true;
    case 312: return f(Form<3, 1, 2>{}), true;
    case 321: return f(Form<3, 2, 1>{}), true;
    case 322: return f(Form<3, 2, 2>{}), true;
    case 511: return f(Form<5, 1, 1>{}), true;
    case 512: return f(Form<5, 1, 2>{}), true;
    case 521: return f(Form<5, 2, 1>{}), true;
    case 522: return f(Form<5, 2, 2>{}), true;
    default: return false;
  }
}

// B pixels, of which no sum waits for another; each adds up its taps row by row, from left to right.
template <class T, int L, int B, class F>
INLINED inline void depthwise_pixels(F, const T* in, long rows, long down, const T* w, T* out, long ldo) {
  Vec<T, L> sum[B] = {};
  for (long y = 0; y < rows; ++y, in += down, w += F::taps * L) {
    Vec<T, L> k[F::taps];
    unrolled<F::taps>([&](auto x) INLINED { k[x] = load<T, L>(w + x * L); });
    unrolled<F::span(B)>([&](auto i) INLINED {
      const auto v = load<T, L>(in + i * L);
      unrolled<F::taps>([&](auto x) INLINED {
        constexpr int j = F::seen_by(decltype(i)::value, decltype(x)::value, B);
        if constexpr (j >= 0) sum[j] += k[x] * v;
      });
    });
  }
  unrolled<B>([&](auto j) INLINED { store<T, L>(out + j * ldo, sum[j]); });
}

// A row of pixels of one plane. `in` is the first pixel's first tap, `rows` of taps lie `down` of each other.
template <class T, int L>
void depthwise_row(const Line& line, const T* in, long rows, long down, const T* w, long pixels, T* out, long ldo) {
  const auto usual = [&](auto form) {
    constexpr long step = form.stride * L;
    long p = 0;
    for (; p + 8 <= pixels; p += 8) depthwise_pixels<T, L, 8>(form, in + p * step, rows, down, w, out + p * ldo, ldo);
    for (; p + 4 <= pixels; p += 4) depthwise_pixels<T, L, 4>(form, in + p * step, rows, down, w, out + p * ldo, ldo);
    for (; p < pixels; ++p) depthwise_pixels<T, L, 1>(form, in + p * step, rows, down, w, out + p * ldo, ldo);
  };
  if (as_constant(line, usual)) return;
  for (long p = 0; p < pixels; ++p) {
    Vec<T, L> sum = {};
    for (long y = 0; y < rows; ++y)
      for (long x = 0; x < line.taps; ++x)
        sum += load<T, L>(w + (y * line.taps + x) * L) *
               load<T, L>(in + y * down + (p * line.stride + x * line.apart) * L);
    store<T, L>(out + p * ldo, sum);
  }
}

// What B pixels add to the sums of R rows of taps.
template <class T, int L, int B, int R, class F>
INLINED inline void weights_pixels(F, const T* in, long down, const T* slope, Vec<T, L> (&sums)[R][F::taps][2]) {
  Vec<T, L> g[B];
  unrolled<B>([&](auto j) INLINED { g[j] = load<T, L>(slope + j * L); });
  unrolled<R>([&](auto y) INLINED {
    unrolled<F::span(B)>([&](auto i) INLINED {
      const auto v = load<T, L>(in + y * down + i * L);
      unrolled<F::taps>([&](auto x) INLINED {
        constexpr int j = F::seen_by(decltype(i)::value, decltype(x)::value, B);
        if constexpr (j >= 0) sums[y][x][j % 2] += g[j] * v;
      });
    });
  });
}

// sums += Σ slope[p] · in[p at tap] over a row of pixels of one plane: [taps][taps][even or odd pixels][L].
template <class T, int L>
void depthwise_weights_row(const Line& line, const T* in, long down, const T* slope, long pixels, T* sums) {
  const auto usual = [&](auto form) {
    constexpr int taps = form.taps, rows = taps == 3 ? 3 : 1;  // as many as there are registers for their sums
    constexpr long step = form.stride * L;
    for (long y = 0; y < taps; y += rows, sums += rows * taps * 2 * L) {
      Vec<T, L> sum[rows][taps][2];
      const auto each = [&](const auto& f) INLINED {
        unrolled<rows * taps * 2>([&](auto j) INLINED { f(sum[j / 2 / taps][j / 2 % taps][j % 2], sums + j * L); });
      };
      each([](auto& v, const T* from) INLINED { v = load<T, L>(from); });
      const T* tap = in + y * down;
      long p = 0;
      for (; p + 8 <= pixels; p += 8) weights_pixels<T, L, 8, rows>(form, tap + p * step, down, slope + p * L, sum);
      for (; p + 2 <= pixels; p += 2) weights_pixels<T, L, 2, rows>(form, tap + p * step, down, slope + p * L, sum);
      if (p < pixels) weights_pixels<T, L, 1, rows>(form, tap + p * step, down, slope + p * L, sum);
      each([](const auto& v, T* to) INLINED { store<T, L>(to, v); });
    }
  };
  if (as_constant(line, usual)) return;
  for (long y = 0; y < line.taps; ++y)
    for (long x = 0; x < line.taps; ++x)
      for (long p = 0; p < pixels; ++p) {
        T* sum = sums + ((y * line.taps + x) * 2 + p % 2) * L;
        const auto v = load<T, L>(in + y * down + (p * line.stride + x * line.apart) * L);
        store<T, L>(sum, load<T, L>(sum) + load<T, L>(slope + p * L) * v);
      }
}

// Which of a kernel's taps along a line: `count` of them from `first` on, `step` from each other.
struct Chosen {
  long count, first, step;
};

// Rows and columns of torch's depthwise kernel, [channels][taps][taps], put as [channels / L][rows][columns][L].
template <class T, int L>
Numbers<T> planar(const T* w, long channels, long taps, const Chosen& rows, const Chosen& columns) {
  Numbers<T> out(channels * rows.count * columns.count);
  T* o = out.data();
  for (long plane = 0; plane < channels; plane += L)
    for (long y = 0; y < rows.count; ++y)
      for (long x = 0; x < columns.count; ++x) {
        const T* tap = w + (plane * taps + rows.first + y * rows.step) * taps + columns.first + x * columns.step;
        for (long lane = 0; lane < L; ++lane) *o++ = tap[lane * taps * taps];
      }
  return out;
}

// What the transpose is along a line for every stride-th of its outputs X, from `phase` on: a line of stride 1 over some
// taps in reverse order, of which the first is at X / stride + first.
struct Phase {
  Line line;
  Chosen chosen;
  long first;
  Phase(const Shape& s, long phase) {
    const long common = std::gcd(s.stride, s.dilation);
    const auto at = [&](long tap) { return phase + s.pad() - tap * s.dilation; };
    long count = 0, last = 0;
    for (long tap = 0; tap < s.kernel; ++tap)
      if (at(tap) % s.stride == 0) ++count, last = tap;
    line = {count, s.dilation / common, 1};
    chosen = {count, last, -s.stride / common};
    first = count ? at(last) / s.stride : 0;
  }
};

// The transpose of a depthwise convolution.
template <class T, int L>
struct Transposed {
  Shape shape;
  std::vector<Phase> phases;
  std::vector<Numbers<T>> kernels;
  Transposed(const Shape& s, const T* w) : shape(s) {
    for (long p = 0; p < s.stride; ++p) phases.emplace_back(s, p);
    for (const Phase& y : phases)
      for (const Phase& x : phases) kernels.push_back(planar<T, L>(w, s.channels, s.kernel, y.chosen, x.chosen));
  }
  // Row y of what comes back from `slope`, of plane p: [width][L].
  void row(const Planes<T, L>& slope, long p, long y, T* out) const {
    const Phase& rows = phases[y % shape.stride];
    for (long first = 0; first < shape.stride; ++first) {
      const Phase& columns = phases[first];
      const T* in = slope.pixel(p, y / shape.stride + rows.first, columns.first);
      const T* w = kernels[y % shape.stride * shape.stride + first].data() + p * rows.line.taps * columns.line.taps * L;
      depthwise_row<T, L>(columns.line, in, rows.line.taps, rows.line.apart * slope.row(), w,
                          (shape.width - first + shape.stride - 1) / shape.stride, out + first * L, shape.stride * L);
    }
  }
};

}  // namespace
