// What an environment is: a state (a SQLite image), tools that are guarded SQL over it, views that
// show it, a handbook.
#pragma once
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/reflect.h"
#include "schemas/value.h"

namespace seedbed::schemas {

// One step of a tool's program; exactly one of let, require, run, each is set. Steps run in order,
// in one transaction.
//   let      binds the first column of the first row (NULL where none) to :NAME for the later steps
//   require  at least one row, else the call ends in the error {code, message} and everything is
//   rolled back;
//            {param} in the message is replaced by the argument's text
//   run      a write
//   each     a query; for each of its rows `body` runs with the row's columns bound by name (rows
//   are read before the first write)
// `when` names a let: the step is skipped where that is NULL or 0.
struct ProgramStep {
  std::optional<std::string> let;      // name
  std::optional<std::string> require;  // SQL
  std::optional<std::string> run;      // SQL
  std::optional<std::string> each;     // SQL
  std::optional<std::string> sql;      // for let
  std::optional<std::string> code;     // for require
  std::optional<std::string> message;  // for require
  std::optional<std::string> when;
  std::optional<std::vector<std::string>> body;  // for each
};
template <class V>
void fields(V&& at, ProgramStep& x) {
  at("let", x.let, "name bound by this step");
  at("sql", x.sql, "query of a let");
  at("require", x.require, "query that must give a row");
  at("code", x.code, "error code where require gives none");
  at("message", x.message, "error message; {param} is replaced");
  at("run", x.run, "a write");
  at("each", x.each, "query whose rows drive body");
  at("body", x.body, "writes for each row");
  at("when", x.when, "let that must be neither NULL nor 0");
}

enum class Shape : std::uint8_t { object, rows };
constexpr std::array<std::string_view, 2> enum_names(Shape) {
  return {"object", "rows"};
}

// result.sql's columns become members. object: the first row ({} where none). rows: {"items":
// [...]}, and where the program has page_size also "next_offset" (integer or null); the query is
// then run with :page_limit (page_size + 1) and :page_offset (argument "offset", 0 where absent).
struct Program {
  std::vector<ProgramStep> steps;
  std::string result;
  Shape shape = Shape::object;
  std::optional<int> page_size;
};
template <class V>
void fields(V&& at, Program& x) {
  at("steps", x.steps, "run in order in one transaction");
  at("result", x.result, "query for the result");
  at("shape", x.shape, "object or rows");
  at("page_size", x.page_size, "rows a page");
}

struct Tool {
  std::string name;
  std::string description;
  Value input;  // JSON Schema 2020-12 of the arguments
  Program program;
};
template <class V>
void fields(V&& at, Tool& x) {
  at("name", x.name, "unique in the environment");
  at("description", x.description, "what the agent reads");
  at("input", x.input, "JSON Schema 2020-12 of the arguments");
  at("program", x.program, "guarded SQL");
}

// A view of the state as facts: one row a fact, `key` its identity, then its attributes. Names are
// the ones in the database.
struct View {
  std::string concept_name;             // World symbol
  std::string view;                     // name in the database
  std::string key;                      // key column of the view
  std::vector<std::string> columns;     // attribute columns, key not among them
  std::vector<std::string> attributes;  // World symbols, same order
  std::vector<std::string> tables;      // tables that the view reads
};
template <class V>
void fields(V&& at, View& x) {
  at("concept", x.concept_name, "World symbol");
  at("view", x.view, "name in the database");
  at("key", x.key, "key column");
  at("columns", x.columns, "attribute columns");
  at("attributes", x.attributes, "World symbols of the columns");
  at("tables", x.tables, "tables that the view reads");
}

struct ReasonCode {
  std::string code;
  std::string text;
};
template <class V>
void fields(V&& at, ReasonCode& x) {
  at("code", x.code, "for the reserved tool refuse");
  at("text", x.text, "what it means");
}

struct Policy {
  std::string handbook;  // numbered rules, read by the agent
  std::vector<ReasonCode> reasons;
};
template <class V>
void fields(V&& at, Policy& x) {
  at("handbook", x.handbook, "numbered rules");
  at("reasons", x.reasons, "codes that a refusal may give");
}

// How the environment came about; enough to make it again.
struct Recipe {
  std::string generator;  // version
  std::string seed;       // decimal
  std::int64_t slot = 0;
  std::int64_t attempt = 0;
  std::string lexicon;
  std::vector<std::string> mechanisms;
  std::vector<std::string> interactions;  // e.g. "event booking.released -> waitlist.promote"
  std::vector<std::string> layout_passes;
  std::vector<std::string> surface_passes;
  std::string schema_class;  // hash of the typed table/reference graph, names erased
  std::string
      core_schema_class;  // the same after leaf lookup tables and optional columns are erased
  std::string split;      // train | heldout
};
template <class V>
void fields(V&& at, Recipe& x) {
  at("generator", x.generator, "version of the generator");
  at("seed", x.seed, "seed of the request");
  at("slot", x.slot, "slot of the request");
  at("attempt", x.attempt, "attempt within the slot");
  at("lexicon", x.lexicon, "skin");
  at("mechanisms", x.mechanisms, "modules of structure");
  at("interactions", x.interactions, "edges between mechanisms");
  at("layout_passes", x.layout_passes, "how symbols are stored");
  at("surface_passes", x.surface_passes, "how operations are offered");
  at("schema_class", x.schema_class, "hash of the schema graph, names erased");
  at("core_schema_class", x.core_schema_class,
     "the same without leaf lookup tables and optional columns");
  at("split", x.split, "train or heldout");
}

// Files of the host that a server needs (its packages): seen read-only inside at `target`. They are
// no part of the store; `hash` says which they must be.
struct ServerMount {
  std::string source;  // where they lay when the environment was made; absolute
  std::string target;  // absolute, inside
  std::string hash;    // of names and contents (sandbox/hosts/tree_hash.h)
};
template <class V>
void fields(V&& at, ServerMount& x) {
  at("source", x.source, "where the files lay on the host");
  at("target", x.target, "where they are seen inside");
  at("hash", x.hash, "of their names and contents");
}

// An MCP server of somebody else that offers the tools, run in a jail with the image's files as its
// folder. The image holds one row a file (sandbox/hosts/file_image.h).
struct Server {
  std::vector<std::string> command;
  std::vector<ServerMount> mounts;
  std::int64_t memory_mib = 512, pids = 64;
  bool loopback = false;  // a network interface with nobody else on it; else none
};
template <class V>
void fields(V&& at, Server& x) {
  at("command", x.command, "program and arguments, spoken to through its standard streams");
  at("mounts", x.mounts, "files of the host that it needs");
  at("memory_mib", x.memory_mib, "limit on the jail's memory");
  at("pids", x.pids, "limit on the jail's processes");
  at("loopback", x.loopback, "whether it has a network interface of its own");
}

struct Environment {
  std::string family;
  std::string title;  // e.g. "a veterinary clinic"
  Recipe recipe;
  std::vector<Tool> tools;
  std::vector<View> views;
  std::vector<std::string>
      bookkeeping;  // tables outside every fact (counters); exempt in verifiers
  Policy policy;
  std::int64_t now_minutes = 0;  // :now, minutes since 2000-01-01 00:00
  std::string image_hash;        // of the SQLite image's bytes
  std::optional<Server> server;  // tools are its, without programs; there are no views then
};
template <class V>
void fields(V&& at, Environment& x) {
  at("family", x.family, "general");
  at("title", x.title, "what it is, in words");
  at("recipe", x.recipe, "how it came about");
  at("tools", x.tools, "what agents may call");
  at("views", x.views, "the state as facts");
  at("bookkeeping", x.bookkeeping, "tables exempt in verifiers");
  at("policy", x.policy, "handbook and reason codes");
  at("now_minutes", x.now_minutes, "the environment's fixed now");
  at("image_hash", x.image_hash, "hash of the SQLite image");
  at("server", x.server, "the MCP server that offers the tools, where they are no SQL");
}

// Identity: the hash of the record's canonical JSON (which holds the image's hash).
std::string environment_id(const Environment& env);

}  // namespace seedbed::schemas
