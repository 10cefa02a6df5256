// What is known of an environment around a server before its tasks: random callers, and that
// nothing of them is left after a reset.
#include <map>
#include <set>

#include "tasks/gates.h"
#include "tasks/normal.h"

namespace seedbed::tasks {
namespace {

constexpr int kServerWalks = 3;
constexpr std::size_t kServerWalkCalls = 16;
// Distinct values that a caller would have to guess among: what a server knows is without bound.
constexpr std::int64_t kUnknown = 1'000;

}  // namespace

std::vector<schemas::Value> shown_instead(const Case& c,
                                          const std::string& name,
                                          const schemas::Value& value,
                                          std::size_t most) {
  Draw gold;
  for (const auto& result : c.first.results) gold.learn(result);
  const schemas::Value text = schemas::Value::object().set("type", "string");
  const std::string taken = normal_text(value.as_string());
  Rng rng = rng_for(c.kit.seed, c.kit.id, static_cast<std::uint64_t>(c.draft.task.number), name);
  std::vector<schemas::Value> out;
  std::set<std::string> seen = {taken};
  for (int n = 0; n < 32 && out.size() < most; ++n) {
    schemas::Value other = (n % 2 == 0 ? gold : c.kit.draw).value(text, name, rng);
    if (other.is_string() && seen.insert(normal_text(other.as_string())).second)
      out.push_back(std::move(other));
  }
  return out;
}

bool same_rows_after(const std::vector<schemas::RowChange>& a,
                     const std::vector<schemas::RowChange>& b) {
  using Rows = std::map<schemas::Scalar,
                        std::pair<std::vector<schemas::Scalar>, std::vector<schemas::Scalar>>>;
  const auto after = [](const std::vector<schemas::RowChange>& changes) {
    Rows out;  // by path: as it was first, as it is last
    for (const auto& change : changes) {
      const auto& row = change.after.empty() ? change.before : change.after;
      if (row.empty()) continue;
      const auto [at, fresh] = out.try_emplace(row.front(), change.before, change.after);
      if (!fresh) at->second.second = change.after;
    }
    std::erase_if(out, [](const auto& row) { return row.second.first == row.second.second; });
    return out;
  };
  return after(a) == after(b);
}

// Each walk knows what the ones before have shown. How a call ends is the server's own affair.
Result<std::optional<Rejected>> check_server(Kit& kit) {
  using Refused = std::optional<Rejected>;
  kit.integers = kit.texts = kUnknown;
  Rng rng = rng_for(kit.seed, kit.id, 0, "admit environment");
  for (int w = 0; w < kServerWalks; ++w) {
    std::vector<schemas::ToolCall> calls;
    for (std::size_t n = 0; n < kServerWalkCalls; ++n)
      if (auto call = kit.random_call(rng.pick(kit.env.tools), kit.draw, rng))
        calls.push_back(*std::move(call));
    if (calls.empty())
      return Refused(Rejected{"build", "no schema-valid call of any tool was found"});
    SEEDBED_TRY(auto played, kit.player.play({calls}));
    if (played.size() != 1 || played[0].results.size() != calls.size())
      return make_error(Where::sandbox, "play", "admission",
                        "found another number of results than of calls", "replace the host");
    for (const auto& result : played[0].results) kit.draw.learn(result);
    kit.walks.push_back(
        {.calls = std::move(calls), .played = std::move(played[0]), .seen = kit.draw});
  }
  SEEDBED_TRY(const std::string digest, kit.player.digest());
  if (digest != kit.image_hash)
    return Refused(Rejected{"G17", "after the walks the files' state is " + digest +
                                       ", the image is " + kit.image_hash});
  return Refused();
}

}  // namespace seedbed::tasks
