#include "envgen/general/slot.h"

#include <algorithm>
#include <set>
#include <variant>

#include "base/hash.h"
#include "envgen/from_db/from_db.h"
#include "envgen/general/goal.h"
#include "tasks/solvers/level.h"

namespace seedbed::envgen {
namespace {

constexpr std::int64_t kAttempts = 6;
constexpr int kPlayMs = 20'000;
constexpr std::int64_t kPlainPercent = 26;       // of the tasks may hang on no interaction
constexpr std::int64_t kPlainPercentOfFew = 60;  // where few tools leave few interactions
// The order in which kinds are drawn, from a place of the environment's own; one that lacks a kind
// goes on to the next.
constexpr const char* kKinds[] = {"restore",  "multi",  "refuse",    "aggregate", "if",
                                  "fallback", "talk",   "duty",      "each",      "saga",
                                  "lookup",   "refuse", "exception", "ask",       "aggregate",
                                  "multi",    "choose", "restore",   "achieve",   "refuse",
                                  "if",       "talk",   "fallback",  "each",      "multi"};

}  // namespace

std::vector<std::string> goal_kinds() {
  const std::set<std::string> kinds(std::begin(kKinds), std::end(kKinds));
  return {kinds.begin(), kinds.end()};
}

namespace {

std::uint64_t seed_number(const schemas::GenRequest& request) {
  return hash64(request.seed + "/" + request.generator);
}

// Held-out where a mechanism or the lexicon is, else where a keyed hash of the schema class falls
// under 5 %.
std::string split_of(const World& world, const Lexicon& lexicon, const std::string& schema_class) {
  return world.heldout || lexicon.heldout || hash64(schema_class, 77) % 100 < 5 ? "heldout"
                                                                                : "train";
}

struct Rejections {
  std::map<std::string, std::int64_t> counts;
  std::map<std::pair<std::string, std::string>, std::int64_t> by_mechanism;
  std::vector<std::string> mechanisms;  // of the attempt's environment, once it has one
  void add(const std::string& gate) {
    ++counts[gate];
    for (const auto& m : mechanisms) ++by_mechanism[{gate, m}];
  }
};

Result<std::vector<tasks::AdmittedTask>> admit_tasks(const Lowered& l,
                                                     tasks::Admission& admission,
                                                     Rng rng,
                                                     const schemas::GenRequest& request,
                                                     Rejections& rejections) {
  const std::int64_t wanted = request.tasks_per_env;
  std::vector<tasks::AdmittedTask> out;
  const std::int64_t target =
      wanted + std::max<std::int64_t>(2, wanted / 24);  // a surplus for selection
  const std::int64_t may_be_plain_percent =
      l.world->tools.compact ? kPlainPercentOfFew : kPlainPercent;
  const std::uint64_t start = rng.fork("first kind").below(std::size(kKinds));
  std::int64_t plain = 0;
  std::map<std::string, int> skeletons;
  std::vector<schemas::Kept> kept;
  // Operations whose outcome no call of this environment can vary: their verifiers cannot be told
  // from weaker ones (G13), and another draft would only show it again.
  std::map<int, std::pair<int, int>> by_operation;  // transition -> kept, refused by G13
  const auto hopeless = [&](const Goal& goal) {
    return std::any_of(goal.operations.begin(), goal.operations.end(), [&](const Operation& o) {
      const auto it = by_operation.find(o.transition);
      return it != by_operation.end() && it->second.first == 0 && it->second.second >= 3;
    });
  };
  const std::int64_t tries = (request.mix ? 12 : 6) * target;
  for (std::uint64_t i = 0;
       i < static_cast<std::uint64_t>(tries) && static_cast<std::int64_t>(out.size()) < target;
       ++i) {
    // Few tools may have too little to ask for: the next attempt is worth more than a long try.
    if (l.world->tools.compact && static_cast<std::int64_t>(i) == tries / 4 &&
        6 * static_cast<std::int64_t>(out.size()) < target)
      break;
    const std::string kind = kKinds[(start + i) % std::size(kKinds)];
    const auto goal = draw_goal(l, kind, rng.fork("goal", i));
    if (!goal) continue;
    // Most tasks hang on an interaction of two mechanisms; no goal is asked for more than three
    // times.
    const bool crossing = goal->interactions > 0 && goal->mechanisms > 1;
    // Nobody designed the tables of a database to meet.
    const bool may_be_plain = l.skin.lexicon == kDatabaseLexicon;
    if (!crossing && !may_be_plain && 100 * (plain + 1) > may_be_plain_percent * target) continue;
    const std::string skeleton = content_hash(goal->expression);
    if (skeletons[skeleton] >= 3 || hopeless(*goal)) continue;
    std::string why;
    SEEDBED_TRY(auto draft, draft_of(l, *goal, rng.fork("draft", i),
                                     static_cast<std::int64_t>(out.size()), &why));
    if (!draft) {
      rejections.add(why);
      continue;
    }
    const auto hardness =
        tasks::solvers::hardness_of(l.environment, draft->task, draft->gold, draft->verifier);
    const int level = tasks::solvers::level_of(hardness);
    if (level == 0) {  // too easy to be a task: nothing to find out first
      rejections.add("level");
      continue;
    }
    // Shares first; an environment that cannot fill them takes whatever the mix allows.
    if (request.mix && !schemas::wanted(*request.mix, kept, target, goal->kind, level,
                                        static_cast<std::int64_t>(i) < 4 * target))
      continue;
    draft->task.knobs.push_back({"level", level});
    for (const auto& knob : tasks::solvers::knobs_of(hardness))
      if (std::none_of(draft->task.knobs.begin(), draft->task.knobs.end(),
                       [&](const schemas::Knob& k) { return k.name == knob.name; }))
        draft->task.knobs.push_back(knob);
    SEEDBED_TRY(auto admitted, admission.admit(*std::move(draft)));
    if (const auto* rejected = std::get_if<tasks::Rejected>(&admitted)) {
      rejections.add(rejected->gate);
      if (rejected->gate == "G13")
        for (const auto& o : goal->operations) ++by_operation[o.transition].second;
      continue;
    }
    for (const auto& o : goal->operations) ++by_operation[o.transition].first;
    auto& task = std::get<tasks::AdmittedTask>(admitted);
    ++skeletons[skeleton];
    plain += crossing ? 0 : 1;
    kept.push_back({task.draft().task.kind, level});
    out.push_back(std::move(task));
  }
  return out;
}

}  // namespace

tasks::Player player_of(Bench& bench) {
  const auto play_on = [](sandbox::ToolHost* host) {
    return [host](const tasks::Plans& plans) -> Result<std::vector<tasks::PlayedPlan>> {
      SEEDBED_TRY(std::vector<sandbox::Played> played, host->play(plans, kPlayMs));
      std::vector<tasks::PlayedPlan> out;
      for (auto& p : played) out.push_back({std::move(p.results), std::move(p.changes)});
      return out;
    };
  };
  tasks::Player player;
  player.play = play_on(bench.first.get());
  player.play_again = play_on(bench.second.get());
  player.digest = [host = bench.first.get()] { return host->digest(); };
  return player;
}

Result<Bench> open_bench(const HostFactory& hosts, int core) {
  Bench bench;
  SEEDBED_TRY(bench.first, hosts(core));
  SEEDBED_TRY(bench.second, hosts(core));
  return bench;
}

PassChoice draw_passes(Rng rng) {
  PassChoice out;
  const auto layouts = static_cast<int>(rng.between(2, 6));
  for (int i = 0; i < layouts; ++i)
    out.layout.emplace_back(
        kLayoutPasses[static_cast<std::size_t>(rng.below(std::size(kLayoutPasses)))]);
  for (const char* p : kSurfacePasses)
    if (rng.chance(1, 2)) out.surface.emplace_back(p);
  return out;
}

Result<std::shared_ptr<const Lowered>> make_environment(const Packs& packs,
                                                        const schemas::GenRequest& request,
                                                        std::int64_t slot,
                                                        std::int64_t attempt) {
  const Rng rng = rng_for(seed_number(request), request.family, static_cast<std::uint64_t>(slot),
                          "attempt " + std::to_string(attempt));
  if (packs.database)
    return make_database_environment(*packs.database, request, slot, attempt, rng);
  ComposeKnobs knobs;
  Rng choice = rng.fork("split");
  const bool may_hold_out = request.split != "train";
  knobs.heldout = may_hold_out && (request.split == "heldout" || choice.chance(1, 12));
  if (request.tools) {
    knobs.least_tools = static_cast<std::size_t>(request.tools->least);
    knobs.most_tools = static_cast<std::size_t>(request.tools->most);
    fit_mechanisms(knobs);
  }
  std::vector<const Lexicon*> lexicons;
  for (const auto& x : packs.lexicons)
    if (may_hold_out || !x.heldout) lexicons.push_back(&x);
  if (lexicons.empty()) return Error{Where::pack, "composition: no lexicon"};
  const Lexicon& lexicon =
      *lexicons[static_cast<std::size_t>(rng.fork("lexicon").below(lexicons.size()))];
  SEEDBED_TRY(std::shared_ptr<World> world, compose(packs, rng.fork("compose"), knobs));
  narrow_values(*world, lexicon);
  SEEDBED_TRY(Facts facts, make_facts(*world, rng.fork("facts")));
  if (auto e = add_rules_and_gates(*world, facts, rng.fork("rules"))) return *std::move(e);
  Skin skin = make_skin(*world, packs, lexicon, rng.fork("skin"));
  const PassChoice passes = draw_passes(rng.fork("passes"));
  Layout layout = plain_layout(*world);
  for (std::size_t i = 0; i < passes.layout.size(); ++i)
    apply_layout_pass(*world, layout, passes.layout[i], rng.fork("layout", i));
  Surface surface = make_surface(*world, skin, passes.surface, rng.fork("surface"));
  schemas::Recipe recipe;
  recipe.generator = request.generator;
  recipe.seed = request.seed;
  recipe.slot = slot;
  recipe.attempt = attempt;
  SEEDBED_TRY(Lowered lowered, lower(world, std::move(facts), std::move(skin), std::move(layout),
                                     std::move(surface), recipe));
  lowered.environment.recipe.split =
      split_of(*world, lexicon, lowered.environment.recipe.schema_class);
  if (request.split != "all" && lowered.environment.recipe.split != request.split)
    return Error{Where::pack, "split: another split"};
  if (lowered.environment.tools.size() < kMinTools)
    return Error{Where::pack, "composition: fewer tools than " + std::to_string(kMinTools)};
  if (request.tools && (lowered.environment.tools.size() < knobs.least_tools ||
                        lowered.environment.tools.size() > knobs.most_tools))
    return Error{Where::pack, "composition: another number of tools than is wanted"};
  lowered.id = schemas::environment_id(lowered.environment);
  lowered.legal = legal_at_start(lowered);
  return std::shared_ptr<const Lowered>(std::make_shared<Lowered>(std::move(lowered)));
}

Result<tasks::SlotRecord> make_slot(const Packs& packs,
                                    const schemas::GenRequest& request,
                                    std::int64_t slot,
                                    Bench& bench) {
  tasks::SlotRecord record;
  record.slot = slot;
  Rejections rejections;
  for (std::int64_t attempt = 0; attempt < kAttempts && !record.environment; ++attempt) {
    rejections.mechanisms.clear();
    auto made = make_environment(packs, request, slot, attempt);
    if (!made.ok()) {
      if (made.error().where != Where::pack) return made.error();
      rejections.add("env:" + made.error().message.substr(0, made.error().message.find(':')));
      continue;
    }
    const std::shared_ptr<const Lowered>& lowered = *made;
    rejections.mechanisms = lowered->environment.recipe.mechanisms;
    for (auto* host : {bench.first.get(), bench.second.get()})
      if (auto e = host->load(lowered->environment, lowered->image)) return *std::move(e);
    const std::uint64_t seed = hash64("walks of " + lowered->environment.image_hash);
    SEEDBED_TRY(auto opened, tasks::Admission::open(lowered->environment, lowered->image,
                                                    player_of(bench), make_oracle(lowered), seed));
    if (const auto* rejected = std::get_if<tasks::Rejected>(&opened)) {
      rejections.add("env:" + rejected->gate);
      continue;
    }
    auto& admission = *std::get<std::unique_ptr<tasks::Admission>>(opened);
    const Rng rng = rng_for(seed_number(request), request.family, static_cast<std::uint64_t>(slot),
                            "tasks of attempt " + std::to_string(attempt));
    SEEDBED_TRY(std::vector<tasks::AdmittedTask> admitted,
                admit_tasks(*lowered, admission, rng, request, rejections));
    if (static_cast<std::int64_t>(admitted.size()) < request.tasks_per_env) {
      rejections.add("env:too few tasks");
      continue;
    }
    record.environment = std::make_unique<tasks::AdmittedEnvironment>(admission.environment());
    record.tasks = std::move(admitted);
  }
  for (const auto& [gate, count] : rejections.counts) record.rejections.push_back({gate, count});
  for (const auto& [key, count] : rejections.by_mechanism)
    record.rejections_by_mechanism.push_back({key.first, key.second, count});
  return record;
}

}  // namespace seedbed::envgen
