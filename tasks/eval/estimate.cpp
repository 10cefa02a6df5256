#include "tasks/eval/estimate.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include "base/check.h"
#include "base/rng.h"

namespace seedbed::tasks::eval {
namespace {

constexpr double kZ = 1.959963984540054;

struct Sums {
  double value = 0;
  std::int64_t count = 0;
};

// Sums by cluster, in the order of the clusters' numbers: the draws do not depend on the order of
// the points.
std::vector<Sums> by_cluster(const std::vector<Point>& points) {
  std::map<std::int64_t, std::vector<double>> values;
  for (const auto& p : points) values[p.cluster].push_back(p.value);
  std::vector<Sums> out;
  for (auto& [cluster, list] : values) {
    std::sort(list.begin(), list.end());  // so that rounding is the same in any order
    Sums sums;
    for (const double v : list) sums.value += v;
    sums.count = static_cast<std::int64_t>(list.size());
    out.push_back(sums);
  }
  return out;
}

double mean_of(const std::vector<Sums>& clusters) {
  Sums all;
  for (const auto& c : clusters) {
    all.value += c.value;
    all.count += c.count;
  }
  return all.value / static_cast<double>(all.count);
}

std::array<double, 2> drawn(const std::vector<Sums>& clusters) {
  std::vector<double> means;
  means.reserve(kDraws);
  for (int draw = 0; draw < kDraws; ++draw) {
    Rng rng = rng_for(clusters.size(), "eval", static_cast<std::uint64_t>(draw), "bootstrap");
    Sums all;
    for (std::size_t i = 0; i < clusters.size(); ++i) {
      const auto& c = clusters[static_cast<std::size_t>(rng.below(clusters.size()))];
      all.value += c.value;
      all.count += c.count;
    }
    means.push_back(all.value / static_cast<double>(all.count));
  }
  std::sort(means.begin(), means.end());
  return {means[kDraws * 25 / 1000], means[kDraws * 975 / 1000 - 1]};
}

bool all_alike(const std::vector<Point>& points) {
  return std::all_of(points.begin(), points.end(),
                     [&](const Point& p) { return p.value == points.front().value; });
}

Estimate share_estimate(const std::vector<Tries>& tasks,
                        const std::function<double(const Tries&)>& share) {
  std::vector<Point> points;
  points.reserve(tasks.size());
  bool single = true;
  for (const auto& t : tasks) {
    points.push_back({share(t), t.cluster});
    single = single && t.n == 1;
  }
  if (points.empty()) return {};
  const auto clusters = by_cluster(points);
  Estimate out{.value = mean_of(clusters)};
  const auto count = static_cast<std::int64_t>(clusters.size());
  const auto take = [&](const std::array<double, 2>& ends, IntervalKind kind) {
    out.low = ends[0];
    out.high = ends[1];
    out.kind = kind;
  };
  if (single && clusters.size() == points.size())
    take(wilson(out.value, static_cast<double>(count)), IntervalKind::wilson);
  else if (count < kLeastClusters || all_alike(points))
    take(wilson(out.value, static_cast<double>(count)), IntervalKind::environments);
  else
    take(drawn(clusters), IntervalKind::bootstrap);
  return out;
}

}  // namespace

double pass_at(std::int64_t n, std::int64_t c, std::int64_t k) {
  SEEDBED_CHECK(k >= 1 && k <= n && c >= 0 && c <= n, n, c, k);
  double none = 1;
  for (std::int64_t i = 0; i < k; ++i)  // C(n-c,k)/C(n,k), factor by factor
    none *= std::max(0.0, static_cast<double>(n - c - i)) / static_cast<double>(n - i);
  return 1 - none;
}

double pass_all(std::int64_t n, std::int64_t c, std::int64_t k) {
  SEEDBED_CHECK(k >= 1 && k <= n && c >= 0 && c <= n, n, c, k);
  double all = 1;
  for (std::int64_t i = 0; i < k; ++i)
    all *= std::max(0.0, static_cast<double>(c - i)) / static_cast<double>(n - i);
  return all;
}

std::array<double, 2> wilson(double share, double n) {
  if (n <= 0) return {0, 1};
  const double z2 = kZ * kZ;
  const double middle = (share + z2 / (2 * n)) / (1 + z2 / n);
  const double half = kZ * std::sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n);
  return {share <= 0 ? 0.0 : std::max(0.0, middle - half),  // exact there, whatever was rounded
          share >= 1 ? 1.0 : std::min(1.0, middle + half)};
}

Estimate pass_at_estimate(const std::vector<Tries>& tasks, std::int64_t k) {
  return share_estimate(tasks, [k](const Tries& t) { return pass_at(t.n, t.c, k); });
}
Estimate pass_all_estimate(const std::vector<Tries>& tasks, std::int64_t k) {
  return share_estimate(tasks, [k](const Tries& t) { return pass_all(t.n, t.c, k); });
}

Estimate mean_estimate(const std::vector<Point>& points) {
  if (points.empty()) return {};
  const auto clusters = by_cluster(points);
  Estimate out{.value = mean_of(clusters)};
  const auto count = static_cast<std::int64_t>(clusters.size());
  if (count < kLeastClusters || all_alike(points)) {
    const double half =
        count < kLeastClusters ? 2 : wilson(0, static_cast<double>(count))[1];  // the share unseen
    out.low = std::max(-1.0, out.value - half);
    out.high = std::min(1.0, out.value + half);
    out.kind = IntervalKind::environments;
    return out;
  }
  const auto ends = drawn(clusters);
  out.low = ends[0];
  out.high = ends[1];
  out.kind = IntervalKind::bootstrap;
  return out;
}

}  // namespace seedbed::tasks::eval
