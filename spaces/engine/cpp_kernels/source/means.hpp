// Means of 3 x 3 windows whose padding does not count, of stride 1, a row at a time: a sum down, then a sum across.

#pragma once

#include "lanes.hpp"

namespace {

// How many of three neighbours in a line of `size` are there.
inline long neighbours(long at, long size) { return 3 - (at == 0) - (at == size - 1); }

// out += Σ_t k_t · mean(x_t) at row y of images [height][width][channels], or, where Transposed, the mean's transpose.
// `line` has room for width + 2 pixels.
template <class T, int L, bool Transposed>
void add_means(long count, const T* const* xs, const long* lds, const T* const* ks, long y, long height, long width,
               long channels, T* line, T* out, long ldo) {
  const long top = std::max(0L, y - 1), bottom = std::min(height, y + 2);
  std::fill(line, line + channels, T(0));
  std::fill(line + (width + 1) * channels, line + (width + 2) * channels, T(0));
  for (long c = 0; c < channels; c += L) {
    T* sums = line + channels + c;
    for (long t = 0; t < count; ++t) {
      const auto k = load<T, L>(ks[t] + c);
      const auto weight = [&](long row) { return Transposed ? k * (T(1) / T(neighbours(row, height))) : k; };
      const T* x = xs[t] + top * width * lds[t] + c;
      const long ld = lds[t], row = width * ld;
      const auto add = [&](const auto& column) {
        for (long p = 0; p < width; ++p) {
          const auto v = column(x + p * ld);
          store<T, L>(sums + p * channels, t == 0 ? v : load<T, L>(sums + p * channels) + v);
        }
      };
      const auto u = weight(top), v = weight(std::min(top + 1, height - 1)), w = weight(bottom - 1);
      if (bottom - top == 3)
        add([&](const T* at) { return u * load<T, L>(at) + v * load<T, L>(at + row) + w * load<T, L>(at + 2 * row); });
      else if (bottom - top == 2)
        add([&](const T* at) { return u * load<T, L>(at) + v * load<T, L>(at + row); });
      else
        add([&](const T* at) { return u * load<T, L>(at); });
    }
    if (Transposed)
      for (long p = 0; p < width; ++p)
        store<T, L>(sums + p * channels, load<T, L>(sums + p * channels) * (T(1) / T(neighbours(p, width))));
    for (long p = 0; p < width; ++p) {
      const T scale = Transposed ? T(1) : T(1) / T((bottom - top) * neighbours(p, width));
      const T* around = line + p * channels + c;
      const auto v = load<T, L>(around) + load<T, L>(around + channels) + load<T, L>(around + 2 * channels);
      store<T, L>(out + p * ldo + c, load<T, L>(out + p * ldo + c) + v * scale);
    }
  }
}

}  // namespace
