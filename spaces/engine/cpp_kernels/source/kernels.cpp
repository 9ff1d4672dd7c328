// Kernels of the fast supernet on CPUs. Compiled on the machine they run on, by `library.py`, for float and double.
//
// Images are NHWC: channels lie side by side, `ld` is the distance between the pixels of a row (so that a tensor may be
// a slice of wider ones), rows and images follow each other without gaps. Channels are a multiple of the lanes L.
// What is summed over a batch is summed image by image, or chunk by chunk, and those partial sums in double and in a
// fixed order: a result depends on the number of threads at most, never on their timing.

#include "dense.hpp"
#include "node.hpp"
#include "pooling.hpp"
#include "separable.hpp"
#include "sums.hpp"

// As many lanes as divide the channels, a cache line at most.
#define BY_LANES(T, channels, call)                                   \
  do {                                                                \
    if (sizeof(T) == 4 && (channels) % 16 == 0) return call(T, 16);   \
    if ((channels) % 8 == 0) return call(T, 8);                       \
    return call(T, 4);                                                \
  } while (0)

#define KERNELS(T, suffix)                                                                                             \
  extern "C" void moments_##suffix(const T* y, long ld, long images, long pixels, long channels, double* mean,         \
                                   double* variance, long threads) {                                                    \
    BY_LANES(T, channels, CALL_MOMENTS);                                                                               \
  }                                                                                                                    \
  extern "C" void reduce_##suffix(long images, long height, long width, long channels, long count, const long* kinds, \
                                  const T* const* terms, const long* lds, const T* const* matrices, const T* g,        \
                                  long ldg, double* sums, double* const* products, long threads) {                      \
    const Terms<T> s{images, height, width, channels, count, kinds, terms, lds, matrices};                             \
    BY_LANES(T, channels, CALL_REDUCE);                                                                                \
  }                                                                                                                    \
  extern "C" void combine_##suffix(long images, long height, long width, long channels, long count,                    \
                                   const long* kinds, const T* const* terms, const long* lds,                          \
                                   const T* const* matrices, const T* coefficients, const T* bias, T* out, long ldo,   \
                                   long accumulate, long threads) {                                                    \
    const Terms<T> s{images, height, width, channels, count, kinds, terms, lds, matrices};                             \
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
                                 double* const* variances, double* second, long threads) {                              \
    BY_LANES(T, channels, CALL_DENSE);                                                                                 \
  }                                                                                                                    \
  extern "C" void dense_backward_##suffix(                                                                             \
      long images, long height, long width, long channels, const T* x, long ld, long count, const long* sizes,         \
      const T* const* weights, const T* const* ys, const T* const* gs, const long* ldgs, const T* const* slopes,        \
      const double* second, const double* const* products, long whole, const T* const* whole_gs,                       \
      const long* whole_lds, const T* const* whole_coefficients, long pooled, const T* const* pooled_gs,                      \
      const long* pooled_lds, const T* const* pooled_coefficients, T* gx, long ldg, long accumulate, T* const* grads,         \
      long threads) {                                                                                                  \
    const Passed<T> as_they_are{whole, whole_gs, whole_lds, whole_coefficients};                                       \
    const Passed<T> by_means{pooled, pooled_gs, pooled_lds, pooled_coefficients};                                      \
    BY_LANES(T, channels, CALL_DENSE_BACKWARD);                                                                        \
  }                                                                                                                    \
  extern "C" void separable_##suffix(const long* shape, const T* x, long ld, const T* a, const T* b, const T* dw,      \
                                     const T* pw, T* y, long ldy, double* mean, double* variance, long threads) {       \
    const Shape s{shape[0], shape[1], shape[2], shape[3], shape[4], shape[5], shape[6]};                               \
    BY_LANES(T, s.channels, CALL_SEPARABLE);                                                                           \
  }                                                                                                                    \
  extern "C" void separable_backward_##suffix(                                                                         \
      const long* shape, const T* g, long ldg, const T* y, long ldy, const T* A, const T* B, const T* C, const T* x,   \
      long ld, const T* a, const T* b, const T* dw, const T* pw, T* out, long ldo, long accumulate, double* sums,       \
      T* grad_dw, T* grad_pw, long threads) {                                                                           \
    const Shape s{shape[0], shape[1], shape[2], shape[3], shape[4], shape[5], shape[6]};                               \
    BY_LANES(T, s.channels, CALL_SEPARABLE_BACKWARD);                                                                  \
  }

#define CALL_MOMENTS(T, L) moments<T, L>(y, ld, images, pixels, channels, mean, variance, threads)
#define CALL_REDUCE(T, L) reduce<T, L>(s, g, ldg, sums, products, threads)
#define CALL_COMBINE(T, L) combine<T, L>(s, coefficients, bias, out, ldo, accumulate, threads)
#define CALL_RECTIFY(T, L) rectify<T, L>(x, ld, pixels, channels, out, threads)
#define CALL_RECTIFY_BACKWARD(T, L) rectify_backward<T, L>(slope, x, ld, pixels, channels, gx, ldg, threads)
#define CALL_POOL(T, L) pool<T, L>(x, ld, images, height, width, channels, stride, largest, out, threads)
#define CALL_POOL_BACKWARD(T, L) \
  pool_backward<T, L>(slope, x, ld, pooled, images, height, width, channels, stride, largest, gx, ldg, threads)
#define CALL_DENSE(T, L)                                                                                                \
  dense<T, L>(images, height, width, channels, x, ld, count, sizes, weights, ys, means, variances, second, threads)
#define CALL_DENSE_BACKWARD(T, L)                                                                                      \
  dense_backward<T, L>(images, height, width, channels, x, ld, count, sizes, weights, ys, gs, ldgs, slopes, second,    \
                       products, as_they_are, by_means, gx, ldg, accumulate, grads, threads)
#define CALL_SEPARABLE(T, L) separable<T, L>(s, x, ld, a, b, dw, pw, y, ldy, mean, variance, threads)
#define CALL_SEPARABLE_BACKWARD(T, L)                                                                             \
  separable_backward<T, L>(s, g, ldg, y, ldy, A, B, C, x, ld, a, b, dw, pw, out, ldo, accumulate, sums, grad_dw, \
                           grad_pw, threads)

KERNELS(float, float32)
KERNELS(double, float64)
