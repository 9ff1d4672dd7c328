// ReLU and dense convolutions of stride 1, kernels 1 x 1 and 3 x 3: several of one source at once.

#pragma once

#include "convolution.hpp"
#include "means.hpp"
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

// Σ r over pixels and Σ r rᵀ, in double, of images r: [1 + channels][channels]. They say all about a 1 x 1 convolution
// y = W r that batch norm wants to know, its mean and variance, and what of its weights' gradient comes through them.
struct Second {
  long channels;
  const double* sums;
  double sum(long i) const { return sums[i]; }
  double product(long i, long j) const { return sums[(1 + i) * channels + j]; }
};

// Mean and variance of W r over so many pixels.
template <class T>
void pointwise_moments(const Second& r, const T* w, double pixels, double* mean, double* variance) {
  const long channels = r.channels;
  Numbers<double> covariances(channels * channels), row(channels);
  for (long i = 0; i < channels; ++i)
    for (long j = 0; j < channels; ++j)
      covariances[i * channels + j] = r.product(i, j) - r.sum(i) * r.sum(j) / pixels;
  for (long o = 0; o < channels; ++o) {
    double sum = 0, square = 0;
    std::fill(row.begin(), row.end(), 0.0);
    for (long i = 0; i < channels; ++i) {
      const double v = w[o * channels + i];
      sum += v * r.sum(i);
      for (long j = 0; j < channels; ++j) row[j] += v * covariances[i * channels + j];
    }
    for (long j = 0; j < channels; ++j) square += row[j] * w[o * channels + j];
    mean[o] = sum / pixels;
    variance[o] = std::max(square / pixels, 0.0);
  }
}

// The convolutions of r = relu(x): 3 x 3 ones are stored, y_m, 1 x 1 ones are not. Where `means` are wanted, also the
// mean and variance of each, and `second`, the second moments of r (null: there is no 1 x 1 convolution).
template <class T, int L>
void dense(long images, long height, long width, long channels, const T* x, long ld, long count, const long* sizes,
           const T* const* weights, T* const* ys, double* const* means, double* const* variances, double* second,
           int threads) {
  const Shape s{images, height, width, channels, 3, 1, 1};
  const long row = s.padded_width() * channels, pixels = height * width, square = channels * channels;
  const long strip = std::max(1L, 2 * kChunk / width), table = (1 + channels) * channels;
  Numbers<T> kernels(count * 9 * square);
  Numbers<double> parts(count * 2 * images * channels), seconds(second ? threads * table : 0, 0.0);
#pragma omp parallel num_threads(threads)
  {
#pragma omp for schedule(static)
    for (long m = 0; m < count; ++m)
      if (sizes[m] == 3) by_tap(weights[m], 9, channels, false, kernels.data() + m * 9 * square);
    T* framed = scratch<T>(0, s.padded_height() * row);
    std::vector<const T*> taps;
#pragma omp for schedule(static)
    for (long thread = 0; thread < threads; ++thread)
      for (long i = share(images, thread, threads); i < share(images, thread + 1, threads); ++i) {
        frame<T, L>(s, x + i * pixels * ld, ld, nullptr, nullptr, framed);
        if (second) {
          double* own = seconds.data() + thread * table;
          for (long r = 0; r < height; r += strip) {
            const Strip<T> part{framed + (r + 1) * row + channels, std::min(strip, height - r), row, width, channels};
            add_up<T, L>(part, channels, own);
            outer<T, L>(part, part, channels, own + channels);
          }
        }
        for (long m = 0; m < count; ++m) {
          if (sizes[m] == 1) continue;
          T* out = ys[m] + i * pixels * channels;
          for (long r = 0; r < height; ++r) {
            taps.clear();
            append_nine(framed + r * row, row, channels, taps);
            dense_row<T, L>(Taps<T>{taps.data(), 9, kernels.data() + m * 9 * square}, width, channels,
                            out + r * width * channels, channels, false);
          }
          if (!means) continue;
          double* of_image = parts.data() + (m * images + i) * 2 * channels;
          image_moments<T, L>(out, channels, pixels, channels, of_image, of_image + channels);
        }
      }
  }
  if (second) {
    std::fill(second, second + table, 0.0);
    for (int thread = 0; thread < threads; ++thread)
      for (long j = 0; j < table; ++j) second[j] += seconds[thread * table + j];
  }
  if (!means) return;
#pragma omp parallel for schedule(static) num_threads(threads)
  for (long m = 0; m < count; ++m)
    if (sizes[m] == 3)
      merge_moments(parts.data() + m * images * 2 * channels, images, pixels, channels, means[m], variances[m]);
    else
      pointwise_moments(Second{channels, second}, weights[m], double(images) * pixels, means[m], variances[m]);
}

