// The steps of sampling around the loops over the vocabulary. The vocabulary is never sorted:
// candidates are bounded first (top-k by the maxima of groups of ids, top-p by the least weight
// that could matter), and the boundary among them is found by partitioning.
#include "kernels/sample_rules.h"

#include <algorithm>
#include <functional>
#include <limits>

#include "kernels/pool.h"

namespace seedbed::kernels {
namespace {

constexpr double kMinusInf = -std::numeric_limits<double>::infinity();

struct Candidate {
  double z;
  std::uint64_t weight;
  std::int32_t id;
};
bool higher(const Candidate& a, const Candidate& b) {
  return a.z != b.z ? a.z > b.z : a.id < b.id;
}
bool heavier(const Candidate& a, const Candidate& b) {
  return a.weight != b.weight ? a.weight > b.weight : a.id < b.id;
}

// What one row's steps share. Memory is this thread's scratch.
struct Row {
  const SampleParams& p;
  const SampleRow& row;
  std::int64_t at;
  const float* logits;
  const double* adjusted = nullptr;  // null: the logits themselves
  double highest = 0, inverse = 1;
  std::uint64_t* weight = nullptr;
  std::uint64_t* tile_weight = nullptr;
  std::uint64_t total = 0, surprise = 0;
  bool masked = false;
  Candidate* kept = nullptr;
  int kept_count = -1;  // -1: nothing was cut off

