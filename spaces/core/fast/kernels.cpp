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

// Sums over the pixels of a chunk, four at a time so that no addition waits for the one before: `add(p, lane)` adds what
// pixel p has to the accumulators of one of four lanes.
template <class F>
inline void by_four(long start, long end, const F& add) {
  long p = start;
  for (; p + 4 <= end; p += 4) {
    add(p, 0);
    add(p + 1, 1);
    add(p + 2, 2);
    add(p + 3, 3);
  }
  for (; p < end; ++p) add(p, 0);
}

template <class T, int L>
inline void flush(const Vec<T, L> (&lanes)[4], double* sums) {
  const auto total = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
  for (int l = 0; l < L; ++l) sums[l] += double(total[l]);
}

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
#pragma omp parallel num_threads(threads)
  {
    const long thread = omp_get_thread_num();
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

// --- Dense convolutions of one image, kernels 1 x 1 and 3 x 3 -----------------------------------------------------------

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

// For each member m: y_m = convolution(relu(x)) of size sizes[m], with its mean and variance where wanted.
template <class T, int L>
void dense(long images, long height, long width, long channels, const T* x, long ld, long count, const long* sizes,
           const T* const* weights, T* const* ys, double* const* means, double* const* variances, int threads) {
  const Shape s{images, height, width, channels, 3, 1, 1};
  const long row = s.padded_width() * channels, pixels = height * width, square = channels * channels;
  std::vector<T> kernels(count * 9 * square);
  std::vector<double> parts(count * 2 * images * channels);
#pragma omp parallel num_threads(threads)
  {
#pragma omp for schedule(static)
    for (long m = 0; m < count; ++m)
      by_tap(weights[m], sizes[m] * sizes[m], channels, false, kernels.data() + m * 9 * square);
#pragma omp for schedule(static)
    for (long i = 0; i < images; ++i) {
      T* framed = scratch<T>(0, s.padded_height() * row);
      frame<T, L>(s, x + i * pixels * ld, ld, nullptr, nullptr, framed);
      for (long m = 0; m < count; ++m) {
        const T* in = sizes[m] == 3 ? framed : framed + row + channels;
        T* out = ys[m] + i * pixels * channels;
        for (long r = 0; r < height; ++r)
          dense_row<T, L>(in + r * row, row, sizes[m], kernels.data() + m * 9 * square, width, channels,
                          out + r * width * channels, channels, false);
        if (!means) continue;
        double* of_image = parts.data() + (m * images + i) * 2 * channels;
        image_moments<T, L>(out, channels, pixels, channels, of_image, of_image + channels);
      }
    }
  }
  if (means)
    for (long m = 0; m < count; ++m)
      merge_moments(parts.data() + m * images * 2 * channels, images, pixels, channels, means[m], variances[m]);
}

// The transpose of `dense` at dL/dy_m = A_m g_m + B_m y_m + K_m (slopes: A, B, K of each member): added to gx; gradients
// of the weights, as torch has them, where wanted.
template <class T, int L>
void dense_backward(long images, long height, long width, long channels, const T* x, long ld, long count,
                    const long* sizes, const T* const* weights, const T* const* ys, const T* const* gs,
                    const long* ldgs, const T* slopes, T* gx, long ldg, T* const* grads, int threads) {
  const Shape s{images, height, width, channels, 3, 1, 1};
  const long row = s.padded_width() * channels, pixels = height * width, square = channels * channels;
  std::vector<T> kernels(count * 9 * square), parts(grads ? threads * count * 9 * square : 0, T(0));
#pragma omp parallel num_threads(threads)
  {
#pragma omp for schedule(static)
    for (long m = 0; m < count; ++m)
      by_tap(weights[m], sizes[m] * sizes[m], channels, true, kernels.data() + m * 9 * square);
    const long thread = omp_get_thread_num();
    T* framed = scratch<T>(0, s.padded_height() * row);
    T* slope = scratch<T>(1, s.padded_height() * row);
    T* total = scratch<T>(2, pixels * channels);
    std::memset(slope, 0, sizeof(T) * s.padded_height() * row);
    T* inner = slope + row + channels;
    for (long i = share(images, thread, threads); i < share(images, thread + 1, threads); ++i) {
      frame<T, L>(s, x + i * pixels * ld, ld, nullptr, nullptr, framed);
      for (long m = 0; m < count; ++m) {
        const T *A = slopes + m * 3 * channels, *B = A + channels, *K = B + channels;
        const T *g = gs[m] + i * pixels * ldgs[m], *y = ys[m] + i * pixels * channels;
        for (long r = 0; r < height; ++r)
          for (long q = 0; q < width; ++q)
            for (long c = 0; c < channels; c += L) {
              const long p = r * width + q;
              store<T, L>(inner + r * row + q * channels + c,
                          load<T, L>(g + p * ldgs[m] + c) * load<T, L>(A + c) +
                              load<T, L>(y + p * channels + c) * load<T, L>(B + c) + load<T, L>(K + c));
            }
        const T* kernel = kernels.data() + m * 9 * square;
        const T* in = sizes[m] == 3 ? slope : inner;
        for (long r = 0; r < height; ++r)
          dense_row<T, L>(in + r * row, row, sizes[m], kernel, width, channels, total + r * width * channels, channels,
                          m > 0);
        if (!grads) continue;
        T* own = parts.data() + (thread * count + m) * 9 * square;
        if (sizes[m] == 3)
          dense_weights<T, L>(s, framed, row, inner, row, own);
        else
          for (long r = 0; r < height; ++r)
            outer<T, L>(inner + r * row, framed + (r + 1) * row + channels, width, channels, own);
      }
      for (long r = 0; r < height; ++r)
        for (long q = 0; q < width; ++q)
          for (long c = 0; c < channels; c += L) {
            const auto passed = load<T, L>(framed + (r + 1) * row + (q + 1) * channels + c) > T(0)
                                    ? load<T, L>(total + (r * width + q) * channels + c)
                                    : Vec<T, L>{};
            T* o = gx + (i * pixels + r * width + q) * ldg + c;
            store<T, L>(o, load<T, L>(o) + passed);
          }
    }
#pragma omp barrier
    if (grads) {
#pragma omp for schedule(static)
      for (long m = 0; m < count; ++m) {
        const long taps = sizes[m] * sizes[m];
        for (long k = 0; k < taps; ++k)
          for (long j = 0; j < square; ++j) {
            T sum = 0;
            for (int t = 0; t < threads; ++t) sum += parts[(t * count + m) * 9 * square + k * square + j];
            grads[m][j * taps + k] = sum;
          }
      }
    }
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
                                   double* variance, long threads) {                                                    \
    BY_LANES(T, channels, CALL_MOMENTS);                                                                               \
  }                                                                                                                    \
  extern "C" void reduce_##suffix(const T* g, long ldg, long pixels, long channels, long count, const T* const* terms, \
                                  const long* lds, double* sums, long threads) {                                        \
    BY_LANES(T, channels, CALL_REDUCE);                                                                                \
  }                                                                                                                    \
  extern "C" void combine_##suffix(long pixels, long channels, long count, const T* const* terms, const long* lds,     \
                                   const T* coefficients, const T* bias, T* out, long ldo, long accumulate,             \
                                   long threads) {                                                                      \
    BY_LANES(T, channels, CALL_COMBINE);                                                                               \
  }                                                                                                                    \
  extern "C" void rectify_##suffix(const T* x, long ld, long pixels, long channels, T* out, long threads) {             \
    BY_LANES(T, channels, CALL_RECTIFY);                                                                               \
  }                                                                                                                    \
  extern "C" void rectify_backward_##suffix(const T* slope, const T* x, long ld, long pixels, long channels, T* gx,    \
                                            long ldg, long threads) {                                                   \
    BY_LANES(T, channels, CALL_RECTIFY_BACKWARD);                                                                      \
  }                                                                                                                    \
  extern "C" void pool_##suffix(const T* x, long ld, long images, long height, long width, long channels,              \
                                long stride, long largest, T* out, long threads) {                                       \
    BY_LANES(T, channels, CALL_POOL);                                                                                  \
  }                                                                                                                    \
  extern "C" void pool_backward_##suffix(const T* slope, const T* x, long ld, const T* pooled, long images,            \
                                         long height, long width, long channels, long stride, long largest, T* gx,      \
                                         long ldg, long threads) {                                                      \
    BY_LANES(T, channels, CALL_POOL_BACKWARD);                                                                         \
  }                                                                                                                    \
  extern "C" void dense_##suffix(long images, long height, long width, long channels, const T* x, long ld, long count,  \
                                 const long* sizes, const T* const* weights, T* const* ys, double* const* means,       \
                                 double* const* variances, long threads) {                                              \
    BY_LANES(T, channels, CALL_DENSE);                                                                                 \
  }                                                                                                                    \
  extern "C" void dense_backward_##suffix(long images, long height, long width, long channels, const T* x, long ld,    \
                                          long count, const long* sizes, const T* const* weights,                      \
                                          const T* const* ys, const T* const* gs, const long* ldgs, const T* slopes,   \
                                          T* gx, long ldg, T* const* grads, long threads) {                             \
    BY_LANES(T, channels, CALL_DENSE_BACKWARD);                                                                        \
  }                                                                                                                    \
  extern "C" void separable_##suffix(const long* shape, const T* x, long ld, const T* a, const T* b, const T* dw,      \
                                     const T* pw, T* y, long ldy, double* mean, double* variance, long threads) {       \
    const Shape s{shape[0], shape[1], shape[2], shape[3], shape[4], shape[5], shape[6]};                               \
    if (s.kernel == 3) BY_LANES(T, s.channels, CALL_SEPARABLE3);                                                       \
    BY_LANES(T, s.channels, CALL_SEPARABLE5);                                                                          \
  }                                                                                                                    \
  extern "C" void separable_backward_##suffix(                                                                         \
      const long* shape, const T* g, long ldg, const T* y, long ldy, const T* A, const T* B, const T* C, const T* x,   \
      long ld, const T* a, const T* b, const T* dw, const T* pw, T* out, long ldo, long accumulate, double* sums,       \
      T* grad_dw, T* grad_pw, long threads) {                                                                           \
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
#define CALL_DENSE(T, L) \
  dense<T, L>(images, height, width, channels, x, ld, count, sizes, weights, ys, means, variances, threads)
#define CALL_DENSE_BACKWARD(T, L)                                                                                     \
  dense_backward<T, L>(images, height, width, channels, x, ld, count, sizes, weights, ys, gs, ldgs, slopes, gx, ldg, \
                       grads, threads)
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
