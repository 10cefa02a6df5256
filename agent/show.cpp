#include "agent/show.h"

#include <cstdio>

#include "agent/prompt.h"
#include "agent/show_doc.h"

namespace seedbed::agent {
namespace {

using schemas::Value;

std::string number(double x) {
  char out[32];
  std::snprintf(out, sizeof out, "%.3g", x);
  return out;
}

// One line, bounded: what a summary shows of a longer text.
std::string brief(std::string text, std::size_t bytes = 100) {
  for (char& c : text)
    if (c == '\n') c = ' ';
  if (text.size() <= bytes) return text;
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xC0U) == 0x80U)
    --bytes;  // between characters
  return text.substr(0, bytes) + "...";
}

std::string pretty(const std::string& json) {
  const auto parsed = schemas::parse_json(json);
  return parsed.ok() ? dump_pretty(*parsed) : json;
}

std::string name_of(schemas::End end) {
  return std::string(enum_names(end)[static_cast<std::size_t>(end)]);
}
std::string name_of(schemas::Stop stop) {
  return std::string(enum_names(stop)[static_cast<std::size_t>(stop)]);
}

void put_tools(Page& page, const std::vector<schemas::Tool>& tools) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& tool : tools) {
    std::string args;
    if (const Value* properties = tool.input.find("properties");
        properties != nullptr && properties->is_object())
      for (const auto& [key, sub] : properties->members()) {
        const std::string type = sub.text("type", sub.find("enum") != nullptr ? "enum" : "any");
        args += (args.empty() ? "" : ", ") + key + ": " + type;
      }
    rows.push_back({tool.name, "(" + args + ")", tool.description});
  }
  page.table({"tool", "arguments", "what it does"}, std::move(rows));
}

void put_rules(Page& page, const schemas::Environment& env) {
  page.text(env.policy.handbook.empty() ? "(no handbook)" : env.policy.handbook);
  std::vector<std::vector<std::string>> reasons;
  for (const auto& reason : env.policy.reasons) reasons.push_back({reason.code, reason.text});
  if (!reasons.empty()) page.table({"reason code", "meaning"}, std::move(reasons));
}

void put_plan(Page& page, const std::vector<schemas::GoldStep>& steps) {
  int at = 0;
  for (const auto& step : steps) {
    const std::string what =
        step.kind == schemas::GoldKind::call
            ? step.tool
            : std::string(enum_names(step.kind)[static_cast<std::size_t>(step.kind)]);
    page.text(std::to_string(++at) + ". " + what + " " +
              (step.kind == schemas::GoldKind::say ? step.text : dump(step.args)));
  }
}

void put_verdict(Page& page, const schemas::Verdict& verdict) {
  page.heading(2, "Verdict: " + std::string(verdict.solved ? "solved" : "not solved") + ", score " +
                      number(verdict.score));
  if (!verdict.why.empty()) page.text(verdict.why);
  for (const auto& part : verdict.parts)
    page.mark(part.holds, part.name + " (weight " + number(part.weight) + ")");
}

void put_call(Page& page, const schemas::MadeCall& call) {
  const std::string args = call.args.is_string() ? call.args.as_string() : dump(call.args);
  page.open(call.result.end == schemas::End::ok ? "call" : "call, " + name_of(call.result.end),
            call.tool + " " + brief(args), false);
  page.code(call.args.is_string() ? args : dump_pretty(call.args));
  page.text("result (" + name_of(call.result.end) +
            (call.reserved ? ", answered by the parent" : "") + ")" +
            (call.malformed ? ", malformed" : ""));
  page.code(pretty(call.result.out));
  page.close();
}

void put_turn(Page& page, const schemas::Turn& turn) {
  page.heading(3, turn.role + (turn.learn == false ? ", not to be imitated" : ""));
  if (!turn.reasoning.empty()) {
    page.open("thinking", brief(turn.reasoning), false);
    page.text(turn.reasoning);
    page.close();
  }
  if (!turn.text.empty()) page.text(turn.text);
  for (const auto& call : turn.calls) put_call(page, call);
}

