// Which tasks `gen` is to keep: shares of kinds and of levels, from a file (`--mix FILE`), and one
// range of levels (`--level A-B`).
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "schemas/reflect.h"

namespace seedbed::schemas {

struct KindShare {
  std::string kind;
  int share = 0;
};
template <class V>
void fields(V&& at, KindShare& x) {
  at("kind", x.kind, "kind of goal");
  at("share", x.share, "its part of all shares, 0 to 1000000");
}
struct LevelShare {
  int from = 1, to = 10;  // both included
  int share = 0;
};
template <class V>
void fields(V&& at, LevelShare& x) {
  at("from", x.from, "lowest level");
  at("to", x.to, "highest level");
  at("share", x.share, "its part of all shares, 0 to 1000000");
}
// What a list does not name is not wanted; a list that is absent allows all.
struct Mix {
  std::optional<std::vector<KindShare>> kinds;
  std::optional<std::vector<LevelShare>> levels;
};
template <class V>
void fields(V&& at, Mix& x) {
  at("kinds", x.kinds, "shares of the kinds of goals");
  at("levels", x.levels, "shares of ranges of levels; the ranges must not overlap");
}

// Error{usage} saying what is wrong: a share out of range or no share at all, a kind named twice,
// ranges that overlap or lie outside 1 to 10. `where` names the file.
Step check_mix(const Mix& mix, const std::string& where);
Result<Mix> read_mix(const std::string& path);
// "3-6" or "4" as (3, 6) or (4, 4), of one or two digits each; -1 for what is no such number.
std::pair<int, int> range_of(std::string_view text);
// "3-6" or "4": the mix that allows only those levels. Error{usage} for anything else.
Result<Mix> mix_of_levels(std::string_view text);

struct Kept {  // a task that an environment has so far
  std::string kind;
  int level = 0;
};
// Whether one more task is wanted in an environment that is to have `quota` tasks: its kind and its
// range of levels have not reached their shares of the quota, rounded up. Where `strict` is false
// (an environment that cannot fill its shares) every kind and level with a share is wanted. A
// function of its arguments alone; the mix has passed check_mix.
bool wanted(const Mix& mix,
            const std::vector<Kept>& kept,
            std::int64_t quota,
            std::string_view kind,
            int level,
            bool strict = true);

}  // namespace seedbed::schemas
