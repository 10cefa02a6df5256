// What `eval` found: suites of tasks, policies that tried them, and what each scored. Kept as a
// file so that later evaluations can be put beside it.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "schemas/reflect.h"

namespace seedbed::schemas {

struct EvalCount {
  std::string name;
  std::int64_t count = 0;
};
template <class V>
void fields(V&& at, EvalCount& x) {
  at("name", x.name, "what is counted");
  at("count", x.count, "how many");
}

// A rate with its 95 % interval.
struct EvalRate {
  std::int64_t k = 1;
  double value = 0, low = 0, high = 0;
  std::string interval;
};
template <class V>
void fields(V&& at, EvalRate& x) {
  at("k", x.k, "tries that it speaks of");
  at("value", x.value, "the estimate");
  at("low", x.low, "lower end of the 95 % interval");
  at("high", x.high, "upper end");
  at("interval", x.interval,
     "how it was found: bootstrap (over environments), wilson, environments (wilson with an "
     "environment as one try), none");
}

// One task, tried by one policy.
struct EvalTask {
  std::string task, environment, suite, kind, lexicon;
  std::string heldout;  // what of it is held out: mechanism, lexicon, both, class; empty: nothing
  std::int64_t level = 0;
  std::vector<std::string> mechanisms;
  std::int64_t tries = 0, solved = 0;
  std::vector<EvalCount> errors;  // by class; with solved they sum up to tries
};
template <class V>
void fields(V&& at, EvalTask& x) {
  at("task", x.task, "content hash of the task");
  at("environment", x.environment, "content hash of its environment");
  at("suite", x.suite, "suite that it is of");
  at("kind", x.kind, "kind of goal");
  at("lexicon", x.lexicon, "skin of the environment");
  at("heldout", x.heldout, "what is held out: mechanism, lexicon, both, class; empty: nothing");
  at("level", x.level, "1 to 10");
  at("mechanisms", x.mechanisms, "of the environment");
  at("tries", x.tries, "episodes scored");
  at("solved", x.solved, "of them");
  at("errors", x.errors, "the others by error class");
}

// What a group of tasks gave.
struct EvalRow {
  std::string by;    // all, suite, level, mechanism, kind, held out
  std::string name;  // of the group
  std::int64_t environments = 0, tasks = 0, episodes = 0, solved = 0;
  std::vector<EvalRate> pass_at, pass_all;
  std::vector<EvalCount> errors;
};
template <class V>
void fields(V&& at, EvalRow& x) {
  at("by", x.by, "what is grouped by: all, suite, level, mechanism, kind, held out");
  at("name", x.name, "of the group");
  at("environments", x.environments, "different ones");
  at("tasks", x.tasks, "tasks tried");
  at("episodes", x.episodes, "tries");
  at("solved", x.solved, "of them");
  at("pass_at", x.pass_at, "chance that one of k tries is right");
  at("pass_all", x.pass_all, "chance that all of k tries are");
  at("errors", x.errors, "unsolved episodes by error class");
}

struct EvalCost {
  std::int64_t timed = 0;  // episodes whose making was timed
  double seconds = 0;      // of those, wall clock of the runs
  double seconds_per_1000 = 0, prompt_tokens_per_1000 = 0, generated_tokens_per_1000 = 0;
  double turns = 0, calls = 0;  // an episode
};
template <class V>
void fields(V&& at, EvalCost& x) {
  at("timed", x.timed, "episodes whose making was timed");
  at("seconds", x.seconds, "wall clock that they took, all in flight together");
  at("seconds_per_1000", x.seconds_per_1000, "the same for 1,000 episodes; 0 where none was timed");
  at("prompt_tokens_per_1000", x.prompt_tokens_per_1000, "tokens read, for 1,000 episodes");
  at("generated_tokens_per_1000", x.generated_tokens_per_1000, "tokens written, the same");
  at("turns", x.turns, "assistant turns an episode");
  at("calls", x.calls, "tool calls an episode");
}

struct EvalPolicy {
  std::string name, version;
  std::string label;  // what tables call it
  std::int64_t samples = 1;
  std::int64_t infra_errors = 0;  // episodes that could not be scored
  EvalCost cost;
  std::vector<EvalRow> rows;
  std::vector<EvalTask> tasks;
};
template <class V>
void fields(V&& at, EvalPolicy& x) {
  at("name", x.name, "who acted");
  at("version", x.version, "of the client or its weights");
  at("label", x.label, "what tables call it");
  at("samples", x.samples, "tries asked for of each task");
  at("infra_errors", x.infra_errors, "episodes that could not be scored");
  at("cost", x.cost, "time and tokens");
  at("rows", x.rows, "scores by group");
  at("tasks", x.tasks, "each task's tries");
}

struct EvalSuite {
  std::string name;
  std::string digest;  // of the store's content
  std::int64_t environments = 0, tasks = 0;
  std::int64_t seen = 0;  // left out: they occur in a training store
  std::int64_t chosen = 0;
};
template <class V>
void fields(V&& at, EvalSuite& x) {
  at("name", x.name, "of the suite");
  at("digest", x.digest, "of the content of its store");
  at("environments", x.environments, "in the store");
  at("tasks", x.tasks, "in the store");
  at("seen", x.seen, "tasks left out because a training store has the like");
  at("chosen", x.chosen, "tasks tried");
}

struct EvalLeak {
  std::string store;
  std::int64_t environments = 0, tasks = 0;  // in the training store
  std::int64_t shared_environments = 0;      // evaluated ones that it holds
  std::int64_t shared_triples = 0;  // evaluated tasks whose (level, skeleton, lexicon) it holds
};
template <class V>
void fields(V&& at, EvalLeak& x) {
  at("store", x.store, "the training store");
  at("environments", x.environments, "in it");
  at("tasks", x.tasks, "in it");
  at("shared_environments", x.shared_environments, "evaluated environments that it holds");
  at("shared_triples", x.shared_triples,
     "evaluated tasks whose level, skeleton and lexicon together it holds");
}

// Two policies, or two evaluations of one, over the tasks that both tried.
struct EvalComparison {
  std::string before, after, suite;
  std::int64_t tasks = 0;
  double before_pass = 0, after_pass = 0;
  EvalRate difference;                // of pass@1, paired by task
  std::int64_t gained = 0, lost = 0;  // tasks with more, with fewer right tries
};
template <class V>
void fields(V&& at, EvalComparison& x) {
  at("before", x.before, "label of the one");
  at("after", x.after, "label of the other");
  at("suite", x.suite, "suite that both tried; all: over all suites");
  at("tasks", x.tasks, "tasks that both tried");
  at("before_pass", x.before_pass, "pass@1 of the one over them");
  at("after_pass", x.after_pass, "pass@1 of the other");
  at("difference", x.difference, "after less before, paired by task");
  at("gained", x.gained, "tasks that the other solves more often");
  at("lost", x.lost, "tasks that it solves less often");
}

struct Evaluation {
  std::string generator;
  std::vector<EvalSuite> suites;
  std::vector<EvalPolicy> policies;
  std::vector<EvalLeak> leakage;
  std::vector<EvalComparison> comparisons;
};
template <class V>
void fields(V&& at, Evaluation& x) {
  at("generator", x.generator, "version of the generator");
  at("suites", x.suites, "what was tried");
  at("policies", x.policies, "who tried, the evaluated one first");
  at("leakage", x.leakage, "what training stores share with it");
  at("comparisons", x.comparisons, "side by side");
}

}  // namespace seedbed::schemas