// What is recorded of the tokens themselves.
std::string recorded(const schemas::Trajectory& t) {
  if (!t.tokens) return "; none recorded";
  std::int64_t count = 0, sampled = 0;
  for (const auto& branch : t.tokens->branches) {
    count += branch.count;
    sampled += branch.sampled;
  }
  return "; recorded " + std::to_string(count) + " in " +
         std::to_string(t.tokens->branches.size()) + " branch(es), " + std::to_string(sampled) +
         " of them sampled, with log probabilities, kept sets and routing";
}

std::string title_of(const char* kind, const std::string& id) {
  return std::string("seedbed ") + kind + " " + id;
}

Result<Page> environment_page(tasks::Store& store, const std::string& id) {
  SEEDBED_TRY(const auto stored, store.environment(id));
  SEEDBED_TRY(const auto ids, store.task_ids_of(id));
  const schemas::Environment& env = stored.environment;
  Page page(title_of("environment", id));
  const auto list = [](const std::vector<std::string>& items) {
    std::string out;
    for (const auto& item : items) out += (out.empty() ? "" : ", ") + item;
    return out.empty() ? std::string("none") : out;
  };
  const schemas::Recipe& r = env.recipe;
  page.facts({{"place", env.title},
              {"family", env.family},
              {"now", date_time(env.now_minutes)},
              {"split", r.split},
              {"lexicon", r.lexicon},
              {"mechanisms", list(r.mechanisms)},
              {"interactions", list(r.interactions)},
              {"layout passes", list(r.layout_passes)},
              {"surface passes", list(r.surface_passes)},
              {"schema class", r.schema_class},
              {"seed, slot, attempt",
               r.seed + ", " + std::to_string(r.slot) + ", " + std::to_string(r.attempt)},
              {"image", env.image_hash + " (" + std::to_string(stored.image.size()) + " bytes)"}});
  page.heading(2, "Handbook");
  put_rules(page, env);
  page.heading(2, "Tools (" + std::to_string(env.tools.size()) + ")");
  put_tools(page, env.tools);
  page.heading(2, "Programs");
  for (const auto& tool : env.tools) {
    page.open("", tool.name, false);
    page.code(dump_pretty(schemas::to_value(tool)));
    page.close();
  }
  page.heading(2, "The state as facts");
  std::vector<std::vector<std::string>> views;
  for (const auto& view : env.views)
    views.push_back({view.concept_name, view.view + " (" + view.key + ")", list(view.attributes)});
  page.table({"concept", "view (key)", "attributes"}, std::move(views));
  page.heading(2, "Tasks (" + std::to_string(ids.size()) + ")");
  std::vector<std::vector<std::string>> rows;
  for (const auto& task_id : ids) {
    SEEDBED_TRY(const auto task, store.task(task_id));
    rows.push_back({task_id.substr(0, 12), task.task.kind, brief(task.task.prompt, 160)});
  }
  page.table({"task", "kind", "prompt"}, std::move(rows));
  return page;
}

void put_mutation(Page& page, const schemas::MutationScore& score) {
  page.open("",
            "mutants of the verifier: " + std::to_string(score.killed) + " of " +
                std::to_string(score.made) + " killed",
            false);
  for (const auto& name : score.survivors) page.mark(false, "survives: " + name);
  for (const auto& part : score.implied) page.text("implied: " + part);
  page.close();
}

Step put_issues(Page& page, tasks::Store& store, const std::string& task_id) {
  auto issues = store.issues();
  if (!issues.ok()) return issues.error();
  std::vector<std::vector<std::string>> rows;
  for (const auto& issue : *issues)
    if (issue.task_id == task_id)
      rows.push_back({issue.id.substr(0, 12), std::string(tasks::name_of(issue.status)),
                      issue.author, issue.title, issue.resolution});
  if (rows.empty()) return std::nullopt;
  page.heading(2, "Issues");
  page.table({"issue", "status", "by", "what is wrong", "resolution"}, std::move(rows));
  return std::nullopt;
}