// Images whose gradient reaches a state as they are, or through the mean of 3 x 3 windows: Σ_t k_t g_t.
template <class T>
struct Passed {
  long count;
  const T* const* gs;
  const long* lds;
  const T* const* coefficients;

  // The gradients from a pixel on.
  void from(long pixel, std::vector<const T*>& at) const {
    at.resize(count);
    for (long t = 0; t < count; ++t) at[t] = gs[t] + pixel * lds[t];
  }
};

// Element i of w Σ r rᵀ.
template <class T>
double mixed_with(const T* w, const Second& r, long i) {
  double sum = 0;
  for (long j = 0; j < r.channels; ++j) sum += w[j] * r.product(i, j);
  return sum;
}

// M[i][j] = Σ_m Σ_o W_oi B_o W_oj and k[j] = Σ_m Σ_o K_o W_oj over the 1 x 1 convolutions.
template <class T>
void back_through_pointwise(long channels, long count, const long* sizes, const T* const* weights, const T* const* slopes,
                            T* matrix, T* constant) {
  Numbers<double> sums((1 + channels) * channels, 0.0);
  for (long m = 0; m < count; ++m) {
    if (sizes[m] != 1) continue;
    const T *B = slopes[3 * m + 1], *K = slopes[3 * m + 2];
    for (long o = 0; o < channels; ++o) {
      const T* w = weights[m] + o * channels;
      for (long j = 0; j < channels; ++j) sums[j] += double(K[o]) * w[j];
      for (long i = 0; i < channels; ++i)
        for (long j = 0; j < channels; ++j) sums[(1 + i) * channels + j] += double(w[i]) * B[o] * w[j];
    }
  }
  std::copy(sums.data(), sums.data() + channels, constant);
  std::copy(sums.data() + channels, sums.data() + sums.size(), matrix);
}

