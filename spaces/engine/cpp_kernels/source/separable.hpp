// ReLU, depthwise and pointwise convolution as one, a row at a time: what lies between never leaves the first cache.

#pragma once

#include "depthwise.hpp"
#include "sums.hpp"

namespace {

template <class T>
void transpose(const T* square, long channels, T* out) {
  for (long r = 0; r < channels; ++r)
    for (long c = 0; c < channels; ++c) out[c * channels + r] = square[r * channels + c];
}

// A depthwise convolution and its kernel.
template <class T, int L>
struct Depthwise {
  Shape shape;
  Line line;
  Numbers<T> kernel;
  Depthwise(const Shape& s, const T* w)
      : shape(s),
        line{s.kernel, s.dilation, s.stride},
        kernel(planar<T, L>(w, s.channels, s.kernel, {s.kernel, 0, 1}, {s.kernel, 0, 1})) {}
  const T* first_tap(const Planes<T, L>& in, long p, long y) const {
    return in.pixel(p, y * shape.stride - shape.pad(), -shape.pad());
  }
  long down(const Planes<T, L>& in) const { return shape.dilation * in.row(); }
  // Row y: [width][channels].
  void row(Framed<T, L>& in, long y, T* out) const {
    in.fill_to(y * shape.stride + shape.pad() + 1);
    for (long p = 0; p < in.count; ++p)
      depthwise_row<T, L>(line, first_tap(in, p, y), shape.kernel, down(in),
                          kernel.data() + p * shape.kernel * shape.kernel * L, shape.out_width(), out + p * L,
                          shape.channels);
  }
};

// y = pointwise(depthwise(relu(a x + b))), with the mean and variance of y where wanted.
template <class T, int L>
void separable(const Shape& s, const T* x, long ld, const T* a, const T* b, const T* dw, const T* pw, T* y, long ldy,
               double* mean, double* variance, int threads) {
  const long channels = s.channels, pixels = s.out_pixels(), width = s.out_width();
  const Depthwise<T, L> depthwise(s, dw);
  Numbers<T> matrix(channels * channels);
  transpose(pw, channels, matrix.data());
  Numbers<double> parts(2 * s.images * channels, 0.0);
#pragma omp parallel for schedule(static) num_threads(threads)
  for (long thread = 0; thread < threads; ++thread) {
    Framed<T, L> in{{channels / L, s.height, s.width, s.pad()}};
    in.put_at(scratch<T>(0, in.size()));
    T* middle = scratch<T>(1, width * channels);
    for (long i = share(s.images, thread, threads); i < share(s.images, thread + 1, threads); ++i) {
      T* out = y + i * pixels * ldy;
      double *sum = parts.data() + 2 * i * channels, *square = sum + channels;
      in.begin(x + i * s.height * s.width * ld, ld, a, b);
      Chunks chunks(pixels);
      for (long r = 0; r < s.out_height(); ++r) {
        depthwise.row(in, r, middle);
        // Where the next row is written: fetched while this one is computed, or every store of it would wait.
        for (long q = 0; q < width; ++q)
          for (long c = 0; c < channels; c += L) __builtin_prefetch(out + ((r + 1) * width + q) * ldy + c, 1);
        product<T, L>(middle, matrix.data(), width, channels, out + r * width * ldy, ldy);
        if (mean)
          chunks.advance((r + 1) * width, [&](long first, long last) {
            add_moments<T, L>(out + first * ldy, ldy, last - first, channels, out, sum, square);
          });
      }
      if (mean) settle_moments(out, pixels, channels, sum, square);
    }
  }
  if (mean) merge_moments(parts.data(), s.images, pixels, channels, mean, variance);
}

// What the gradient of a value y is made of: dL/dy = A g + B y + K, or g alone where A is null.
template <class T>
struct Slope {
  const T *g, *y, *A, *B, *K;
  long ldg, ldy;
  // Of a row of pixels from `first` on: [width][channels].
  template <int L>
  void row(long first, long width, long channels, T* out) const {
    for (long c = 0; c < channels; c += L) {
      const T *from = g + first * ldg + c, *value = y + first * ldy + c;
      if (A) {
        const auto k = load<T, L>(A + c), l = load<T, L>(B + c), m = load<T, L>(K + c);
        for (long q = 0; q < width; ++q) {
          __builtin_prefetch(from + (q + width) * ldg);
          __builtin_prefetch(value + (q + width) * ldy);
          store<T, L>(out + q * channels + c, load<T, L>(from + q * ldg) * k + load<T, L>(value + q * ldy) * l + m);
        }
      } else
        for (long q = 0; q < width; ++q) store<T, L>(out + q * channels + c, load<T, L>(from + q * ldg));
    }
  }
};

// What comes back to images x through relu(a x + b), or relu(x), and where it goes.
template <class T>
struct Source {
  const T *x, *a, *b;
  T* out;
  long ld, ldo, channels;
  bool accumulate;
  // `of_relu` [width][L] comes back to a row of pixels from `first` on, channels c to c + L.
  template <int L>
  void put(long first, long width, long c, const T* of_relu) const {
    const T* u = x + first * ld + c;
    T* o = out + first * ldo + c;
    const auto factor = a ? load<T, L>(a + c) : Vec<T, L>{}, offset = a ? load<T, L>(b + c) : Vec<T, L>{};
    for (long q = 0; q < width; ++q) {
      __builtin_prefetch(u + (q + width) * ld);
      __builtin_prefetch(o + (q + width) * ldo, 1);
      const auto v = load<T, L>(u + q * ld);
      auto w = passed<T, L>(a ? v * factor + offset : v, load<T, L>(of_relu + q * L));
      if (accumulate) w += load<T, L>(o + q * ldo);
      store<T, L>(o + q * ldo, w);
    }
  }
  // sums += Σ out and Σ out · x over pixels: [2][channels].
  template <int L>
  void add_sums(long first, long last, double* sums) const {
    for (long c = 0; c < channels; c += L) {
      Vec<T, L> q[4] = {}, d[4] = {};
      by_four(first, last, [&](long p, int lane) {
        const auto v = load<T, L>(out + p * ldo + c);
        q[lane] += v;
        d[lane] += v * load<T, L>(x + p * ld + c);
      });
      flush<T, L>(q, sums + c);
      flush<T, L>(d, sums + channels + c);
    }
  }
};

// A thread's gradients of both kernels: an image's rows first, then added to the sum over images.
template <class T, int L>
struct KernelGradients {
  const Depthwise<T, L>& depthwise;
  T* sums;          // over images: [taps][channels], then [channels][channels]
  Framed<T, L> in;  // what the depthwise convolution reads
  T *of_taps = nullptr, *middle = nullptr;  // of an image: its sums, and what the depthwise convolution gives
  long taps() const { return depthwise.shape.kernel * depthwise.shape.kernel; }
  void begin(const T* image, long ld, const T* a, const T* b) {
    in.begin(image, ld, a, b);
    std::fill(of_taps, of_taps + 2 * taps() * depthwise.shape.channels, T(0));
  }
  void add_row(const Planes<T, L>& slope_z, long r) {
    depthwise.row(in, r, middle + r * slope_z.width * depthwise.shape.channels);
    for (long p = 0; p < in.count; ++p)
      depthwise_weights_row<T, L>(depthwise.line, depthwise.first_tap(in, p, r), depthwise.down(in),
                                  slope_z.pixel(p, r, 0), slope_z.width, of_taps + p * 2 * taps() * L);
  }
  void add_image(const T* slope_y) {
    const long channels = depthwise.shape.channels, pixels = depthwise.shape.out_pixels();
    for (long p = 0; p < in.count; ++p)
      for (long k = 0; k < taps(); ++k) {
        const T* sum = of_taps + (p * taps() + k) * 2 * L;
        T* o = sums + k * channels + p * L;
        store<T, L>(o, load<T, L>(o) + (load<T, L>(sum) + load<T, L>(sum + L)));
      }
    outer<T, L>(Strip<T>{slope_y, 1, 0, pixels, channels}, Strip<T>{middle, 1, 0, pixels, channels}, channels,
                sums + taps() * channels);
  }
};

// A row of pixels, [width][channels], into the planes of a frame.
template <class T, int L>
void put_row(const T* row, const Planes<T, L>& out, long y) {
  for (long p = 0; p < out.count; ++p)
    for (long q = 0; q < out.width; ++q)
      store<T, L>(out.pixel(p, y, q), load<T, L>(row + q * out.count * L + p * L));
}

// The transpose of `separable` at dL/dy = A g + B y + K (or g alone where A is null).
//
// out = dL/d(a x + b), added to where `accumulate`; sums, where wanted, Σ out and Σ out · x: [2][channels]; gradients of
// the weights, as torch has them, where wanted.
template <class T, int L>
void separable_backward(const Shape& s, const T* g, long ldg, const T* y, long ldy, const T* A, const T* B, const T* K,
                        const T* x, long ld, const T* a, const T* b, const T* dw, const T* pw, T* out, long ldo,
                        int accumulate, double* sums, T* grad_dw, T* grad_pw, int threads) {
  const long taps = s.kernel * s.kernel, channels = s.channels, planes = channels / L;
  const long oh = s.out_height(), ow = s.out_width(), pixels = s.out_pixels(), in_pixels = s.height * s.width;
  const Depthwise<T, L> depthwise(s, dw);
  const Transposed<T, L> transposed(s, dw);
  const size_t weights = (taps + channels) * channels;
  Numbers<T> parts(grad_dw ? threads * weights : 0, T(0));
  Numbers<double> image_sums(sums ? 2 * s.images * channels : 0, 0.0);
#pragma omp parallel for schedule(static) num_threads(threads)
  for (long thread = 0; thread < threads; ++thread) {
    Planes<T, L> slope_z{planes, oh, ow, s.pad()};
    slope_z.put_at(scratch<T>(0, slope_z.size()));
    T* slope_y = scratch<T>(1, (grad_dw ? pixels : ow) * channels);
    T* line = scratch<T>(2, std::max(s.width, ow) * channels);
    KernelGradients<T, L> gradients{depthwise, parts.data() + thread * weights, {{planes, s.height, s.width, s.pad()}}};
    if (grad_dw) {
      gradients.in.put_at(scratch<T>(3, gradients.in.size()));
      gradients.of_taps = scratch<T>(4, 2 * taps * channels);
      gradients.middle = scratch<T>(5, pixels * channels);
    }
    for (long i = share(s.images, thread, threads); i < share(s.images, thread + 1, threads); ++i) {
      const Slope<T> slope{g + i * pixels * ldg, y + i * pixels * ldy, A, B, K, ldg, ldy};
      const T* image = x + i * in_pixels * ld;
      const Source<T> source{image, a, b, out + i * in_pixels * ldo, ld, ldo, channels, accumulate != 0};
      if (grad_dw) gradients.begin(image, ld, a, b);
      Chunks chunks(in_pixels);
      long back = 0;  // the rows of x whose gradient is there
      for (long r = 0; r < oh; ++r) {
        T* of_row = slope_y + (grad_dw ? r * ow * channels : 0);
        slope.template row<L>(r * ow, ow, channels, of_row);
        product<T, L>(of_row, pw, ow, channels, planes == 1 ? slope_z.pixel(0, r, 0) : line, channels);
        if (planes > 1) put_row<T, L>(line, slope_z, r);
        if (grad_dw) gradients.add_row(slope_z, r);
        for (const long end = r + 1 < oh ? (r + 1) * s.stride - s.pad() : s.height; back < end; ++back) {
          for (long p = 0; p < planes; ++p) {
            transposed.row(slope_z, p, back, line);
            source.template put<L>(back * s.width, s.width, p * L, line);
          }
          if (sums)
            chunks.advance((back + 1) * s.width, [&](long first, long last) {
              source.template add_sums<L>(first, last, image_sums.data() + 2 * i * channels);
            });
        }
      }
      if (grad_dw) gradients.add_image(slope_y);
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
