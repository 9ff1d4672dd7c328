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

// Mean and sum of squared deviations of one image, around a pivot that is its first pixel.
template <class T, int L>
void image_moments(const T* y, long ld, long pixels, long channels, double* mean, double* deviation) {
  std::fill(mean, mean + channels, 0.0);
  std::fill(deviation, deviation + channels, 0.0);
  add_moments<T, L>(y, ld, pixels, channels, y, mean, deviation);
  for (long c = 0; c < channels; ++c) {
    const double shift = mean[c] / pixels;
    deviation[c] -= mean[c] * shift;
    mean[c] = double(y[c]) + shift;
  }
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
  std::vector<double> parts(2 * images * channels);
#pragma omp parallel for schedule(static) num_threads(threads)
  for (long i = 0; i < images; ++i) {
    double* of_image = parts.data() + 2 * i * channels;
    image_moments<T, L>(y + i * pixels * ld, ld, pixels, channels, of_image, of_image + channels);
  }
  merge_moments(parts.data(), images, pixels, channels, mean, variance);
}

// sums[0] = Σ g, sums[1 + t] = Σ g · term_t, over pixels: [1 + terms][channels].
template <class T, int L>
void reduce(const T* g, long ldg, long pixels, long channels, long count, const T* const* terms, const long* lds,
            double* sums, int threads) {
  const long size = (1 + count) * channels, chunks = (pixels + kChunk - 1) / kChunk;
  std::vector<double> parts(size_t(threads) * size, 0.0);
#pragma omp parallel for schedule(static) num_threads(threads)
  for (long thread = 0; thread < threads; ++thread) {
    double* own = parts.data() + thread * size;
    for (long chunk = share(chunks, thread, threads); chunk < share(chunks, thread + 1, threads); ++chunk) {
      const long start = chunk * kChunk, end = std::min(pixels, start + kChunk);
      for (long c = 0; c < channels; c += L) {
        Vec<T, L> q[4] = {};
        by_four(start, end, [&](long p, int lane) { q[lane] += load<T, L>(g + p * ldg + c); });
        flush<T, L>(q, own + c);
        long t = 0;
        for (; t + 2 <= count; t += 2) {
          const T *a = terms[t] + c, *b = terms[t + 1] + c;
          const long la = lds[t], lb = lds[t + 1];
          Vec<T, L> u[4] = {}, v[4] = {};
          by_four(start, end, [&](long p, int lane) {
            const auto slope = load<T, L>(g + p * ldg + c);
            u[lane] += slope * load<T, L>(a + p * la);
            v[lane] += slope * load<T, L>(b + p * lb);
          });
          flush<T, L>(u, own + (1 + t) * channels + c);
          flush<T, L>(v, own + (2 + t) * channels + c);
        }
        if (t < count) {
          Vec<T, L> u[4] = {};
          by_four(start, end, [&](long p, int lane) {
            u[lane] += load<T, L>(g + p * ldg + c) * load<T, L>(terms[t] + p * lds[t] + c);
          });
          flush<T, L>(u, own + (1 + t) * channels + c);
        }
      }
    }
  }
  for (long i = 0; i < size; ++i) {
    double total = 0;
    for (int thread = 0; thread < threads; ++thread) total += parts[thread * size + i];
    sums[i] = total;
  }
}

// out = bias + Σ_t coefficient_t · term_t, coefficients a channel; added to `out` where `accumulate`.
template <class T, int L>
void combine(long pixels, long channels, long count, const T* const* terms, const long* lds, const T* coefficients,
             const T* bias, T* out, long ldo, int accumulate, int threads) {
  const long chunks = (pixels + kChunk - 1) / kChunk;
#pragma omp parallel for schedule(static) num_threads(threads)
  for (long thread = 0; thread < threads; ++thread) {
    for (long chunk = share(chunks, thread, threads); chunk < share(chunks, thread + 1, threads); ++chunk) {
      const long start = chunk * kChunk, end = std::min(pixels, start + kChunk);
      for (long c = 0; c < channels; c += L) {
        const auto offset = bias ? load<T, L>(bias + c) : Vec<T, L>{};
        T* o = out + c;
        long t = 0;
        bool first = true;
        const auto begin = [&](long p) {
          return first ? (accumulate ? load<T, L>(o + p * ldo) + offset : offset) : load<T, L>(o + p * ldo);
        };
        for (; t + 4 <= count; t += 4, first = false) {
          Vec<T, L> k[4];
          for (int j = 0; j < 4; ++j) k[j] = load<T, L>(coefficients + (t + j) * channels + c);
          const T *a = terms[t] + c, *b = terms[t + 1] + c, *d = terms[t + 2] + c, *e = terms[t + 3] + c;
          const long la = lds[t], lb = lds[t + 1], ld = lds[t + 2], le = lds[t + 3];
          for (long p = start; p < end; ++p)
            store<T, L>(o + p * ldo, begin(p) + k[0] * load<T, L>(a + p * la) + k[1] * load<T, L>(b + p * lb) +
                                         k[2] * load<T, L>(d + p * ld) + k[3] * load<T, L>(e + p * le));
        }
        for (; t < count || first; ++t, first = false) {
          if (t >= count) {  // no term at all
            for (long p = start; p < end; ++p) store<T, L>(o + p * ldo, begin(p));
            continue;
          }
          const auto k = load<T, L>(coefficients + t * channels + c);
          for (long p = start; p < end; ++p)
            store<T, L>(o + p * ldo, begin(p) + k * load<T, L>(terms[t] + p * lds[t] + c));
        }
      }
    }
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