// The transpose of `dense` at dL/dy_m = A_m g_m + B_m y_m + K_m (slopes: A, B, K of each member), and what is
// passed on past it: written to gx, or added where `accumulate`. Gradients of the weights, as torch has them, where
// wanted.
//
// y = W r of a 1 x 1 convolution is not there. What it sends back, Wᵀ(A g + B y + K), is one product with each g, and
// one for all of them with r, by M = Σ Wᵀ B W; the gradient of W is A Σ g rᵀ + B W Σ r rᵀ + K Σ rᵀ, out of sums that are
// there already: `products` (of `reduce`) and `second` (of `dense`).
template <class T, int L>
void dense_backward(long images, long height, long width, long channels, const T* x, long ld, long count,
                    const long* sizes, const T* const* weights, const T* const* ys, const T* const* gs,
                    const long* ldgs, const T* const* slopes, const double* second, const double* const* products,
                    const Passed<T>& whole, const Passed<T>& pooled, T* gx, long ldg, int accumulate, T* const* grads,
                    int threads) {
  const Shape s{images, height, width, channels, 3, 1, 1};
  const long row = s.padded_width() * channels, size = s.padded_height() * row, pixels = height * width;
  const long square = channels * channels;
  const long together = std::max(1L, 4 * kChunk / pixels);  // small images: fewer times are weights' gradients added up
  std::vector<long> large, small;
  for (long m = 0; m < count; ++m) (sizes[m] == 3 ? large : small).push_back(m);
  // What comes back through 1 x 1 convolutions is one sum of products: one with the g of each, one with r, by M.
  const long products_count = small.size() + (second ? 1 : 0);
  Numbers<T> kernels(large.size() * 9 * square), matrices(products_count * square), constant(channels);
  Numbers<double> parts(grads ? threads * count * 9 * square : 0, 0.0);
  for (size_t k = 0; k < small.size(); ++k)
    for (long j = 0; j < square; ++j)
      matrices[k * square + j] = slopes[3 * small[k]][j / channels] * weights[small[k]][j];
  if (second)
    back_through_pointwise(channels, count, sizes, weights, slopes, matrices.data() + small.size() * square,
                           constant.data());
#pragma omp parallel num_threads(threads)
  {
#pragma omp for schedule(static)
    for (size_t k = 0; k < large.size(); ++k)
      by_tap(weights[large[k]], 9, channels, true, kernels.data() + k * 9 * square);
    T* framed = scratch<T>(0, together * size);
    T* slope = scratch<T>(1, together * size);
    T* total = scratch<T>(2, together * pixels * channels);
    T* line = scratch<T>(3, (width + 2) * channels);
    T* packed = scratch<T>(4, small.size() * width * channels);
    std::vector<const T*> at, taps;
    std::memset(slope, 0, sizeof(T) * together * size);
    T* inner = slope + row + channels;
#pragma omp for schedule(static)
    for (long thread = 0; thread < threads; ++thread) {
      const long end = share(images, thread + 1, threads);
      for (long i = share(images, thread, threads); i < end; i += together) {
        const long some = std::min(together, end - i);
        if (count)
          for (long j = 0; j < some; ++j)
            frame<T, L>(s, x + (i + j) * pixels * ld, ld, nullptr, nullptr, framed + j * size);
        for (size_t k = 0; k < large.size(); ++k) {
          const long m = large[k], ldg_m = ldgs[m];
          const T *A = slopes[3 * m], *B = slopes[3 * m + 1], *K = slopes[3 * m + 2];
          const T *g = gs[m] + i * pixels * ldgs[m], *y = ys[m] + i * pixels * channels;
          for (long r = 0; r < some * height; ++r) {
            T* to = inner + r / height * size + r % height * row;
            for (long c = 0; c < channels; c += L) {
              const auto a = load<T, L>(A + c), b = load<T, L>(B + c), k = load<T, L>(K + c);
              const T *g_row = g + r * width * ldg_m + c, *y_row = y + r * width * channels + c;
              for (long q = 0; q < width; ++q)
                store<T, L>(to + q * channels + c,
                            load<T, L>(g_row + q * ldg_m) * a + load<T, L>(y_row + q * channels) * b + k);
            }
          }
          // The convolution is time enough to fetch what comes next.
          const bool last = k + 1 == large.size();
          const long next = last ? large[0] : large[k + 1], ahead = (last ? i + together : i) * pixels;
          const T *next_g = gs[next] + ahead * ldgs[next], *next_y = ys[next] + ahead * channels;
          const bool there = !last || i + together + some <= end;
          for (long r = 0; r < some * height; ++r) {
            if (there) {
              prefetch(next_g + r * width * ldgs[next], width * ldgs[next]);
              prefetch(next_y + r * width * channels, width * channels);
            }
            taps.clear();
            append_nine(slope + r / height * size + r % height * row, row, channels, taps);
            dense_row<T, L>(Taps<T>{taps.data(), 9, kernels.data() + k * 9 * square}, width, channels,
                            total + r * width * channels, channels, k > 0);
          }
          if (grads)
            dense_weights<T, L>(s, some, size, framed, inner, row, parts.data() + (thread * count + m) * 9 * square);
        }
        for (long r = 0; r < some * height; ++r) {
          const long image = r / height, y = r % height, start = (i + image) * pixels, first = start + y * width;
          T *o = gx + first * ldg, *sum = total + r * width * channels;
          whole.from(first, at);
          weigh<T, L>(0, width, channels, whole.count, at.data(), whole.lds, whole.coefficients, nullptr, o, ldg,
                      accumulate);
          if (count) {
            const T* positive = framed + image * size + (y + 1) * row + channels;
            taps.clear();
            for (size_t k = 0; k < small.size(); ++k) {
              const long ldm = ldgs[small[k]];
              const T* g = gs[small[k]] + first * ldm;
              T* to = packed + k * width * channels;
              if (ldm != channels)
                for (long q = 0; q < width; ++q) std::copy(g + q * ldm, g + q * ldm + channels, to + q * channels);
              taps.push_back(ldm != channels ? to : g);
            }
            if (second) taps.push_back(positive);
            dense_row<T, L>(Taps<T>{taps.data(), products_count, matrices.data()}, width, channels, sum, channels,
                            !large.empty());
            for (long c = 0; c < channels; c += L) {
              const auto k = load<T, L>(constant.data() + c);
              for (long q = 0; q < width; ++q) {
                const auto u = load<T, L>(positive + q * channels + c);
                T* to = o + q * ldg + c;
                store<T, L>(to, load<T, L>(to) + passed<T, L>(u, load<T, L>(sum + q * channels + c) + k));
              }
            }
          }
          if (!pooled.count) continue;
          pooled.from(start, at);
          add_means<T, L, true>(pooled.count, at.data(), pooled.lds, pooled.coefficients, y, height, width, channels,
                                line, o, ldg);
        }
      }
    }
    if (grads) {
#pragma omp for schedule(static)
      for (long m = 0; m < count; ++m) {
        const T *A = slopes[3 * m], *B = slopes[3 * m + 1], *K = slopes[3 * m + 2];
        for (long o = 0; o < channels; ++o)
          for (long c = 0; c < channels; ++c) {
            const long j = o * channels + c;
            if (sizes[m] == 1) {
              double sum = A[o] * products[m][j];
              if (second)
                sum += B[o] * mixed_with(weights[m] + o * channels, Second{channels, second}, c) + K[o] * second[c];
              grads[m][j] = T(sum);
            } else
              for (long k = 0; k < 9; ++k) {
                double sum = 0;
                for (int t = 0; t < threads; ++t) sum += parts[(t * count + m) * 9 * square + k * square + j];
                grads[m][j * 9 + k] = T(sum);
              }
          }
      }
    }
  }
}

}  // namespace
