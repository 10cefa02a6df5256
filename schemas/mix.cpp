#include "schemas/mix.h"

#include <algorithm>
#include <set>

namespace seedbed::schemas {
namespace {

constexpr int kMaxShare = 1'000'000, kTopLevel = 10;
constexpr std::size_t kMaxRows = 256, kMaxBytes = 1U << 20;

Error wrong(const std::string& where,
            const std::string& at,
            const std::string& found,
            std::string_view todo) {
  return make_error(Where::usage, "mix '" + where + "'", at, found, todo);
}

template <class T>
Step check_shares(const std::vector<T>& rows, const std::string& where, const std::string& list) {
  std::int64_t sum = 0;
  if (rows.size() > kMaxRows)
    return wrong(where, list, "found " + std::to_string(rows.size()) + " rows, wanted at most 256",
                 "join some");
  for (const auto& row : rows) {
    if (row.share < 0 || row.share > kMaxShare)
      return wrong(where, list,
                   "found the share " + std::to_string(row.share) + ", wanted 0 to 1000000",
                   "correct it");
    sum += row.share;
  }
  if (sum == 0) return wrong(where, list, "all shares are 0", "give one of them a share");
  return std::nullopt;
}

// The part of the quota, rounded up.
template <class T>
std::int64_t part(const std::vector<T>& rows, const T& row, std::int64_t quota) {
  std::int64_t sum = 0;
  for (const auto& r : rows) sum += r.share;
  return (quota * row.share + sum - 1) / sum;
}

bool holds(const LevelShare& row, int level) {
  return level >= row.from && level <= row.to;
}

}  // namespace

Step check_mix(const Mix& mix, const std::string& where) {
  if (mix.kinds) {
    if (auto e = check_shares(*mix.kinds, where, "kinds")) return e;
    std::set<std::string> seen;
    for (const auto& row : *mix.kinds)
      if (row.kind.empty() || !seen.insert(row.kind).second)
        return wrong(where, "kinds", "found '" + row.kind + "' without a name or twice",
                     "name each kind once");
  }
  if (!mix.levels) return std::nullopt;
  if (auto e = check_shares(*mix.levels, where, "levels")) return e;
  std::set<int> seen;
  for (const auto& row : *mix.levels) {
    const std::string range = std::to_string(row.from) + " to " + std::to_string(row.to);
    if (row.from < 1 || row.to > kTopLevel || row.from > row.to)
      return wrong(where, "levels", "found " + range + ", wanted a range within 1 to 10",
                   "correct it");
    for (int level = row.from; level <= row.to; ++level)
      if (!seen.insert(level).second)
        return wrong(where, "levels", "found level " + std::to_string(level) + " in two ranges",
                     "let the ranges not overlap");
  }
  return std::nullopt;
}

Result<Mix> read_mix(const std::string& path) {
  SEEDBED_TRY(const Value value, read_json_file(path, kMaxBytes));
  SEEDBED_TRY(Mix mix, read_record<Mix>(value, path));
  if (auto e = check_mix(mix, path)) return *std::move(e);
  return mix;
}

std::pair<int, int> range_of(std::string_view text) {
  const auto number = [](std::string_view digits) {
    int n = digits.empty() || digits.size() > 2 ? -1 : 0;
    for (const char c : digits) n = n < 0 || c < '0' || c > '9' ? -1 : n * 10 + (c - '0');
    return n;
  };
  const auto dash = text.find('-');
  const int first = number(text.substr(0, dash));
  return {first, dash == std::string_view::npos ? first : number(text.substr(dash + 1))};
}

Result<Mix> mix_of_levels(std::string_view text) {
  const auto [from, to] = range_of(text);
  const LevelShare row{from, to, 1};
  if (row.from < 1 || row.to > kTopLevel || row.from > row.to)
    return make_error(Where::usage, "levels", text.substr(0, 40),
                      "wanted A-B or A with 1 <= A <= B <= 10", "for instance 3-6");
  Mix mix;
  mix.levels = std::vector<LevelShare>{row};
  return mix;
}

bool wanted(const Mix& mix,
            const std::vector<Kept>& kept,
            std::int64_t quota,
            std::string_view kind,
            int level,
            bool strict) {
  if (mix.kinds) {
    const auto row = std::find_if(mix.kinds->begin(), mix.kinds->end(),
                                  [&](const KindShare& r) { return r.kind == kind; });
    if (row == mix.kinds->end() || row->share == 0) return false;
    const auto have =
        std::count_if(kept.begin(), kept.end(), [&](const Kept& k) { return k.kind == kind; });
    if (strict && have >= part(*mix.kinds, *row, quota)) return false;
  }
  if (mix.levels) {
    const auto row = std::find_if(mix.levels->begin(), mix.levels->end(),
                                  [&](const LevelShare& r) { return holds(r, level); });
    if (row == mix.levels->end() || row->share == 0) return false;
    const auto have = std::count_if(kept.begin(), kept.end(),
                                    [&](const Kept& k) { return holds(*row, k.level); });
    if (strict && have >= part(*mix.levels, *row, quota)) return false;
  }
  return true;
}

}  // namespace seedbed::schemas
