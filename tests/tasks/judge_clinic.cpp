#include "judge_clinic.h"

#include <sqlite3.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <stdexcept>

#include "base/hash.h"
#include "base/text.h"
#include "schemas/json_schema.h"

namespace seedbed::tasks::clinic {
namespace {

using schemas::End;
using schemas::Environment;
using schemas::Program;
using schemas::ProgramStep;
using schemas::RowChange;
using schemas::Scalar;
using schemas::Tool;
using schemas::ToolCall;
using schemas::ToolResult;
using schemas::Value;

struct Close {
  void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
};
using Db = std::unique_ptr<sqlite3, Close>;

void exec(sqlite3* db, const std::string& sql) {
  if (sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
    throw std::runtime_error(std::string(sqlite3_errmsg(db)) + ": " + sql);
}

using Row = std::vector<std::pair<std::string, Scalar>>;
using Bound = std::map<std::string, Scalar>;

std::vector<Row> query(sqlite3* db, const std::string& sql, const Bound& bound = {}) {
  sqlite3_stmt* stmt = nullptr;
  if (sqlite3_prepare_v2(db, sql.c_str(), -1, &stmt, nullptr) != SQLITE_OK)
    throw std::runtime_error(std::string(sqlite3_errmsg(db)) + ": " + sql);
  for (int i = 1; i <= sqlite3_bind_parameter_count(stmt); ++i) {
    const auto it = bound.find(sqlite3_bind_parameter_name(stmt, i) + 1);
    if (it == bound.end()) continue;
    if (const auto* n = std::get_if<std::int64_t>(&it->second)) sqlite3_bind_int64(stmt, i, *n);
    if (const auto* s = std::get_if<std::string>(&it->second))
      sqlite3_bind_text(stmt, i, s->c_str(), -1, SQLITE_TRANSIENT);
  }
  std::vector<Row> rows;
  while (sqlite3_step(stmt) == SQLITE_ROW) {
    rows.emplace_back();
    for (int c = 0; c < sqlite3_column_count(stmt); ++c) {
      Scalar value;
      if (sqlite3_column_type(stmt, c) == SQLITE_INTEGER)
        value = std::int64_t{sqlite3_column_int64(stmt, c)};
      if (sqlite3_column_type(stmt, c) == SQLITE_TEXT)
        value = std::string(reinterpret_cast<const char*>(sqlite3_column_text(stmt, c)));
      rows.back().emplace_back(sqlite3_column_name(stmt, c), value);
    }
  }
  sqlite3_finalize(stmt);
  return rows;
}

Db load(const std::string& image) {
  sqlite3* db = nullptr;
  sqlite3_open(":memory:", &db);
  Db owned(db);
  auto* bytes = static_cast<unsigned char*>(sqlite3_malloc64(image.size()));
  std::memcpy(bytes, image.data(), image.size());
  const auto size = static_cast<sqlite3_int64>(image.size());
  sqlite3_deserialize(db, "main", bytes, size, size,
                      SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_RESIZEABLE);
  return owned;
}

Value to_json(const Row& row) {
  Value out = Value::object();
  for (const auto& [name, scalar] : row) {
    if (const auto* n = std::get_if<std::int64_t>(&scalar))
      out.set(name, *n);
    else if (const auto* s = std::get_if<std::string>(&scalar))
      out.set(name, *s);
    else
      out.set(name, Value());
  }
  return out;
}

ToolResult failed(const std::string& code, const std::string& message) {
  return {End::tool_error, dump(args({{"error", args({{"code", code}, {"message", message}})}}))};
}

ToolResult run(sqlite3* db, const Tool& tool, const Value& arguments) {
  Bound bound;
  for (const auto& [name, value] : arguments.members()) {
    if (value.is_int())
      bound[name] = value.as_int();
    else if (value.is_string())
      bound[name] = value.as_string();
    else
      bound[name] = dump(value);
  }
  exec(db, "SAVEPOINT c");
  for (const auto& step : tool.program.steps) {
    if (step.require && query(db, *step.require, bound).empty()) {
      exec(db, "ROLLBACK TO c; RELEASE c");
      return failed(*step.code, *step.message);
    }
    if (step.let) {
      const auto rows = query(db, *step.sql, bound);
      bound[*step.let] = rows.empty() ? Scalar{} : rows[0][0].second;
    }
    if (step.run) query(db, *step.run, bound);
  }
  Value out = Value::object();
  const auto rows = query(db, tool.program.result, bound);
  if (tool.program.shape == schemas::Shape::rows) {
    Value items = Value::array();
    for (const auto& row : rows) items.push(to_json(row));
    out.set("items", std::move(items));
  } else if (!rows.empty()) {
    out = to_json(rows[0]);
  }
  exec(db, "RELEASE c");
  return {End::ok, dump(out)};
}

using Snapshot =
    std::map<std::string,
             std::map<Scalar, std::vector<Scalar>>>;  // table -> key (first column) -> row
Snapshot snapshot(sqlite3* db) {
  Snapshot out;
  for (const auto& table : query(db, "SELECT name FROM sqlite_schema WHERE type = 'table'")) {
    const auto name = std::get<std::string>(table[0].second);
    for (const auto& row : query(db, "SELECT * FROM " + name)) {
      std::vector<Scalar> values;
      for (const auto& [column, value] : row) values.push_back(value);
      out[name][values[0]] = values;
    }
  }
  return out;
}

void compare(const Snapshot& before, const Snapshot& after, int call, std::vector<RowChange>& out) {
  for (const char* table : {"audit", "booking", "counter", "person", "slot"}) {
    static const std::map<Scalar, std::vector<Scalar>> none;
    const auto rows = [&](const Snapshot& s) -> const auto& {
      const auto it = s.find(table);
      return it == s.end() ? none : it->second;
    };
    for (const auto& [key, row] : rows(before))
      if (!rows(after).contains(key)) out.push_back({call, table, row, {}});
    for (const auto& [key, row] : rows(after)) {
      const auto it = rows(before).find(key);
      if (it == rows(before).end())
        out.push_back({call, table, {}, row});
      else if (it->second != row)
        out.push_back({call, table, it->second, row});
    }
  }
}

ProgramStep require(const std::string& sql, const std::string& code) {
  ProgramStep step;
  step.require = sql, step.code = code, step.message = code + ".";
  return step;
}
ProgramStep write(const std::string& sql) {
  ProgramStep step;
  step.run = sql;
  return step;
}
ProgramStep let(const std::string& name, const std::string& sql) {
  ProgramStep step;
  step.let = name, step.sql = sql;
  return step;
}

Tool tool(const std::string& name,
          const std::string& about,
          const std::vector<std::pair<std::string, Value>>& parameters,
          std::vector<ProgramStep> steps,
          const std::string& result,
          schemas::Shape shape = schemas::Shape::object) {
  Value properties = Value::object(), required = Value::array();
  for (const auto& [parameter, schema] : parameters) {
    properties.set(parameter, schema);
    required.push(parameter);
  }
  Tool t{.name = name, .description = about, .input = {}, .program = {}};
  t.input = args({{"type", "object"},
                  {"properties", properties},
                  {"required", required},
                  {"additionalProperties", false}});
  t.program.steps = std::move(steps);
  t.program.result = result;
  t.program.shape = shape;
  return t;
}

std::string script() {
  std::string sql =
      "CREATE TABLE person (id TEXT PRIMARY KEY NOT NULL, name TEXT NOT NULL, tier TEXT NOT NULL, "
      "note TEXT) WITHOUT ROWID;"
      "CREATE TABLE slot (id TEXT PRIMARY KEY NOT NULL, start INTEGER NOT NULL, capacity INTEGER "
      "NOT NULL) WITHOUT ROWID;"
      "CREATE TABLE booking (id TEXT PRIMARY KEY NOT NULL, person_id TEXT NOT NULL, slot_id TEXT "
      "NOT NULL, state TEXT NOT NULL,"
      " fee INTEGER NOT NULL, parent TEXT) WITHOUT ROWID;"
      "CREATE TABLE counter (name TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL) WITHOUT ROWID;"
      "CREATE TABLE audit (id INTEGER PRIMARY KEY, what TEXT);"
      "CREATE VIEW v_person AS SELECT id, name, tier FROM person;"
      "CREATE VIEW v_slot AS SELECT s.id, s.start, s.capacity, s.capacity - (SELECT count(*) FROM "
      "booking b WHERE b.slot_id ="
      " s.id AND b.state = 'confirmed') AS free FROM slot s;"
      "CREATE VIEW v_booking AS SELECT id, person_id, slot_id, state, fee, parent FROM booking;"
      "INSERT INTO counter VALUES ('booking', 500);";
  const char* names[] = {"Ada", "Bo", "Cy", "Di", "Ed", "Flo", "Gus", "Hal", "Ida", "Jo"};
  for (int i = 0; i < 40; ++i)
    sql += "INSERT INTO person VALUES ('P-" + std::to_string(101 + i) + "', '" + names[i % 10] +
           " " + std::string(1, static_cast<char>('A' + i / 10)) +
           std::string(names[(i * 7) % 10]) + "', '" + (i % 3 == 0 ? "gold" : "plain") +
           "', NULL);";
  for (int i = 0; i < 30; ++i)
    sql += "INSERT INTO slot VALUES ('S-" + std::to_string(201 + i) + "', " +
           std::to_string(9'000'000 + 60 * i) + ", " + std::to_string(3 + i % 4) + ");";
  for (int i = 0; i < 20; ++i)
    sql += "INSERT INTO booking VALUES ('B-" + std::to_string(301 + i) + "', 'P-" +
           std::to_string(101 + i) + "', 'S-" + std::to_string(201 + i % 12) + "', '" +
           (i % 5 == 4 ? "cancelled" : "confirmed") + "', " + std::to_string(1000 + 37 * i) +
           ", NULL);";
  return sql;
}

}  // namespace

Value args(std::vector<std::pair<std::string, Value>> members) {
  return Value(Value::Object(std::move(members)));
}
ToolCall call(const std::string& tool, std::vector<std::pair<std::string, Value>> members) {
  return {tool, args(std::move(members))};
}

std::string image_of(const std::string& sql) {
  sqlite3* db = nullptr;
  sqlite3_open(":memory:", &db);
  const Db owned(db);
  exec(db, "PRAGMA page_size=1024;" + sql);
  sqlite3_int64 size = 0;
  unsigned char* bytes = sqlite3_serialize(db, "main", &size, 0);
  std::string out(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
  sqlite3_free(bytes);
  return out;
}

const std::string& image() {
  static const std::string bytes = image_of(script());
  return bytes;
}

Environment environment() {
  const Value text = args({{"type", "string"}});
  const Value number = args({{"type", "integer"}, {"minimum", 1}, {"maximum", 50}});
  const Value tier = args({{"type", "string"}, {"enum", Value(Value::Array{"gold", "plain"})}});
  const std::string booking = "SELECT 1 FROM booking WHERE id = :booking_id";
  Environment env;
  env.family = "general", env.title = "a clinic";
  env.tools = {
      tool("find_person", "Find a person by name.", {{"name", text}},
           {require("SELECT 1 FROM person WHERE name = :name", "not_found")},
           "SELECT id AS person_id, name, tier FROM person WHERE name = :name"),
      tool("list_bookings", "List the bookings of a person.", {{"person_id", text}},
           {require("SELECT 1 FROM person WHERE id = :person_id", "not_found")},
           "SELECT id AS booking_id, slot_id, state, fee FROM booking WHERE person_id = :person_id "
           "ORDER BY id",
           schemas::Shape::rows),
      tool("get_slot", "Show a slot.", {{"slot_id", text}},
           {require("SELECT 1 FROM slot WHERE id = :slot_id", "not_found")},
           "SELECT id AS slot_id, start, capacity, free FROM v_slot WHERE id = :slot_id"),
      tool("list_slots", "List all slots.", {}, {},
           "SELECT id AS slot_id, start, capacity FROM slot ORDER BY id", schemas::Shape::rows),
      tool("book", "Book a slot for a person.", {{"person_id", text}, {"slot_id", text}},
           {require("SELECT 1 FROM person WHERE id = :person_id", "not_found"),
            require("SELECT 1 FROM v_slot WHERE id = :slot_id AND free > 0", "full"),
            write("UPDATE counter SET value = value + 1 WHERE name = 'booking'"),
            let("n", "SELECT value FROM counter WHERE name = 'booking'"),
            write("INSERT INTO booking VALUES ('B-' || :n, :person_id, :slot_id, 'confirmed', "
                  "1500, NULL)")},
           "SELECT id AS booking_id, state FROM booking WHERE id = 'B-' || :n"),
      tool("cancel", "Cancel a confirmed booking.", {{"booking_id", text}},
           {require(booking, "not_found"),
            require(booking + " AND state = 'confirmed'", "wrong_state"),
            write("UPDATE booking SET state = 'cancelled' WHERE id = :booking_id")},
           "SELECT id AS booking_id, state FROM booking WHERE id = :booking_id"),
      tool("set_tier", "Change a person's tier.", {{"person_id", text}, {"tier", tier}},
           {require("SELECT 1 FROM person WHERE id = :person_id", "not_found"),
            write("UPDATE person SET tier = :tier WHERE id = :person_id")},
           "SELECT id AS person_id, tier FROM person WHERE id = :person_id"),
      tool("note_person", "Leave a note about a person.",
           {{"person_id", text}, {"note", text}},  // no view shows notes
           {require("SELECT 1 FROM person WHERE id = :person_id", "not_found"),
            write("UPDATE person SET note = :note WHERE id = :person_id")},
           "SELECT id AS person_id FROM person WHERE id = :person_id"),
      tool("set_capacity", "Change a slot's capacity.", {{"slot_id", text}, {"capacity", number}},
           {require("SELECT 1 FROM slot WHERE id = :slot_id", "not_found"),
            write("UPDATE slot SET capacity = :capacity WHERE id = :slot_id")},
           "SELECT id AS slot_id, capacity FROM slot WHERE id = :slot_id"),
  };
  env.views = {{"person", "v_person", "id", {"name", "tier"}, {"name", "tier"}, {"person"}},
               {"slot",
                "v_slot",
                "id",
                {"start", "capacity", "free"},
                {"start", "capacity", "free"},
                {"slot", "booking"}},
               {"booking",
                "v_booking",
                "id",
                {"person_id", "slot_id", "state", "fee", "parent"},
                {"holder", "slot", "state", "fee", "parent"},
                {"booking"}}};
  env.bookkeeping = {"counter"};
  env.policy.handbook = "1. A gold person's booking is never cancelled.\n2. Be brief.";
  for (const char* code :
       {"gold_member", "too_late", "no_such_record", "not_allowed", "no_room", "other"})
    env.policy.reasons.push_back({code, "reason"});
  env.now_minutes = 8'999'000;
  env.image_hash = content_hash(image());
  return env;
}

Result<std::vector<PlayedPlan>> play(const Environment& env,
                                     const std::string& bytes,
                                     const Plans& plans) {
  std::map<std::string, schemas::JsonSchema> compiled;
  std::vector<PlayedPlan> out;
  for (const auto& plan : plans) {
    const Db db = load(bytes);
    PlayedPlan played;
    Snapshot before = snapshot(db.get());
    for (std::size_t i = 0; i < plan.size(); ++i) {
      const auto t = std::find_if(env.tools.begin(), env.tools.end(),
                                  [&](const Tool& x) { return x.name == plan[i].tool; });
      if (t == env.tools.end()) {
        played.results.push_back(failed("unknown_tool", plan[i].tool));
        continue;
      }
      auto schema = compiled.find(t->name);
      if (schema == compiled.end())
        schema = compiled.emplace(t->name, *schemas::JsonSchema::compile(t->input)).first;
      if (!schema->second.validate(plan[i].args).empty()) {
        played.results.push_back(failed("bad_arguments", ""));
        continue;
      }
      played.results.push_back(run(db.get(), *t, plan[i].args));
      Snapshot after = snapshot(db.get());
      compare(before, after, static_cast<int>(i), played.changes);
      before = std::move(after);
    }
    out.push_back(std::move(played));
  }
  return out;
}

Player player(const Environment& env) {
  const auto once = [env](const Plans& plans) { return play(env, image(), plans); };
  return {once, once, []() -> Result<std::string> { return content_hash(image()); }};
}

Episode episode(const Environment& env, const std::vector<ToolCall>& calls) {
  auto played = play(env, image(), {calls});
  return {.calls = calls,
          .results = (*played)[0].results,
          .changes = (*played)[0].changes,
          .stop = schemas::Stop::stopped,
          .submitted = {}};
}
Episode submitting(Episode e, Value submitted) {
  e.stop = schemas::Stop::answered;
  e.submitted = std::move(submitted);
  return e;
}
Episode refusing(Episode e, const std::string& code, const std::vector<std::string>& evidence) {
  Value ids = Value::array();
  for (const auto& id : evidence) ids.push(id);
  e.stop = schemas::Stop::refused;
  e.submitted = args({{"reason_code", code}, {"evidence_ids", ids}});
  return e;
}

// ---- the second oracle ----
namespace {
struct World {
  struct Booking {
    std::string person, slot, state;
    std::int64_t fee;
  };
  std::map<std::string, std::pair<std::string, std::string>> persons;  // id -> name, tier
  std::map<std::string, std::pair<std::int64_t, std::int64_t>> slots;  // id -> start, capacity
  std::map<std::string, Booking> bookings;
  int next = 500;

  World() {
    const Db db = load(image());
    const auto s = [](const Row& r, std::size_t i) { return std::get<std::string>(r[i].second); };
    const auto n = [](const Row& r, std::size_t i) { return std::get<std::int64_t>(r[i].second); };
    for (const auto& r : query(db.get(), "SELECT * FROM person"))
      persons[s(r, 0)] = {s(r, 1), s(r, 2)};
    for (const auto& r : query(db.get(), "SELECT * FROM slot")) slots[s(r, 0)] = {n(r, 1), n(r, 2)};
    for (const auto& r : query(db.get(), "SELECT * FROM booking"))
      bookings[s(r, 0)] = {s(r, 1), s(r, 2), s(r, 3), n(r, 4)};
  }
  std::int64_t free(const std::string& slot) const {
    std::int64_t taken = 0;
    for (const auto& [id, b] : bookings) taken += b.slot == slot && b.state == "confirmed" ? 1 : 0;
    return slots.at(slot).second - taken;
  }
  std::vector<std::string> facts() const {
    std::vector<std::string> out;
    for (const auto& [id, p] : persons)
      out.push_back("person|" + id + "|name=" + p.first + "|tier=" + p.second);
    for (const auto& [id, x] : slots)
      out.push_back("slot|" + id + "|start=" + std::to_string(x.first) +
                    "|capacity=" + std::to_string(x.second) + "|free=" + std::to_string(free(id)));
    for (const auto& [id, b] : bookings)
      out.push_back("booking|" + id + "|holder=" + b.person + "|slot=" + b.slot +
                    "|state=" + b.state + "|fee=" + std::to_string(b.fee) + "|parent=\\N");
    std::sort(out.begin(), out.end());
    return out;
  }
  bool apply(const ToolCall& c) {
    const auto a = [&](const char* name) { return c.args.text(name, "?"); };
    const auto only = [&](std::size_t n) { return c.args.members().size() == n; };
    if (c.tool == "find_person")
      return only(1) && std::any_of(persons.begin(), persons.end(),
                                    [&](const auto& p) { return p.second.first == a("name"); });
    if (c.tool == "list_bookings") return only(1) && persons.contains(a("person_id"));
    if (c.tool == "get_slot") return only(1) && slots.contains(a("slot_id"));
    if (c.tool == "list_slots") return only(0);
    if (c.tool == "book") {
      if (!only(2) || !persons.contains(a("person_id")) || !slots.contains(a("slot_id")) ||
          free(a("slot_id")) < 1)
        return false;
      bookings["B-" + std::to_string(++next)] = {a("person_id"), a("slot_id"), "confirmed", 1500};
      return true;
    }
    if (c.tool == "cancel") {
      const auto b = bookings.find(a("booking_id"));
      if (!only(1) || b == bookings.end() || b->second.state != "confirmed") return false;
      b->second.state = "cancelled";
      return true;
    }
    if (c.tool == "set_tier") {
      if (!only(2) || !persons.contains(a("person_id")) ||
          (a("tier") != "gold" && a("tier") != "plain"))
        return false;
      persons[a("person_id")].second = a("tier");
      return true;
    }
    if (c.tool == "note_person") return only(2) && persons.contains(a("person_id"));
    if (c.tool == "set_capacity") {
      const auto n = c.args.integer("capacity", -1);
      if (!only(2) || !slots.contains(a("slot_id")) || n < 1 || n > 50) return false;
      slots[a("slot_id")].second = n;
      return true;
    }
    return false;
  }
};
}  // namespace

Oracle oracle() {
  return {[]() -> Result<std::vector<std::string>> { return World().facts(); },
          [](const std::vector<ToolCall>& calls) -> Result<std::vector<OracleStep>> {
            static const World start;
            static const auto initial = start.facts();
            World world = start;
            std::vector<OracleStep> out;
            for (const auto& c : calls) {
              OracleStep step;
              step.ok = world.apply(c);
              step.changed = true;
              const auto now = world.facts();
              std::set_difference(initial.begin(), initial.end(), now.begin(), now.end(),
                                  std::back_inserter(step.gone));
              std::set_difference(now.begin(), now.end(), initial.begin(), initial.end(),
                                  std::back_inserter(step.come));
              out.push_back(std::move(step));
            }
            return out;
          }};
}

}  // namespace seedbed::tasks::clinic