  [[nodiscard]] double z(int id) const {
    return adjusted == nullptr ? static_cast<double>(logits[id]) : adjusted[id];
  }
};

void write_nothing(const SampleParams& p, std::int64_t i) {
  p.id[i] = -1;
  p.logprob[i] = p.raw_logprob[i] = 0;
  if (p.entropy != nullptr) p.entropy[i] = 0;
  if (p.kept_count != nullptr) p.kept_count[i] = 0;
  for (int k = 0; k < p.top; ++k) {
    p.top_ids[i * p.top + k] = -1;
    p.top_logprobs[i * p.top + k] = 0;
  }
}

bool is_allowed(const std::uint32_t* bits, int id) {
  return (bits[id / 32] >> (id % 32) & 1U) != 0;
}

// Mask, bias and penalties, where the row has any.
void adjust(Row& r) {
  const SampleParams& p = r.p;
  const auto span = [&](const std::int32_t* offsets) {
    return offsets == nullptr ? 0 : offsets[r.at + 1] - offsets[r.at];
  };
  const bool penalties = r.row.repetition_penalty != 1.0 || r.row.presence_penalty != 0.0 ||
                         r.row.frequency_penalty != 0.0;
  const int biased = span(p.bias_offsets), seen = penalties ? span(p.seen_offsets) : 0;
  if (p.allowed == nullptr && biased == 0 && seen == 0) return;
  auto* z = static_cast<double*>(scratch(1, static_cast<std::size_t>(p.vocab) * sizeof(double)));
  for (int id = 0; id < p.vocab; ++id) z[id] = static_cast<double>(r.logits[id]);
  for (int k = 0; k < biased; ++k) {
    const std::int32_t id = p.bias_ids[p.bias_offsets[r.at] + k];
    KERNEL_CHECK(id >= 0 && id < p.vocab, id, p.vocab);
    const float bias = p.bias[p.bias_offsets[r.at] + k];
    KERNEL_CHECK(bias < std::numeric_limits<float>::infinity(), id, k);
    z[id] += static_cast<double>(bias);
  }
  for (int k = 0; k < seen; ++k) {
    const std::int32_t id = p.seen_ids[p.seen_offsets[r.at] + k];
    KERNEL_CHECK(id >= 0 && id < p.vocab, id, p.vocab);
    z[id] = penalised(z[id], r.row, p.seen_outputs[p.seen_offsets[r.at] + k]);
  }
  if (p.allowed != nullptr) {
    const std::uint32_t* bits = p.allowed + r.at * ((p.vocab + 31) / 32);
    for (int id = 0; id < p.vocab; ++id) {
      if (is_allowed(bits, id)) continue;
      z[id] = kMinusInf;
      r.masked = true;
    }
  }
  r.adjusted = z;
}

// A bound that at least `count` ids reach: the count-th highest of the maxima of groups of ids.
template <class Z>
double reached_by(const Z* z, int vocab, int count, double* maxima) {
  int group = 64;
  while (group > 1 && vocab / group < 2 * count) group /= 2;
  if (group == 1) return kMinusInf;
  const int groups = vocab / group;  // ids beyond the last whole group raise nothing
  for (int g = 0; g < groups; ++g) {
    Z best = z[g * group];
    for (int i = 1; i < group; ++i) best = std::max(best, z[g * group + i]);
    maxima[g] = static_cast<double>(best);
  }
  std::nth_element(maxima, maxima + (count - 1), maxima + groups, std::greater<>());
  return maxima[count - 1];
}

// The `count` first ids by `higher`, in no order; fewer where fewer can be drawn.
int highest_ids(const float* logits, const double* adjusted, int vocab, int count, Candidate* out) {
  auto* maxima = static_cast<double*>(scratch(2, static_cast<std::size_t>(vocab) * sizeof(double)));
  const double bound = adjusted == nullptr ? reached_by(logits, vocab, count, maxima)
                                           : reached_by(adjusted, vocab, count, maxima);
  int n = 0;
  for (int id = 0; id < vocab; ++id) {
    const double z = adjusted == nullptr ? static_cast<double>(logits[id]) : adjusted[id];
    if (z >= bound && z > kMinusInf) out[n++] = {z, 0, id};
  }
  if (n > count) std::nth_element(out, out + (count - 1), out + n, higher);
  return std::min(n, count);
}

std::uint64_t sum_of(const Candidate* c, int n) {
  std::uint64_t sum = 0;
  for (int i = 0; i < n; ++i) sum += c[i].weight;
  return sum;
}

// The shortest prefix by `heavier` whose weight reaches `target`; what it holds comes first.
int heaviest(Candidate* c, int n, std::uint64_t target) {
  int lo = 0, hi = n;
  std::uint64_t need = target;
  for (int round = 0; hi - lo > 48 && round < 64; ++round) {
    const int third = (hi - lo) / 3;
    Candidate a = c[lo + third / 2], b = c[lo + third + third / 2], d = c[hi - 1 - third / 2];
    if (heavier(b, a)) std::swap(a, b);
    if (heavier(d, b)) b = heavier(d, a) ? a : d;
    const Candidate pivot = b;
    Candidate* const middle =
        std::partition(c + lo, c + hi, [&](const Candidate& x) { return heavier(x, pivot); });
    const int mid = static_cast<int>(middle - c);  // the pivot is somewhere in [mid, hi)
    const std::uint64_t left = sum_of(c + lo, mid - lo);
    if (left >= need) {
      hi = mid;
      continue;
    }
    std::swap(*middle,
              *std::find_if(middle, c + hi, [&](const Candidate& x) { return x.id == pivot.id; }));
    need -= left;
    if (pivot.weight >= need) return mid + 1;
    need -= pivot.weight;
    lo = mid + 1;
  }
  std::sort(c + lo, c + hi, heavier);
  for (; lo < hi; ++lo) {
    if (c[lo].weight >= need) return lo + 1;
    need -= c[lo].weight;
  }
  return hi;
}

// Ids of the whole vocabulary that the prefix of `target` can hold: those lighter than the rest's
// share each are, all together, less than the rest.
std::uint64_t least_heavy(const Row& r, std::uint64_t target) {
  return std::max<std::uint64_t>(1, (r.total - target) / static_cast<std::uint64_t>(r.p.vocab));
}
int ids_between(const Row& r, std::uint64_t low, std::uint64_t high, Candidate* out) {
  int n = 0;
  for (int id = 0; id < r.p.vocab; ++id)
    if (r.weight[id] - low < high - low) out[n++] = {0, r.weight[id], id};
  return n;
}

// Weights by size, 32 classes to each power of two.
constexpr int kClasses = 46 * 32;
int class_of(std::uint64_t weight) {
  const int width = std::bit_width(weight | 1);
  return width * 32 + static_cast<int>(weight << (64 - width) >> 58 & 31);
}
std::uint64_t class_begin(int c) {
  return (std::uint64_t{32} + static_cast<unsigned>(c % 32)) << (c / 32) >> 6;
}

// The prefix of `target` by ascending id, where it is long: whole classes first, from the heaviest
// on; only the ids of the class in which it ends are compared with each other.
int long_prefix(const Row& r, std::uint64_t target, Candidate* out) {
  constexpr int kAtOnce = 2;  // neighbours often fall into one class: their sums would wait
  auto* sums = static_cast<std::uint64_t*>(scratch(2, kAtOnce * kClasses * sizeof(std::uint64_t)));
  std::fill(sums, sums + kAtOnce * kClasses, 0);
  int id = 0;
  for (; id + kAtOnce <= r.p.vocab; id += kAtOnce)
    for (int k = 0; k < kAtOnce; ++k)
      sums[k * kClasses + class_of(r.weight[id + k])] += r.weight[id + k];
  for (; id < r.p.vocab; ++id) sums[class_of(r.weight[id])] += r.weight[id];
  int c = kClasses - 1;
  std::uint64_t need = target;
  for (;; --c) {
    const std::uint64_t here = sums[c] + sums[kClasses + c];
    if (here >= need) break;
    need -= here;
  }
  const std::uint64_t low = class_begin(c), high = std::max(class_begin(c + 1), low + 1);
  int n = ids_between(r, low, high, out);
  n = heaviest(out, n, need);
  const Candidate last = *std::max_element(out, out + n, heavier);
  n = 0;
  for (id = 0; id < r.p.vocab; ++id) {
    const std::uint64_t weight = r.weight[id];
    out[n] = {0, weight, id};
    n += weight > last.weight || (weight == last.weight && id <= last.id) ? 1 : 0;
  }
  return n;
}

int prefix_of_all(const Row& r, std::uint64_t target, Candidate* out) {
  constexpr int kLong = 512;
  const std::uint64_t least = least_heavy(r, target);
  int heavy = 0;
  for (int id = 0; id < r.p.vocab; ++id) heavy += r.weight[id] >= least ? 1 : 0;
  if (heavy >= kLong) return long_prefix(r, target, out);
  return heaviest(out, ids_between(r, least, UINT64_MAX, out), target);
}

// top-k, top-p, min-p; leaves kept_count at -1 where none of them and no mask is at work.
void cut(Row& r) {
  const SampleRow& row = r.row;
  const int vocab = r.p.vocab;
  const bool by_count = row.top_k > 0 && row.top_k < vocab;
  if (!by_count && row.top_p >= 1.0 && row.min_p <= 0.0 && !r.masked) return;
  auto* c =
      static_cast<Candidate*>(scratch(3, static_cast<std::size_t>(vocab + 1) * sizeof(Candidate)));
  int n = 0;
  std::uint64_t total = r.total;
  bool whole = !by_count;
  if (by_count) {
    n = highest_ids(r.logits, r.adjusted, vocab, row.top_k, c);
    for (int i = 0; i < n; ++i) c[i].weight = r.weight[c[i].id];
    total = sum_of(c, n);
  }
  if (row.top_p < 1.0) {
    const std::uint64_t target = top_p_target(row.top_p, total);
    n = whole ? prefix_of_all(r, target, c) : heaviest(c, n, target);
    whole = false;
  }
  if (whole)
    for (int id = 0; id < vocab; ++id)
      if (r.z(id) > kMinusInf) c[n++] = {0, r.weight[id], id};
  if (row.min_p > 0.0) {
    const std::uint64_t least = min_p_weight(row.min_p);
    n = static_cast<int>(
        std::remove_if(c, c + n, [&](const Candidate& x) { return x.weight < least; }) - c);
  }
  r.kept = c;
  r.kept_count = n;
}

// Ascending ids: few are sorted, many are marked and read back.
void order_kept(Row& r) {
  const auto by_id = [](const Candidate& a, const Candidate& b) { return a.id < b.id; };
  Candidate* c = r.kept;
  const int n = r.kept_count;
  if (std::is_sorted(c, c + n, by_id)) return;
  if (n < 1024) {
    std::sort(c, c + n, by_id);
    return;
  }
  const std::size_t words = static_cast<std::size_t>((r.p.vocab + 63) / 64);
  auto* bits = static_cast<std::uint64_t*>(scratch(2, words * sizeof(std::uint64_t)));
  std::fill(bits, bits + words, 0);
  for (int i = 0; i < n; ++i) bits[c[i].id / 64] |= std::uint64_t{1} << (c[i].id % 64);
  int at = 0;
  for (std::size_t w = 0; w < words; ++w)
    for (std::uint64_t left = bits[w]; left != 0; left &= left - 1) {
      const int id = static_cast<int>(w * 64) + std::countr_zero(left);
      c[at++] = {0, r.weight[id], id};
    }
}

// The id at which the running sum of weights in ascending id first exceeds `draw`.
int drawn_from_all(const Row& r, std::uint64_t draw) {
  int tile = 0;
  while (draw >= r.tile_weight[tile]) draw -= r.tile_weight[tile++];
  int id = tile * kWeighTile;
  while (draw >= r.weight[id]) draw -= r.weight[id++];
  return id;
}

void write_kept(const Row& r, const std::int32_t* ids, int n) {
  const SampleParams& p = r.p;
  if (p.kept_count != nullptr) p.kept_count[r.at] = n;
  if (p.kept_ids == nullptr) return;
  std::copy(ids, ids + std::min(n, p.kept_capacity), p.kept_ids + r.at * p.kept_capacity);
}

void take_highest(Row& r) {
  int best = 0;
  for (int id = 1; id < r.p.vocab; ++id)
    if (r.z(id) > r.z(best)) best = id;
  r.p.id[r.at] = best;
  r.p.logprob[r.at] = 0;
  if (r.p.entropy != nullptr) r.p.entropy[r.at] = 0;
  const std::int32_t only = best;
  write_kept(r, &only, 1);
}

void draw(Row& r) {
  const SampleParams& p = r.p;
  cut(r);
  std::uint64_t total = r.total, surprise = r.surprise;
  const std::uint64_t bits = sample_bits(r.row);
  int id = 0;
  if (r.kept_count < 0) {
    id = drawn_from_all(r, scaled_draw(bits, total));
    if (p.kept_count != nullptr) p.kept_count[r.at] = -1;
  } else {
    order_kept(r);
    total = sum_of(r.kept, r.kept_count);
    std::uint64_t left = scaled_draw(bits, total);
    int k = 0;
    while (left >= r.kept[k].weight) left -= r.kept[k++].weight;
    id = r.kept[k].id;
    surprise = 0;
    if (p.entropy != nullptr)
      for (int i = 0; i < r.kept_count; ++i)
        surprise += surprise_of((r.z(r.kept[i].id) - r.highest) * r.inverse, r.kept[i].weight);
    if (p.kept_count != nullptr) p.kept_count[r.at] = r.kept_count;
    if (p.kept_ids != nullptr)
      for (int i = 0; i < std::min(r.kept_count, p.kept_capacity); ++i)
        p.kept_ids[r.at * p.kept_capacity + i] = r.kept[i].id;
  }
  const double log_total = log_weight(total);
  p.id[r.at] = id;
  p.logprob[r.at] =
      static_cast<float>(std::min(0.0, (r.z(id) - r.highest) * r.inverse - log_total));
  if (p.entropy != nullptr)
    p.entropy[r.at] =
        static_cast<float>(log_total + static_cast<double>(surprise) / static_cast<double>(total));
}

// Raw log probabilities: of the sampled id, and of the `top` highest.
void write_raw(const Row& r, double highest, std::uint64_t total) {
  const SampleParams& p = r.p;
  const double log_total = log_weight(total);
  const auto raw = [&](int id) {
    return static_cast<float>((static_cast<double>(r.logits[id]) - highest) - log_total);
  };
  p.raw_logprob[r.at] = raw(p.id[r.at]);
  if (p.top <= 0) return;
  auto* c =
      static_cast<Candidate*>(scratch(3, static_cast<std::size_t>(p.vocab) * sizeof(Candidate)));
  const int n = highest_ids(r.logits, nullptr, p.vocab, std::min(p.top, p.vocab), c);
  std::sort(c, c + n, higher);
  for (int k = 0; k < p.top; ++k) {
    p.top_ids[r.at * p.top + k] = k < n ? c[k].id : -1;
    p.top_logprobs[r.at * p.top + k] = k < n ? raw(c[k].id) : 0;
  }
}

void sample_row(const SampleParams& p, const SampleLoops& loops, std::int64_t at) {
  Row r{.p = p, .row = p.row[at], .at = at, .logits = p.logits + at * p.vocab};
  std::int32_t lowest = 0, top = 0;
  loops.range(r.logits, p.vocab, &lowest, &top);
  if (lowest < kOrderedMinusInf || top >= kOrderedInf || top == kOrderedMinusInf)
    return write_nothing(p, at);
  const auto raw_highest = static_cast<double>(from_ordered_bits(top));
  adjust(r);
  r.highest = raw_highest;
  if (r.adjusted != nullptr) {
    r.highest = *std::max_element(r.adjusted, r.adjusted + p.vocab);
    if (!(r.highest > kMinusInf) || r.highest > std::numeric_limits<double>::max())
      return write_nothing(p, at);
  }
  const std::size_t vocab = static_cast<std::size_t>(p.vocab);
  r.weight = static_cast<std::uint64_t*>(scratch(0, vocab * sizeof(std::uint64_t)));
  const int tiles = (p.vocab + kWeighTile - 1) / kWeighTile;
  r.tile_weight = static_cast<std::uint64_t*>(
      scratch(4, static_cast<std::size_t>(tiles) * sizeof(std::uint64_t)));
  const auto weigh = [&](const double* z, double highest, double inverse) {
    r.surprise = loops.weigh(r.logits, z, p.vocab, highest, inverse, r.weight, r.tile_weight);
    r.total = 0;
    for (int t = 0; t < tiles; ++t) r.total += r.tile_weight[t];
  };
  const bool greedy = r.row.temperature < kLeastTemperature;
  const bool plain = r.adjusted == nullptr && r.row.temperature == 1.0;
  if (greedy) {
    take_highest(r);
  } else {
    r.inverse = 1.0 / r.row.temperature;
    weigh(r.adjusted, r.highest, r.inverse);
    draw(r);
  }
  if (!plain) weigh(nullptr, raw_highest, 1.0);
  write_raw(r, raw_highest, r.total);
}

}  // namespace

void check_sample(const SampleParams& p) {
  KERNEL_CHECK(p.vocab >= 1 && p.vocab <= kMaxSampleVocab, p.vocab, kMaxSampleVocab);
  KERNEL_CHECK(p.rows == 0 || (p.logits != nullptr && p.row != nullptr && p.id != nullptr &&
                               p.logprob != nullptr && p.raw_logprob != nullptr),
               p.rows, p.vocab);
  for (int i = 0; i < p.rows; ++i) {
    const SampleRow& row = p.row[i];
    KERNEL_CHECK(row.temperature >= 0 && row.top_k >= 0, i, row.top_k);
    KERNEL_CHECK(row.top_p >= 0 && row.min_p >= 0 && row.min_p <= 1, i, p.rows);
    KERNEL_CHECK(row.repetition_penalty > 0, i, p.rows);
  }
}

void sample_rows(const SampleParams& p, const SampleLoops& loops) {
  check_sample(p);
  parallel_for(p.pool, p.rows, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) sample_row(p, loops, i);
  });
}

}  // namespace seedbed::kernels
