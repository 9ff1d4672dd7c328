// A vector of channels, and what every kernel needs: loops over the pixels of a chunk, a thread's share and its memory.

#pragma once

#include <algorithm>
#include <cstring>
#include <new>
#include <type_traits>
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
  return v <= T(0) ? Vec<T, L>{} : v;  // NaN stays
}

// What of the gradient v passes a ReLU whose input, or output, was u.
template <class T, int L>
inline Vec<T, L> passed(Vec<T, L> u, Vec<T, L> v) {
  return u <= T(0) ? Vec<T, L>{} : v;
}

// Adds a vector to numbers in double.
template <class T, int L>
inline void add_to(double* out, Vec<T, L> v) {
  store<double, L>(out, load<double, L>(out) + __builtin_convertvector(v, Vec<double, L>));
}

constexpr long kChunk = 64;  // pixels: a few channels of so many fit into the first cache

// The chunks of an image whose pixels come one after the other.
struct Chunks {
  long total, done = 0;
  explicit Chunks(long pixels) : total(pixels) {}
  // Calls f(first, last) for each chunk that is complete, now that so many pixels are there.
  template <class F>
  void advance(long ready, const F& f) {
    for (; done < ready && (done + kChunk <= ready || ready == total); done += kChunk)
      f(done, std::min(done + kChunk, total));
  }
};

// Asks for numbers that are to be read some thousand cycles from now.
template <class T>
inline void prefetch(const T* p, long count) {
  for (long i = 0; i < count; i += 64 / sizeof(T)) __builtin_prefetch(p + i, 0, 2);
}

// Where the part of `total` begins that falls to a thread. Who sums over a batch goes through the shares of all threads
// in an OpenMP loop: the team may be smaller than was asked for.
inline long share(long total, long thread, long threads) { return total * thread / threads; }

// Numbers that begin on a cache line: a vector of lanes that lies across two lines is loaded twice.
template <class T>
struct Lines {
  using value_type = T;
  static constexpr std::align_val_t kLine{64};
  Lines() = default;
  template <class U>
  Lines(const Lines<U>&) {}
  T* allocate(size_t count) { return static_cast<T*>(::operator new(count * sizeof(T), kLine)); }
  void deallocate(T* at, size_t) { ::operator delete(at, kLine); }
  template <class U>
  bool operator==(const Lines<U>&) const { return true; }
  template <class U>
  bool operator!=(const Lines<U>&) const { return false; }
};

template <class T>
using Numbers = std::vector<T, Lines<T>>;

// A thread's own scratch memory, kept from call to call.
template <class T>
T* scratch(int slot, size_t count) {
  thread_local Numbers<T> slots[8];
  if (slots[slot].size() < count) slots[slot].resize(count);
  return slots[slot].data();
}

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
  add_to<T, L>(sums, (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]));
}

}  // namespace
