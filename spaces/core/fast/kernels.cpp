// Kernels of the fast supernet on CPUs. Compiled on the machine they run on, by `native.py`, for float and double.
//
// Images are NHWC: channels lie side by side, `ld` is the distance between the pixels of a row (so that a tensor may be
// a slice of wider ones), rows and images follow each other without gaps. Channels are a multiple of the lanes L.
// What is summed over a batch is summed image by image, or chunk by chunk, and those partial sums in double and in a
// fixed order: a result depends on the number of threads at most, never on their timing.

#include <omp.h>

#include <algorithm>
#include <cstring>
#include <vector>

namespace {

template <class T, int L>
using Vec __attribute__((vector_size(sizeof(T) * L), aligned(sizeof(T)), may_alias)) = T;

template <class T, int L>
inline Vec<T, L> load(const T* p) {
  return *reinterpret_cast<const Vec<T, L>*>(p);
}

template <class T, int L>
inline void store(T* p, Vec<T, L> v) {
  *reinterpret_cast<Vec<T, L>*>(p) = v;
}

template <class T, int L>
inline Vec<T, L> relu(Vec<T, L> v) {
  return v > T(0) ? v : Vec<T, L>{};
}

constexpr long kChunk = 64;  // pixels: a few channels of so many fit into the first cache

inline long share(long total, long thread, long threads) { return total * thread / threads; }

// A thread's own scratch memory, kept from call to call.
template <class T>
T* scratch(int slot, size_t count) {
  thread_local std::vector<T> slots[8];
  if (slots[slot].size() < count) slots[slot].resize(count);
  return slots[slot].data();
}

// --- Sums over a batch -----------------------------------------------------------------------------------------------

// Adds up values, and squares of values, around a pivot for each channel, in double.
template <class T, int L>
void add_moments(const T* y, long ld, long pixels, long channels, const T* pivot, double* sum, double* square) {
  for (long start = 0; start < pixels; start += kChunk) {
    const long end = std::min(pixels, start + kChunk);
    for (long c = 0; c < channels; c += L) {
      const auto centre = load<T, L>(pivot + c);
      Vec<T, L> s[2] = {}, q[2] = {};
      for (long p = start; p < end; ++p) {
        const auto v = load<T, L>(y + p * ld + c) - centre;
        s[p & 1] += v;
        q[p & 1] += v * v;
      }
      for (int l = 0; l < L; ++l) {
        sum[c + l] += double(s[0][l]) + double(s[1][l]);
        square[c + l] += double(q[0][l]) + double(q[1][l]);
      }
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
#pragma omp parallel num_threads(threads)
  {
    const long thread = omp_get_thread_num();
    double* own = parts.data() + thread * size;
    for (long chunk = share(chunks, thread, threads); chunk < share(chunks, thread + 1, threads); ++chunk) {
      const long start = chunk * kChunk, end = std::min(pixels, start + kChunk);
      for (long c = 0; c < channels; c += L) {
        const auto flush = [&](long row, Vec<T, L> even, Vec<T, L> odd) {
          for (int l = 0; l < L; ++l) own[row * channels + c + l] += double(even[l]) + double(odd[l]);
        };
        Vec<T, L> q[2] = {};
        for (long p = start; p < end; ++p) q[p & 1] += load<T, L>(g + p * ldg + c);
        flush(0, q[0], q[1]);
        long t = 0;
        for (; t + 2 <= count; t += 2) {
          const T *a = terms[t] + c, *b = terms[t + 1] + c;
          const long la = lds[t], lb = lds[t + 1];
          Vec<T, L> u[2] = {}, v[2] = {};
          for (long p = start; p < end; ++p) {
            const auto slope = load<T, L>(g + p * ldg + c);
            u[p & 1] += slope * load<T, L>(a + p * la);
            v[p & 1] += slope * load<T, L>(b + p * lb);
          }
          flush(1 + t, u[0], u[1]);
          flush(2 + t, v[0], v[1]);
        }
        if (t < count) {
          Vec<T, L> u[2] = {};
          for (long p = start; p < end; ++p)
            u[p & 1] += load<T, L>(g + p * ldg + c) * load<T, L>(terms[t] + p * lds[t] + c);
          flush(1 + t, u[0], u[1]);
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

// --- Sums of terms ---------------------------------------------------------------------------------------------------

// out = bias + Σ_t coefficient_t · term_t, coefficients a channel; added to `out` where `accumulate`.
template <class T, int L>
void combine(long pixels, long channels, long count, const T* const* terms, const long* lds, const T* coefficients,
             const T* bias, T* out, long ldo, int accumulate, int threads) {
  const long chunks = (pixels + kChunk - 1) / kChunk;
#pragma omp parallel num_threads(threads)
  {
    const long thread = omp_get_thread_num();
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
      const auto passed = load<T, L>(x + p * ld + c) > T(0) ? load<T, L>(slope + p * channels + c) : Vec<T, L>{};
      store<T, L>(gx + p * ldg + c, load<T, L>(gx + p * ldg + c) + passed);
    }
}

// --- Pooling, 3 x 3, padding 1 -----------------------------------------------------------------------------------------

struct Window {  // of one output pixel: rows and columns of the input that it sees
  long top, bottom, left, right;
  Window(long y, long x, long stride, long height, long width)
      : top(std::max(0L, y * stride - 1)),
        bottom(std::min(height, y * stride + 2)),
        left(std::max(0L, x * stride - 1)),
        right(std::min(width, x * stride + 2)) {}
  long count() const { return (bottom - top) * (right - left); }
};

template <class T, int L>
void pool(const T* x, long ld, long images, long height, long width, long channels, long stride, int largest, T* out,
          int threads) {
  const long oh = (height + stride - 1) / stride, ow = (width + stride - 1) / stride;
#pragma omp parallel for schedule(static) num_threads(threads) collapse(2)
  for (long i = 0; i < images; ++i)
    for (long y = 0; y < oh; ++y)
      for (long z = 0; z < ow; ++z) {
        const Window w(y, z, stride, height, width);
        const T* image = x + i * height * width * ld;
        T* o = out + ((i * oh + y) * ow + z) * channels;
        const T scale = T(1) / T(w.count());
        for (long c = 0; c < channels; c += L) {
          auto value = largest ? load<T, L>(image + (w.top * width + w.left) * ld + c) : Vec<T, L>{};
          for (long r = w.top; r < w.bottom; ++r)
            for (long s = w.left; s < w.right; ++s) {
              const auto v = load<T, L>(image + (r * width + s) * ld + c);
              value = largest ? (v > value ? v : value) : value + v;
            }
          store<T, L>(o + c, largest ? value : value * scale);
        }
      }
}

// gx += the pooling's transpose. Of equal maxima the first has all of it, as in torch.
template <class T, int L>
void pool_backward(const T* slope, const T* x, long ld, const T* pooled, long images, long height, long width,
                   long channels, long stride, int largest, T* gx, long ldg, int threads) {
  const long oh = (height + stride - 1) / stride, ow = (width + stride - 1) / stride;
#pragma omp parallel for schedule(static) num_threads(threads)
  for (long i = 0; i < images; ++i)
    for (long y = 0; y < oh; ++y)
      for (long z = 0; z < ow; ++z) {
        const Window w(y, z, stride, height, width);
        const long at = ((i * oh + y) * ow + z) * channels;
        const T scale = T(1) / T(w.count());
        for (long c = 0; c < channels; c += L) {
          auto g = load<T, L>(slope + at + c);
          if (!largest) g *= scale;
          const auto peak = largest ? load<T, L>(pooled + at + c) : Vec<T, L>{};
          for (long r = w.top; r < w.bottom; ++r)
            for (long s = w.left; s < w.right; ++s) {
              const long pixel = (i * height + r) * width + s;
              T* to = gx + pixel * ldg + c;
              if (!largest) {
                store<T, L>(to, load<T, L>(to) + g);
                continue;
              }
              const auto here = load<T, L>(x + pixel * ld + c) == peak;
              store<T, L>(to, load<T, L>(to) + (here ? g : Vec<T, L>{}));
              g = here ? Vec<T, L>{} : g;
            }
        }
      }
}

// --- Depthwise and pointwise convolution -------------------------------------------------------------------------------

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

// B pixels of a depthwise convolution: `in` is the first pixel's first tap, taps `right` and `down` of each other.
template <class T, int L, int K, int B>
void depthwise_block(const T* in, long step, long right, long down, const T* w, long channels, T* out, long ldo) {
  for (long c = 0; c < channels; c += L) {
    Vec<T, L> sum[B] = {};
    for (int y = 0; y < K; ++y)
      for (int x = 0; x < K; ++x) {
        const auto k = load<T, L>(w + (y * K + x) * channels + c);
        const T* tap = in + y * down + x * right + c;
        for (int j = 0; j < B; ++j) sum[j] += k * load<T, L>(tap + j * step);
      }
    for (int j = 0; j < B; ++j) store<T, L>(out + j * ldo + c, sum[j]);
  }
}

// A depthwise convolution of one framed image: [out height][out width][channels].
template <class T, int L, int K>
void depthwise(const T* framed, long row, long out_height, long out_width, long stride, long dilation, const T* w,
               long channels, T* out) {
  const long step = stride * channels, right = dilation * channels, down = dilation * row;
  for (long y = 0; y < out_height; ++y) {
    const T* in = framed + y * stride * row;
    T* o = out + y * out_width * channels;
    long x = 0;
    for (; x + 8 <= out_width; x += 8)
      depthwise_block<T, L, K, 8>(in + x * step, step, right, down, w, channels, o + x * channels, channels);
    for (; x + 4 <= out_width; x += 4)
      depthwise_block<T, L, K, 4>(in + x * step, step, right, down, w, channels, o + x * channels, channels);
    for (; x < out_width; ++x)
      depthwise_block<T, L, K, 1>(in + x * step, step, right, down, w, channels, o + x * channels, channels);
  }
}

template <class T, int L, int B, int N>
inline void product_block(const T* in, const T* w, long channels, long first, T* out, long ldo) {
  Vec<T, L> sum[B][N] = {};
  for (long c = 0; c < channels; ++c) {
    Vec<T, L> k[N];
    for (int n = 0; n < N; ++n) k[n] = load<T, L>(w + c * channels + first + n * L);
    for (int j = 0; j < B; ++j) {
      const T v = in[j * channels + c];
      for (int n = 0; n < N; ++n) sum[j][n] += v * k[n];
    }
  }
  for (int j = 0; j < B; ++j)
    for (int n = 0; n < N; ++n) store<T, L>(out + j * ldo + first + n * L, sum[j][n]);
}

template <class T, int L, int B>
void product_rows(const T* in, const T* w, long channels, T* out, long ldo) {
  long first = 0;
  for (; first + 2 * L <= channels; first += 2 * L) product_block<T, L, B, 2>(in, w, channels, first, out, ldo);
  if (first < channels) product_block<T, L, B, 1>(in, w, channels, first, out, ldo);
}

// out[p] = in[p] · w for [pixels][channels] and a square w.
template <class T, int L>
void product(const T* in, const T* w, long pixels, long channels, T* out, long ldo) {
  long p = 0;
  for (; p + 8 <= pixels; p += 8) product_rows<T, L, 8>(in + p * channels, w, channels, out + p * ldo, ldo);
  for (; p < pixels; ++p) product_rows<T, L, 1>(in + p * channels, w, channels, out + p * ldo, ldo);
}

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
  std::vector<T> kernel(taps * s.channels), matrix(s.channels * s.channels);
  tap_major(dw, taps, s.channels, false, kernel.data());
  transpose(pw, s.channels, matrix.data());
  std::vector<double> parts(2 * s.images * s.channels);
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
  std::vector<T> kernel(taps * channels), flipped(taps * channels);
  tap_major(dw, taps, channels, false, kernel.data());
  tap_major(dw, taps, channels, true, flipped.data());
  const size_t square = channels * channels, weights = taps * channels + square;
  std::vector<T> parts(grad_dw ? threads * weights : 0, T(0));
  std::vector<double> image_sums(sums ? 2 * s.images * channels : 0, 0.0);
#pragma omp parallel num_threads(threads)
  {
    const long thread = omp_get_thread_num();
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
        outer<T, L>(slope_y, middle, pixels, channels, own + taps * channels);
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
            auto passed = load<T, L>(u + c) > T(0) ? load<T, L>(v + c) : Vec<T, L>{};
            if (accumulate) passed += load<T, L>(o + c);
            store<T, L>(o + c, passed);
          }
        }
      if (sums) {
        double* own = image_sums.data() + 2 * i * channels;
        const T* o = out + i * s.height * s.width * ldo;
        const T* in = x + i * s.height * s.width * ld;
        for (long start = 0; start < s.height * s.width; start += kChunk)
          for (long c = 0; c < channels; c += L) {
            Vec<T, L> q[2] = {}, d[2] = {};
            for (long p = start; p < std::min(s.height * s.width, start + kChunk); ++p) {
              const auto v = load<T, L>(o + p * ldo + c);
              q[p & 1] += v;
              d[p & 1] += v * load<T, L>(in + p * ld + c);
            }
            for (int l = 0; l < L; ++l) {
              own[c + l] += double(q[0][l]) + double(q[1][l]);
              own[channels + c + l] += double(d[0][l]) + double(d[1][l]);
            }
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

// --- Calls from outside, by type and lanes -----------------------------------------------------------------------------

// As many lanes as divide the channels, a cache line at most.
#define BY_LANES(T, channels, call)                                   \
  do {                                                                \
    if (sizeof(T) == 4 && (channels) % 16 == 0) return call(T, 16);   \
    if ((channels) % 8 == 0) return call(T, 8);                       \
    return call(T, 4);                                                \
  } while (0)

}  // namespace

#define KERNELS(T, suffix)                                                                                             \
  extern "C" void moments_##suffix(const T* y, long ld, long images, long pixels, long channels, double* mean,         \
                                   double* variance, int threads) {                                                    \
    BY_LANES(T, channels, CALL_MOMENTS);                                                                               \
  }                                                                                                                    \
  extern "C" void reduce_##suffix(const T* g, long ldg, long pixels, long channels, long count, const T* const* terms, \
                                  const long* lds, double* sums, int threads) {                                        \
    BY_LANES(T, channels, CALL_REDUCE);                                                                                \
  }                                                                                                                    \
  extern "C" void combine_##suffix(long pixels, long channels, long count, const T* const* terms, const long* lds,     \
                                   const T* coefficients, const T* bias, T* out, long ldo, int accumulate,             \
                                   int threads) {                                                                      \
    BY_LANES(T, channels, CALL_COMBINE);                                                                               \
  }                                                                                                                    \
  extern "C" void rectify_##suffix(const T* x, long ld, long pixels, long channels, T* out, int threads) {             \
    BY_LANES(T, channels, CALL_RECTIFY);                                                                               \
  }                                                                                                                    \
  extern "C" void rectify_backward_##suffix(const T* slope, const T* x, long ld, long pixels, long channels, T* gx,    \
                                            long ldg, int threads) {                                                   \
    BY_LANES(T, channels, CALL_RECTIFY_BACKWARD);                                                                      \
  }                                                                                                                    \
  extern "C" void pool_##suffix(const T* x, long ld, long images, long height, long width, long channels,              \
                                long stride, int largest, T* out, int threads) {                                       \
    BY_LANES(T, channels, CALL_POOL);                                                                                  \
  }                                                                                                                    \
  extern "C" void pool_backward_##suffix(const T* slope, const T* x, long ld, const T* pooled, long images,            \
                                         long height, long width, long channels, long stride, int largest, T* gx,      \
                                         long ldg, int threads) {                                                      \
    BY_LANES(T, channels, CALL_POOL_BACKWARD);                                                                         \
  }                                                                                                                    \
  extern "C" void separable_##suffix(const long* shape, const T* x, long ld, const T* a, const T* b, const T* dw,      \
                                     const T* pw, T* y, long ldy, double* mean, double* variance, int threads) {       \
    const Shape s{shape[0], shape[1], shape[2], shape[3], shape[4], shape[5], shape[6]};                               \
    if (s.kernel == 3) BY_LANES(T, s.channels, CALL_SEPARABLE3);                                                       \
    BY_LANES(T, s.channels, CALL_SEPARABLE5);                                                                          \
  }                                                                                                                    \
  extern "C" void separable_backward_##suffix(                                                                         \
      const long* shape, const T* g, long ldg, const T* y, long ldy, const T* A, const T* B, const T* C, const T* x,   \
      long ld, const T* a, const T* b, const T* dw, const T* pw, T* out, long ldo, int accumulate, double* sums,       \
      T* grad_dw, T* grad_pw, int threads) {                                                                           \
    const Shape s{shape[0], shape[1], shape[2], shape[3], shape[4], shape[5], shape[6]};                               \
    if (s.kernel == 3) BY_LANES(T, s.channels, CALL_SEPARABLE_BACKWARD3);                                              \
    BY_LANES(T, s.channels, CALL_SEPARABLE_BACKWARD5);                                                                 \
  }

