// Rates over tasks that were tried several times, with intervals that respect that tasks of one
// environment pass or fail together.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace seedbed::tasks::eval {

// One task: n tries, c of them right. `cluster` numbers its environment.
struct Tries {
  std::int64_t n = 0, c = 0;
  std::int64_t cluster = 0;
};

// Chance that at least one of k tries is right, without bias from n >= k tries: 1 -
// C(n-c,k)/C(n,k).
double pass_at(std::int64_t n, std::int64_t c, std::int64_t k);
// Chance that all of k are: C(c,k)/C(n,k).
double pass_all(std::int64_t n, std::int64_t c, std::int64_t k);

// bootstrap: 2.5 and 97.5 percentiles of 2,000 draws of whole environments; wilson: one task an
// environment and one try, so that tries are independent; environments: too few environments to
// draw from, or all tasks alike, so that drawing says nothing: Wilson with an environment as one
// try, which is wide. none: no task.
enum class IntervalKind : std::uint8_t { none, bootstrap, wilson, environments };
constexpr std::array<std::string_view, 4> enum_names(IntervalKind) {
  return {"none", "bootstrap", "wilson", "environments"};
}
constexpr std::string_view name_of(IntervalKind kind) {
  return enum_names(kind)[static_cast<std::size_t>(kind)];
}

struct Estimate {
  double value = 0, low = 0, high = 0;  // 95 %
  IntervalKind kind = IntervalKind::none;
  friend bool operator==(const Estimate&, const Estimate&) = default;
};

inline constexpr int kDraws = 2'000;
inline constexpr std::int64_t kLeastClusters = 10;  // to draw from

Estimate pass_at_estimate(const std::vector<Tries>& tasks, std::int64_t k);
Estimate pass_all_estimate(const std::vector<Tries>& tasks, std::int64_t k);

// A mean of values in [-1, 1] with the cluster each belongs to, drawn as above. With too few
// clusters the interval is [-1, 1]; where all values are alike it reaches as far as Wilson's for
// none of so many environments. None where there is no value.
struct Point {
  double value = 0;
  std::int64_t cluster = 0;
};
Estimate mean_estimate(const std::vector<Point>& points);

// Wilson's interval at 95 % for a share of n.
std::array<double, 2> wilson(double share, double n);

}  // namespace seedbed::tasks::eval
