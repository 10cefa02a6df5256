#include "tasks/diversity/richness.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

namespace seedbed::tasks::diversity {
namespace {

constexpr int kPoints = 20;

// Thread-safe, where lgamma is not (it sets a global sign). Stirling's series; n >= 0.
double log_factorial(double n) {
  double shift = 0;
  double x = n + 1;
  while (x < 16) shift += std::log(x++);
  const double inverse = 1 / x;
  return (x - 0.5) * std::log(x) - x + 0.9189385332046727 +
         inverse * (1.0 / 12 - inverse * inverse * (1.0 / 360 - inverse * inverse / 1260)) - shift;
}

double log_choose(double n, double k) {
  return log_factorial(n) - log_factorial(k) - log_factorial(n - k);
}

// Hurlbert's expectation: each class is missed with probability C(N - n_i, m) / C(N, m).
double expected_distinct(const std::map<std::int64_t, std::int64_t>& sizes,
                         std::int64_t all,
                         std::int64_t drawn) {
  const auto n = static_cast<double>(all), m = static_cast<double>(drawn);
  double out = 0;
  for (const auto& [size, classes] : sizes) {
    const double left = n - static_cast<double>(size);
    const double missed = left < m ? 0 : std::exp(log_choose(left, m) - log_choose(n, m));
    out += static_cast<double>(classes) * (1 - missed);
  }
  return out;
}

std::vector<std::int64_t> sizes_of(std::vector<std::uint64_t>& classes) {
  std::sort(classes.begin(), classes.end());
  std::vector<std::int64_t> out;
  for (std::size_t i = 0, j = 0; i < classes.size(); i = j) {
    while (j < classes.size() && classes[j] == classes[i]) ++j;
    out.push_back(static_cast<std::int64_t>(j - i));
  }
  std::sort(out.begin(), out.end(), std::greater<>());
  return out;
}

}  // namespace

Richness richness_of(std::vector<std::uint64_t> classes) {
  Richness out;
  out.observations = static_cast<std::int64_t>(classes.size());
  if (classes.empty()) return out;
  const auto sizes = sizes_of(classes);
  out.distinct = static_cast<std::int64_t>(sizes.size());
  out.largest = sizes.front();
  const auto all = static_cast<double>(out.observations);
  std::map<std::int64_t, std::int64_t> by_size;
  double entropy = 0, squares = 0;
  for (const auto size : sizes) ++by_size[size];
  for (const auto& [size, count] : by_size) {
    const double share = static_cast<double>(size) / all;
    entropy -= static_cast<double>(count) * share * std::log(share);
    squares += static_cast<double>(count) * share * share;
  }
  out.hill1 = std::exp(entropy);
  out.hill2 = 1 / squares;
  std::int64_t top = 0;
  for (std::size_t i = 0; i < (sizes.size() + 99) / 100; ++i) top += sizes[i];
  out.top_share = static_cast<double>(top) / all;
  if (const auto at = by_size.find(1); at != by_size.end()) out.singletons = at->second;
  if (const auto at = by_size.find(2); at != by_size.end()) out.doubletons = at->second;
  const auto f1 = static_cast<double>(out.singletons), f2 = static_cast<double>(out.doubletons);
  out.chao1 = static_cast<double>(out.distinct) + f1 * (f1 - 1) / (2 * (f2 + 1));
  out.unseen_mass = f1 / all;
  for (int i = 1; i <= kPoints; ++i) {
    const std::int64_t drawn = out.observations * i / kPoints;
    if (drawn == 0 || (!out.curve.empty() && out.curve.back().observations == drawn)) continue;
    out.curve.push_back({drawn, drawn == out.observations
                                    ? static_cast<double>(out.distinct)
                                    : expected_distinct(by_size, out.observations, drawn)});
  }
  return out;
}

}  // namespace seedbed::tasks::diversity