#define CALL_MOMENTS(T, L) moments<T, L>(y, ld, images, pixels, channels, mean, variance, threads)
#define CALL_REDUCE(T, L) reduce<T, L>(g, ldg, pixels, channels, count, terms, lds, sums, threads)
#define CALL_COMBINE(T, L) \
  combine<T, L>(pixels, channels, count, terms, lds, coefficients, bias, out, ldo, accumulate, threads)
#define CALL_RECTIFY(T, L) rectify<T, L>(x, ld, pixels, channels, out, threads)
#define CALL_RECTIFY_BACKWARD(T, L) rectify_backward<T, L>(slope, x, ld, pixels, channels, gx, ldg, threads)
#define CALL_POOL(T, L) pool<T, L>(x, ld, images, height, width, channels, stride, largest, out, threads)
#define CALL_POOL_BACKWARD(T, L) \
  pool_backward<T, L>(slope, x, ld, pooled, images, height, width, channels, stride, largest, gx, ldg, threads)
#define CALL_SEPARABLE3(T, L) separable<T, L, 3>(s, x, ld, a, b, dw, pw, y, ldy, mean, variance, threads)
#define CALL_SEPARABLE5(T, L) separable<T, L, 5>(s, x, ld, a, b, dw, pw, y, ldy, mean, variance, threads)
#define CALL_SEPARABLE_BACKWARD3(T, L)                                                                               \
  separable_backward<T, L, 3>(s, g, ldg, y, ldy, A, B, C, x, ld, a, b, dw, pw, out, ldo, accumulate, sums, grad_dw, \
                              grad_pw, threads)
#define CALL_SEPARABLE_BACKWARD5(T, L)                                                                               \
  separable_backward<T, L, 5>(s, g, ldg, y, ldy, A, B, C, x, ld, a, b, dw, pw, out, ldo, accumulate, sums, grad_dw, \
                              grad_pw, threads)

KERNELS(float, float32)
KERNELS(double, float64)
