// Sums over a batch (moments, gradients times values) and sums of values (a node).

#pragma once

#include "lanes.hpp"

namespace {

// Adds up values, and squares of values, around a pivot for each channel, in double.
template <class T, int L>
void add_moments(const T* y, long ld, long pixels, long channels, const T* pivot, double* sum, double* square) {
  for (long start = 0; start < pixels; start += kChunk) {
    const long end = std::min(pixels, start + kChunk);
    for (long c = 0; c < channels; c += L) {
      const auto centre = load<T, L>(pivot + c);
      Vec<T, L> s[4] = {}, q[4] = {};
      by_four(start, end, [&](long p, int lane) {
        const auto v = load<T, L>(y + p * ld + c) - centre;
        s[lane] += v;
        q[lane] += v * v;
      });
      flush<T, L>(s, sum + c);
      flush<T, L>(q, square + c);
    }
  }
}

// Mean and sum of squared deviations, in place of the sums around a pivot.
template <class T>
void settle_moments(const T* pivot, long pixels, long channels, double* sum, double* square) {
  for (long c = 0; c < channels; ++c) {
    const double shift = sum[c] / pixels;
    square[c] -= sum[c] * shift;
    sum[c] = double(pivot[c]) + shift;
  }
}

// Mean and sum of squared deviations of one image, around a pivot that is its first pixel.
template <class T, int L>
void image_moments(const T* y, long ld, long pixels, long channels, double* mean, double* deviation) {
  std::fill(mean, mean + channels, 0.0);
  std::fill(deviation, deviation + channels, 0.0);
  add_moments<T, L>(y, ld, pixels, channels, y, mean, deviation);
  settle_moments(y, pixels, channels, mean, deviation);
}

// Means and variances of images, each of `pixels`, from `image_moments` of each: [images][2][channels].
inline void merge_moments(const double* parts, long images, long pixels, long channels, double* mean, double* variance) {
  for (long c = 0; c < channels; ++c) {
    double m = 0, deviation = 0;
    for (long i = 0; i < images; ++i) {
      const double of_image = parts[2 * i * channels + c], apart = of_image - m;
      m += apart / (i + 1);
      deviation += parts[(2 * i + 1) * channels + c] + apart * (of_image - m) * pixels;
    }
    mean[c] = m;
    variance[c] = std::max(deviation / (double(images) * pixels), 0.0);
  }
}

template <class T, int L>
void moments(const T* y, long ld, long images, long pixels, long channels, double* mean, double* variance, int threads) {
  Numbers<double> parts(2 * images * channels);
#pragma omp parallel for schedule(static) num_threads(threads)
  for (long i = 0; i < images; ++i) {
    double* of_image = parts.data() + 2 * i * channels;
    image_moments<T, L>(y + i * pixels * ld, ld, pixels, channels, of_image, of_image + channels);
  }
  merge_moments(parts.data(), images, pixels, channels, mean, variance);
}

// o[p] = begin(p) + Σ_t coefficient_t · term_t[p] for pixels first to last, where o is bias or is added to.
template <class T, int L>
void weigh(long first, long last, long channels, long count, const T* const* terms, const long* lds,
           const T* const* coefficients, const T* bias, T* out, long ldo, bool accumulate) {
  for (long c = 0; c < channels; c += L) {
    const auto offset = bias ? load<T, L>(bias + c) : Vec<T, L>{};
    T* o = out + c;
    long t = 0;
    bool fresh = true;
    const auto begin = [&](long p) {
      return fresh ? (accumulate ? load<T, L>(o + p * ldo) + offset : offset) : load<T, L>(o + p * ldo);
    };
    for (; t + 4 <= count; t += 4, fresh = false) {
      Vec<T, L> k[4];
      for (int j = 0; j < 4; ++j) k[j] = load<T, L>(coefficients[t + j] + c);
      const T *a = terms[t] + c, *b = terms[t + 1] + c, *d = terms[t + 2] + c, *e = terms[t + 3] + c;
      const long la = lds[t], lb = lds[t + 1], ld = lds[t + 2], le = lds[t + 3];
      for (long p = first; p < last; ++p) {
        __builtin_prefetch(a + (p + kChunk) * la);
        __builtin_prefetch(b + (p + kChunk) * lb);
        __builtin_prefetch(d + (p + kChunk) * ld);
        __builtin_prefetch(e + (p + kChunk) * le);
        store<T, L>(o + p * ldo, begin(p) + k[0] * load<T, L>(a + p * la) + k[1] * load<T, L>(b + p * lb) +
                                     k[2] * load<T, L>(d + p * ld) + k[3] * load<T, L>(e + p * le));
      }
    }
    for (; t + 2 <= count; t += 2, fresh = false) {
      const auto k = load<T, L>(coefficients[t] + c), l = load<T, L>(coefficients[t + 1] + c);
      const T *a = terms[t] + c, *b = terms[t + 1] + c;
      const long la = lds[t], lb = lds[t + 1];
      for (long p = first; p < last; ++p) {
        __builtin_prefetch(a + (p + kChunk) * la);
        __builtin_prefetch(b + (p + kChunk) * lb);
        store<T, L>(o + p * ldo, begin(p) + k * load<T, L>(a + p * la) + l * load<T, L>(b + p * lb));
      }
    }
    if (t < count) {
      const auto k = load<T, L>(coefficients[t] + c);
      for (long p = first; p < last; ++p)
        store<T, L>(o + p * ldo, begin(p) + k * load<T, L>(terms[t] + p * lds[t] + c));
    } else if (!count)
      for (long p = first; p < last; ++p) store<T, L>(o + p * ldo, begin(p));
  }
}

// out = relu(x), without gaps between pixels.
template <class T, int L>
void rectify(const T* x, long ld, long pixels, long channels, T* out, int threads) {
#pragma omp parallel for schedule(static) num_threads(threads)
  for (long p = 0; p < pixels; ++p)
    for (long c = 0; c < channels; c += L) store<T, L>(out + p * channels + c, relu<T, L>(load<T, L>(x + p * ld + c)));
}

// gx += slope where x > 0.
template <class T, int L>
void rectify_backward(const T* slope, const T* x, long ld, long pixels, long channels, T* gx, long ldg, int threads) {
#pragma omp parallel for schedule(static) num_threads(threads)
  for (long p = 0; p < pixels; ++p)
    for (long c = 0; c < channels; c += L) {
      const auto v = passed<T, L>(load<T, L>(x + p * ld + c), load<T, L>(slope + p * channels + c));
      store<T, L>(gx + p * ldg + c, load<T, L>(gx + p * ldg + c) + v);
    }
}

}  // namespace
