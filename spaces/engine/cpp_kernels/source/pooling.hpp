// Mean and maximum of 3 x 3 windows, padded by one pixel that does not count.

#pragma once

#include "lanes.hpp"

namespace {

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
              value = largest ? ((v > value) | (v != v) ? v : value) : value + v;  // NaN stays
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
              const auto v = load<T, L>(x + pixel * ld + c);
              const auto other = (v < peak) | (v > peak);
              store<T, L>(to, load<T, L>(to) + (other ? Vec<T, L>{} : g));
              g = other ? g : Vec<T, L>{};
            }
        }
      }
}

}  // namespace
