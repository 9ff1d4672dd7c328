// What reaches a node: the sum of its terms, and back from its gradient g the sums of g with each of them.
//
// A term is an image that is stored, or one of two that are not: the mean of 3 x 3 windows of a state x, and
// W relu(x), a 1 x 1 convolution. Those are made where they are needed, out of a few rows of x.

#pragma once

#include "convolution.hpp"
#include "means.hpp"
#include "sums.hpp"

namespace {

enum Kind : long { kStored, kMean, kPointwise };

template <class T>
struct Terms {
  long images, height, width, channels, count;
  const long* kinds;
  const T* const* at;  // the stored image, or x
  const long* lds;
  const T* const* matrices;  // W [out][in] of a pointwise one

  std::vector<long> of(Kind kind) const {
    std::vector<long> found;
    for (long t = 0; t < count; ++t)
      if (kinds[t] == kind) found.push_back(t);
    return found;
  }
  long rows() const { return std::max(1L, kChunk / width); }  // of a strip
  long strips() const { return (height + rows() - 1) / rows(); }
  long pixels() const { return height * width; }

  // Calls f(image, first row, last row) for a thread's share of the strips.
  template <class F>
  void strips_of(long thread, long threads, const F& f) const {
    const long each = strips(), all = images * each;
    for (long j = share(all, thread, threads); j < share(all, thread + 1, threads); ++j) {
      const long first = j % each * rows();
      f(j / each, first, std::min(height, first + rows()));
    }
  }
};

// relu(x) of some pixels, side by side.
template <class T, int L>
const T* rectified(const T* x, long ld, long pixels, long channels, T* out) {
  for (long p = 0; p < pixels; ++p)
    for (long c = 0; c < channels; c += L) store<T, L>(out + p * channels + c, relu<T, L>(load<T, L>(x + p * ld + c)));
  return out;
}

// out = bias + Σ_t coefficient_t · term_t, coefficients [count][channels]; added to `out` where `accumulate`.
template <class T, int L>
void combine(const Terms<T>& s, const T* coefficients, const T* bias, T* out, long ldo, int accumulate, int threads) {
  const long channels = s.channels;
  const auto stored = s.of(kStored), means = s.of(kMean), pointwise = s.of(kPointwise);
  Numbers<T> folded(pointwise.size() * channels * channels);
  for (size_t j = 0; j < pointwise.size(); ++j)
    for (long o = 0; o < channels; ++o)
      for (long i = 0; i < channels; ++i)
        folded[(j * channels + i) * channels + o] =
            coefficients[pointwise[j] * channels + o] * s.matrices[pointwise[j]][o * channels + i];
  const auto listed = [&](const std::vector<long>& which, long image, auto& at, auto& lds, auto& ks) {
    for (size_t j = 0; j < which.size(); ++j) {
      lds[j] = s.lds[which[j]];
      at[j] = s.at[which[j]] + image * s.pixels() * lds[j];
      ks[j] = coefficients + which[j] * channels;
    }
  };
#pragma omp parallel for schedule(static) num_threads(threads)
  for (long thread = 0; thread < threads; ++thread) {
    std::vector<const T*> at(s.count), ks(s.count);
    std::vector<long> lds(s.count);
    T* strip = scratch<T>(0, pointwise.size() * s.rows() * s.width * channels);
    T* line = scratch<T>(1, (s.width + 2) * channels);
    s.strips_of(thread, threads, [&](long image, long top, long bottom) {
      T* o = out + image * s.pixels() * ldo;
      const long first = top * s.width, last = bottom * s.width;
      listed(stored, image, at, lds, ks);
      weigh<T, L>(first, last, channels, stored.size(), at.data(), lds.data(), ks.data(), bias, o, ldo, accumulate);
      for (size_t j = 0; j < pointwise.size(); ++j) {
        const long ld = s.lds[pointwise[j]];
        const T* x = s.at[pointwise[j]] + (image * s.pixels() + first) * ld;
        at[j] = rectified<T, L>(x, ld, last - first, channels, strip + j * s.rows() * s.width * channels);
      }
      const Taps<T> taps{at.data(), long(pointwise.size()), folded.data()};
      if (taps.count) dense_row<T, L>(taps, last - first, channels, o + first * ldo, ldo, true);
      if (means.empty()) return;
      listed(means, image, at, lds, ks);
      for (long y = top; y < bottom; ++y)
        add_means<T, L, false>(means.size(), at.data(), lds.data(), ks.data(), y, s.height, s.width, channels, line,
                               o + y * s.width * ldo, ldo);
    });
  }
}

// sums[0] = Σ g, sums[1 + t] = Σ g · term_t, over pixels: [1 + count][channels]. For pointwise terms also
// products[t] = Σ g relu(x)ᵀ: [out][in].
template <class T, int L>
void reduce(const Terms<T>& s, const T* g, long ldg, double* sums, double* const* products, int threads) {
  const long channels = s.channels, square = channels * channels;
  const auto stored = s.of(kStored), means = s.of(kMean), pointwise = s.of(kPointwise);
  const long wide = (1 + s.count) * channels, size = wide + pointwise.size() * square;
  Numbers<double> parts(size_t(threads) * size, 0.0);
  const Numbers<T> ones(channels, T(1));
#pragma omp parallel for schedule(static) num_threads(threads)
  for (long thread = 0; thread < threads; ++thread) {
    double* own = parts.data() + thread * size;
    T* row = scratch<T>(0, s.rows() * s.width * channels);
    T* line = scratch<T>(1, (s.width + 2) * channels);
    s.strips_of(thread, threads, [&](long image, long top, long bottom) {
      const long first = top * s.width, count = (bottom - top) * s.width;
      const T* slope = g + (image * s.pixels() + first) * ldg;
      const auto dot = [&](const T* a, long la, const T* b, long lb, double* into_a, double* into_b) {
        for (long c = 0; c < channels; c += L) {
          Vec<T, L> u[4] = {}, v[4] = {};
          if (b) {
            by_four(0, count, [&](long p, int lane) {
              const auto factor = load<T, L>(slope + p * ldg + c);
              __builtin_prefetch(a + (p + count) * la + c);
              __builtin_prefetch(b + (p + count) * lb + c);
              u[lane] += factor * load<T, L>(a + p * la + c);
              v[lane] += factor * load<T, L>(b + p * lb + c);
            });
            flush<T, L>(v, into_b + c);
          } else
            by_four(0, count, [&](long p, int lane) {
              u[lane] += load<T, L>(slope + p * ldg + c) * load<T, L>(a + p * la + c);
            });
          flush<T, L>(u, into_a + c);
        }
      };
      for (long c = 0; c < channels; c += L) {
        Vec<T, L> q[4] = {};
        by_four(0, count, [&](long p, int lane) {
          __builtin_prefetch(slope + (p + count) * ldg + c);
          q[lane] += load<T, L>(slope + p * ldg + c);
        });
        flush<T, L>(q, own + c);
      }
      for (size_t j = 0; j < stored.size(); j += 2) {
        const bool two = j + 1 < stored.size();
        const long t = stored[j], u = two ? stored[j + 1] : t;
        const T* a = s.at[t] + (image * s.pixels() + first) * s.lds[t];
        const T* b = two ? s.at[u] + (image * s.pixels() + first) * s.lds[u] : nullptr;
        dot(a, s.lds[t], b, s.lds[u], own + (1 + t) * channels, own + (1 + u) * channels);
      }
      for (const long t : means) {
        std::fill(row, row + count * channels, T(0));
        const T *x = s.at[t] + image * s.pixels() * s.lds[t], *k = ones.data();
        for (long y = top; y < bottom; ++y)
          add_means<T, L, false>(1, &x, s.lds + t, &k, y, s.height, s.width, channels, line,
                                 row + (y - top) * s.width * channels, channels);
        dot(row, channels, nullptr, 0, own + (1 + t) * channels, nullptr);
      }
      for (size_t j = 0; j < pointwise.size(); ++j) {
        const long t = pointwise[j];
        const T* x = s.at[t] + (image * s.pixels() + first) * s.lds[t];
        const Strip<T> right{rectified<T, L>(x, s.lds[t], count, channels, row), 1, 0, count, channels};
        outer<T, L>(Strip<T>{slope, 1, 0, count, ldg}, right, channels, own + wide + j * square);
      }
    });
  }
  for (int thread = 1; thread < threads; ++thread)
    for (long i = 0; i < size; ++i) parts[i] += parts[thread * size + i];
  std::copy(parts.data(), parts.data() + wide, sums);
  for (size_t j = 0; j < pointwise.size(); ++j) {
    const long t = pointwise[j];
    const double* product = parts.data() + wide + j * square;
    std::copy(product, product + square, products[t]);
    for (long o = 0; o < channels; ++o)
      for (long i = 0; i < channels; ++i)
        sums[(1 + t) * channels + o] += s.matrices[t][o * channels + i] * product[o * channels + i];
  }
}

}  // namespace
