// Submissions made for the conditions of a choice.
#include <algorithm>
#include <set>

#include "tasks/battery.h"
#include "tasks/judge_match.h"
#include "tasks/normal.h"

namespace seedbed::tasks {
namespace {

using schemas::Scalar;
using schemas::Stop;
using schemas::Value;

constexpr std::size_t kChoices = 800;  // submissions tried for a choice

}  // namespace

std::uint64_t Battery::choose_mask() const {
  std::uint64_t out = 0;
  for (int i = bits_.choose; i < bits_.post; ++i)
    out |= std::uint64_t{1} << static_cast<unsigned>(i);
  return out;
}

Result<std::uint64_t> Battery::choices_now(const Value& submitted) {
  std::uint64_t out = 0;
  for (std::size_t i = 0; i < verifier_.choose.size(); ++i) {
    const auto held = judge().holds(verifier_.choose[i].sql, "choose", submitted);
    if (!held.ok() || !*held)
      out |= std::uint64_t{1} << static_cast<unsigned>(bits_.choose + static_cast<int>(i));
  }
  return out;
}

Result<std::uint64_t> Battery::failing_choices(const JudgedPlay& play) {
  if (play.stop != Stop::answered || !play.submitted.is_object()) return choose_mask();
  return after_gold([&] { return choices_now(play.submitted); });
}

Step Battery::choices() {
  if (verifier_.choose.empty() || none_left("choose:")) return std::nullopt;
  const auto lists = choice_values();
  std::size_t all = lists.empty() ? 0 : 1;
  for (const auto& [name, values] : lists) all *= values.size();
  all_choices_ = all > 0 && all <= kChoices;
  std::vector<Value> wanted;
  auto found = after_gold([&]() -> Result<int> {
    std::set<std::uint64_t> seen;
    for (std::size_t n = 0; n < std::min(all, kChoices); ++n) {
      std::size_t code = all <= kChoices ? n : n * (all / kChoices) + n % (all / kChoices);
      Value args = c_.gold.submitted;
      for (const auto& [name, values] : lists) {
        args.set(name, values[code % values.size()]);
        code /= values.size();
      }
      ++choices_tried_;
      SEEDBED_TRY(const std::uint64_t fails, choices_now(args));
      if ((fails & (fails - 1)) != 0) continue;  // more than one
      const bool near = fails != 0 && is_near(fails, args);
      if (near || seen.insert(fails).second) wanted.push_back(std::move(args));
    }
    return 0;
  });
  if (!found.ok()) return found.error();
  for (auto& args : wanted)
    if (auto e = add_submission(Stop::answered, std::move(args))) return e;
  return decide();
}

bool Battery::is_near(std::uint64_t fails, const Value& args) {
  for (auto& m : mutants.made) {
    if (m.kind != Mutant::Kind::widen || m.part != fails || m.killed) continue;
    const auto held = judge().holds(m.sql, "choose", args);
    if (!held.ok() || !*held) continue;
    return true;
  }
  return false;
}

std::vector<std::pair<std::string, std::vector<Value>>> Battery::choice_values() const {
  std::vector<std::pair<std::string, std::vector<Value>>> out;
  for (const auto& [name, value] : c_.gold.submitted.members()) {
    const auto bound = [&](const schemas::Condition& x) {
      return x.sql.find(":" + name) != std::string::npos;
    };
    if (std::none_of(verifier_.choose.begin(), verifier_.choose.end(), bound)) continue;
    const FactColumn* best = nullptr;  // the keys among which the value stands
    for (const auto& column : c_.kit.judge->columns())
      if (column.attribute.empty() && best == nullptr &&
          std::any_of(column.values.begin(), column.values.end(),
                      [&](const Scalar& s) { return same_value(s, value); }))
        best = &column;
    if (best == nullptr) continue;
    out.emplace_back(name, std::vector<Value>());
    for (const auto& s : best->values) out.back().second.push_back(value_of(s));
  }
  return out;
}

}  // namespace seedbed::tasks