Result<Page> task_page(tasks::Store& store, const std::string& id) {
  SEEDBED_TRY(const auto stored, store.task(id));
  SEEDBED_TRY(const auto place, store.environment(stored.task.environment_id));
  SEEDBED_TRY(const auto certificate, store.certificate(id));
  const schemas::TaskSpec& task = stored.task;
  Page page(title_of("task", id));
  page.facts({{"place", place.environment.title},
              {"environment", task.environment_id},
              {"kind", task.kind},
              {"budget", std::to_string(task.budget.max_turns) + " turns, " +
                             std::to_string(task.budget.max_calls) + " calls, " +
                             std::to_string(task.budget.wall_ms / 1000) + " s, " +
                             std::to_string(task.budget.output_kib) + " KiB"}});
  page.heading(2, "Prompt");
  page.text(task.prompt);
  page.heading(2, "What submit_result takes");
  page.code(dump_pretty(task.submit_schema));
  if (task.user) {
    page.heading(2, "User script");
    page.code(dump_pretty(schemas::to_value(*task.user)));
  }
  page.heading(2, "Knobs");
  std::vector<std::vector<std::string>> knobs;
  for (const auto& knob : task.knobs) knobs.push_back({knob.name, std::to_string(knob.value)});
  page.facts(std::move(knobs));
  page.heading(2, "Certificate");
  for (const auto& gate : certificate.gates)
    page.mark(true, gate.gate + ", " + std::to_string(gate.checked) + " checked" +
                        (gate.note.empty() ? "" : ": " + gate.note));
  if (certificate.mutation) put_mutation(page, *certificate.mutation);
  if (auto failed = put_issues(page, store, id)) return *std::move(failed);
  page.heading(2, "Solution, seen by the oracle and the gates alone");
  page.open("", "gold plan", false);
  put_plan(page, stored.gold.steps);
  page.close();
  for (const auto& miss : stored.gold.near_misses) {
    page.open("near miss", miss.name, false);
    put_plan(page, miss.steps);
    page.close();
  }
  page.open("", "verifier", false);
  page.code(dump_pretty(schemas::to_value(stored.verifier)));
  page.close();
  page.heading(2, "Handbook");
  put_rules(page, place.environment);
  page.heading(2, "Tools");
  put_tools(page, offered_tools(place.environment, task));
  return page;
}

Result<Page> episode_page(tasks::Store& store, const std::string& id) {
  SEEDBED_TRY(const auto stored, store.episode(id));
  const schemas::Trajectory& t = stored.trajectory;
  SEEDBED_TRY(const auto task, store.task(t.task_id));
  SEEDBED_TRY(const auto place, store.environment(t.environment_id));
  Page page(title_of("episode", id));
  std::size_t calls = 0;
  for (const auto& turn : t.turns) calls += turn.calls.size();
  page.facts({{"policy", t.policy + " (version " + t.policy_version + ")"},
              {"task", t.task_id + " (" + task.task.kind + ")"},
              {"environment", t.environment_id + " (" + place.environment.title + ")"},
              {"sample, seed", std::to_string(t.sample) + ", " + t.seed},
              {"stopped", name_of(t.stop) + (t.stop_detail.empty() ? "" : ": " + t.stop_detail)},
              {"calls", std::to_string(calls) + ", malformed " + std::to_string(t.malformed_calls)},
              {"tokens", std::to_string(t.prompt_tokens) + " in, " +
                             std::to_string(t.completion_tokens) + " out" + recorded(t)},
              {"time", std::to_string(t.wall_us / 1000) + " ms"}});
  put_verdict(page, t.verdict);
  page.heading(2, "Conversation");
  for (const auto& turn : t.turns) {
    if (turn.role != "system") {
      put_turn(page, turn);
      continue;
    }
    page.open("system", "place, handbook, how to finish", false);
    page.text(turn.text.empty() ? system_text(place.environment) : turn.text);
    page.close();
  }
  page.heading(2, "Tools offered");
  page.open("", std::to_string(place.environment.tools.size() + 2) + " tools", false);
  put_tools(page, offered_tools(place.environment, task.task));
  page.close();
  return page;
}

}  // namespace

Result<std::string> show(tasks::Store& store, const std::string& id, ShowForm form) {
  SEEDBED_TRY(const auto found, store.resolve(id));
  if (found.first == "issue") {  // its task says all there is
    SEEDBED_TRY(const auto issues, store.issues());
    for (const auto& issue : issues)
      if (issue.id == found.second) return show(store, issue.task_id, form);
  }
  Result<Page> page = found.first == "environment" ? environment_page(store, found.second)
                      : found.first == "task"      ? task_page(store, found.second)
                                                   : episode_page(store, found.second);
  if (!page.ok()) return std::move(page).error();
  return form == ShowForm::html ? page->as_html() : page->as_text();
}

}  // namespace seedbed::agent
