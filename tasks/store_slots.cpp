// Environments and tasks: written a slot at a time, read by hash.
#include <algorithm>
#include <set>

#include "base/hash.h"
#include "base/text.h"
#include "tasks/selection.h"
#include "tasks/store_state.h"

namespace seedbed::tasks {
namespace {

constexpr std::size_t kTaskSections = 4;

Error slot_error(const std::string& path, std::int64_t slot, const std::string& found) {
  return make_error(Where::store, "store", path,
                    "slot " + std::to_string(slot) + " is not stored: " + found,
                    "report this: the generator broke its contract");
}

// What the generator promised; empty where it holds.
std::string broken_promise(const SlotRecord& record) {
  if (record.slot < 0) return "its number is negative";
  if (record.environment == nullptr)
    return record.tasks.empty() ? "" : "it has tasks without an environment";
  const auto& env = record.environment->environment();
  if (env.recipe.slot != record.slot)
    return "its environment says slot " + std::to_string(env.recipe.slot);
  if (schemas::environment_id(env) != record.environment->id())
    return "its environment has another hash";
  if (content_hash(record.environment->image()) != env.image_hash)
    return "the image is not the one that its environment names";
  std::set<std::int64_t> numbers;
  for (const auto& task : record.tasks) {
    const auto& spec = task.draft().task;
    if (spec.environment_id != record.environment->id())
      return "task " + std::to_string(spec.number) + " belongs to another environment";
    if (!numbers.insert(spec.number).second)
      return "two tasks have the number " + std::to_string(spec.number);
    if (task.certificate().task_id != schemas::task_id(spec))
      return "the certificate of task " + std::to_string(spec.number) + " is another task's";
  }
  return "";
}

std::vector<GateCount> summed(const std::vector<GateCount>& counts) {
  std::map<std::string, std::int64_t> by_gate;
  for (const auto& c : counts) by_gate[c.gate] += c.count;
  std::vector<GateCount> out;
  out.reserve(by_gate.size());
  for (const auto& [gate, count] : by_gate) out.push_back({gate, count});
  return out;
}

std::vector<MechanismCount> summed(const std::vector<MechanismCount>& counts) {
  std::map<std::pair<std::string, std::string>, std::int64_t> by_key;
  for (const auto& c : counts) by_key[{c.gate, c.mechanism}] += c.count;
  std::vector<MechanismCount> out;
  out.reserve(by_key.size());
  for (const auto& [key, count] : by_key) out.push_back({key.first, key.second, count});
  return out;
}

TaskRow task_row(const schemas::TaskSpec& spec,
                 const schemas::Verifier& verifier,
                 const schemas::Gold& gold,
                 const schemas::Certificate& certificate) {
  const std::string s = schemas::dump_record(spec), v = schemas::dump_record(verifier),
                    g = schemas::dump_record(gold), c = schemas::dump_record(certificate);
  return {.hash = content_hash(s),
          .kind = spec.kind,
          .certificate_hash = content_hash(c),
          .masked_skeleton = masked_skeleton(spec.prompt),
          .number = spec.number,
          .document = pack_sections({s, v, g, c})};
}

SlotRows rows_of(const SlotRecord& record) {
  SlotRows rows{.slot = record.slot,
                .environment = {},
                .tasks = {},
                .rejections = summed(record.rejections),
                .rejections_by_mechanism = summed(record.rejections_by_mechanism)};
  if (record.environment != nullptr) {
    const auto& env = record.environment->environment();
    rows.environment = EnvironmentRow{.hash = record.environment->id(),
                                      .schema_class = env.recipe.schema_class,
                                      .core_schema_class = env.recipe.core_schema_class,
                                      .spec = schemas::dump_record(env),
                                      .image = record.environment->image()};
  }
  for (const auto& task : record.tasks)
    rows.tasks.push_back(
        task_row(task.draft().task, task.draft().verifier, task.draft().gold, task.certificate()));
  std::sort(rows.tasks.begin(), rows.tasks.end(),
            [](const auto& a, const auto& b) { return a.number < b.number; });
  return rows;
}

struct TaskDocument {
  schemas::TaskSpec task;
  schemas::Verifier verifier;
  schemas::Gold gold;
  schemas::Certificate certificate;
};

Result<TaskDocument> read_document(std::string_view bytes, const std::string& id) {
  SEEDBED_TRY(const auto sections, unpack_sections(bytes, kTaskSections));
  if (content_hash(sections[0]) != id)
    return make_error(Where::store, "task", id, "its content has another hash", "");
  TaskDocument out;
  SEEDBED_TRY(out.task, schemas::parse_record<schemas::TaskSpec>(sections[0], "task " + id));
  SEEDBED_TRY(out.verifier,
              schemas::parse_record<schemas::Verifier>(sections[1], "verifier of task " + id));
  SEEDBED_TRY(out.gold, schemas::parse_record<schemas::Gold>(sections[2], "gold of task " + id));
  SEEDBED_TRY(out.certificate, schemas::parse_record<schemas::Certificate>(
                                   sections[3], "certificate of task " + id));
  if (out.certificate.task_id != id)
    return make_error(Where::store, "task", id, "its certificate is another task's", "");
  return out;
}

Result<StoredEnvironment> read_environment(const std::string& hash,
                                           std::string_view spec,
                                           std::string image) {
  if (content_hash(spec) != hash)
    return make_error(Where::store, "environment", hash, "its content has another hash", "");
  StoredEnvironment out{.id = hash, .environment = {}, .image = std::move(image)};
  SEEDBED_TRY(out.environment,
              schemas::parse_record<schemas::Environment>(spec, "environment " + hash));
  if (content_hash(out.image) != out.environment.image_hash)
    return make_error(Where::store, "environment", hash, "its image has another hash", "");
  return out;
}

Error absent(const std::string& path, std::string_view kind, const std::string& id) {
  return make_error(Where::store, "store", path, "has no " + std::string(kind) + " '" + id + "'",
                    "'seedbed show STORE' lists the ids");
}

Result<TaskDocument> load_task(Store::State& state, const std::string& id) {
  std::int64_t document = 0;
  {
    Use find(*state.db, "SELECT document FROM task WHERE hash = ?");
    SEEDBED_TRY(const bool found, find.bind(id).step());
    if (!found) return absent(state.db->path(), "task", id);
    document = find.integer(0);
  }
  SEEDBED_TRY(const std::string bytes, state.blob(document));
  auto out = read_document(bytes, id);
  if (!out.ok()) return state.db->damaged(out.error().message);
  return out;
}

}  // namespace

std::string digest_of(const SlotRows& rows) {
  std::string lines = "slot " + std::to_string(rows.slot) + "\n";
  if (rows.environment)
    lines += "environment " + rows.environment->hash + " " + content_hash(rows.environment->image) +
             "\n";
  for (const auto& task : rows.tasks)
    lines += "task " + task.hash + " " + content_hash(task.document) + "\n";
  return content_hash(lines);
}

Result<std::set<std::int64_t>> Store::finished_slots() {
  std::set<std::int64_t> out;
  Use rows(*state_->db, "SELECT number FROM slot");
  for (;;) {
    SEEDBED_TRY(const bool row, rows.step());
    if (!row) return out;
    out.insert(rows.integer(0));
  }
}

Step Store::put_slot(SlotRecord record) {
  if (const std::string broken = broken_promise(record); !broken.empty())
    return slot_error(state_->db->path(), record.slot, broken);
  const SlotRows rows = rows_of(record);
  const std::string digest = digest_of(rows);
  {
    Use find(*state_->db, "SELECT digest FROM slot WHERE number = ?");
    SEEDBED_TRY(const bool found, find.bind(rows.slot).step());
    if (found && find.view(0) == digest) return std::nullopt;
    if (found)
      return slot_error(state_->db->path(), rows.slot, "it is stored already with another content");
  }
  if (rows.environment) {
    SEEDBED_TRY(const std::int64_t other, state_->row_of("environment", rows.environment->hash));
    if (other != 0)
      return slot_error(state_->db->path(), rows.slot, "its environment belongs to another slot");
  }
  return state_->record([&] { return state_->write_slot(rows, digest); });
}

Step Store::State::write_slot(const SlotRows& rows, const std::string& digest) {
  if (auto e = Use(*db, "INSERT INTO slot (number, digest) VALUES (?, ?)")
                   .bind(rows.slot)
                   .bind(digest)
                   .run())
    return e;
  for (const auto& r : rows.rejections)
    if (auto e = Use(*db, "INSERT INTO rejection (slot, gate, count) VALUES (?, ?, ?)")
                     .bind(rows.slot)
                     .bind(r.gate)
                     .bind(r.count)
                     .run())
      return e;
  for (const auto& r : rows.rejections_by_mechanism)
    if (auto e = Use(*db,
                     "INSERT INTO rejection_mechanism (slot, gate, mechanism, count) VALUES (?, ?, "
                     "?, ?)")
                     .bind(rows.slot)
                     .bind(r.gate)
                     .bind(r.mechanism)
                     .bind(r.count)
                     .run())
      return e;
  if (!rows.environment) return std::nullopt;
  SEEDBED_TRY(const std::int64_t spec, put_blob(rows.environment->spec));
  SEEDBED_TRY(const std::int64_t image, put_blob(rows.environment->image));
  if (auto e = Use(*db,
                   "INSERT INTO environment (hash, slot, schema_class, core_schema_class, "
                   "selected, spec, image) VALUES (?, ?, ?, ?, 0, ?, ?)")
                   .bind(rows.environment->hash)
                   .bind(rows.slot)
                   .bind(rows.environment->schema_class)
                   .bind(rows.environment->core_schema_class)
                   .bind(spec)
                   .bind(image)
                   .run())
    return e;
  const std::int64_t environment = db->last_row();
  for (const auto& task : rows.tasks) {
    SEEDBED_TRY(const std::int64_t document, put_blob(task.document));
    if (auto e = Use(*db,
                     "INSERT INTO task (hash, environment, number, kind, certificate_hash, "
                     "selected, document, masked_skeleton) VALUES (?, ?, ?, ?, ?, 0, ?, ?)")
                     .bind(task.hash)
                     .bind(environment)
                     .bind(task.number)
                     .bind(task.kind)
                     .bind(task.certificate_hash)
                     .bind(document)
                     .bind(task.masked_skeleton)
                     .run())
      return e;
  }
  return std::nullopt;
}

Result<SlotRows> Store::State::read_slot(std::int64_t slot) {
  SlotRows rows{.slot = slot,
                .environment = {},
                .tasks = {},
                .rejections = {},
                .rejections_by_mechanism = {}};
  std::string digest;
  {
    Use find(*db, "SELECT digest FROM slot WHERE number = ?");
    SEEDBED_TRY(const bool found, find.bind(slot).step());
    if (!found) return db->damaged("slot " + std::to_string(slot) + " is missing");
    digest = find.text(0);
  }
  {
    Use find(*db, "SELECT gate, count FROM rejection WHERE slot = ? ORDER BY gate");
    find.bind(slot);
    for (;;) {
      SEEDBED_TRY(const bool row, find.step());
      if (!row) break;
      if (!is_valid_utf8(find.view(0))) return db->damaged("a gate's name is not UTF-8");
      rows.rejections.push_back({find.text(0), find.integer(1)});
    }
  }
  {
    Use find(*db,
             "SELECT gate, mechanism, count FROM rejection_mechanism WHERE slot = ? ORDER BY gate, "
             "mechanism");
    find.bind(slot);
    for (;;) {
      SEEDBED_TRY(const bool row, find.step());
      if (!row) break;
      if (!is_valid_utf8(find.view(0)) || !is_valid_utf8(find.view(1)))
        return db->damaged("a mechanism's name is not UTF-8");
      rows.rejections_by_mechanism.push_back({find.text(0), find.text(1), find.integer(2)});
    }
  }
  std::string hash;
  std::int64_t spec = 0, image = 0;
  {
    Use find(*db, "SELECT hash, spec, image FROM environment WHERE slot = ?");
    SEEDBED_TRY(const bool found, find.bind(slot).step());
    if (found) {
      hash = find.text(0);
      spec = find.integer(1);
      image = find.integer(2);
    }
  }
  if (!hash.empty()) {
    EnvironmentRow row{
        .hash = hash, .schema_class = {}, .core_schema_class = {}, .spec = {}, .image = {}};
    SEEDBED_TRY(row.spec, blob(spec));
    SEEDBED_TRY(row.image, blob(image));
    auto env = read_environment(hash, row.spec, row.image);
    if (!env.ok()) return db->damaged(env.error().message);
    row.schema_class = env->environment.recipe.schema_class;
    row.core_schema_class = env->environment.recipe.core_schema_class;
    rows.environment = std::move(row);
    SEEDBED_TRY(const auto tasks, strings("SELECT t.hash FROM task t JOIN environment e ON e.id = "
                                          "t.environment WHERE e.hash = ? ORDER BY t.number",
                                          &hash));
    for (const auto& id : tasks) {
      SEEDBED_TRY(const auto document, load_task(*this, id));
      if (document.task.environment_id != hash)
        return db->damaged("task " + id + " belongs to another environment");
      rows.tasks.push_back(
          task_row(document.task, document.verifier, document.gold, document.certificate));
    }
  }
  if (digest_of(rows) != digest)
    return db->damaged("slot " + std::to_string(slot) +
                       " does not have the content that its digest says");
  return rows;
}

Result<std::vector<GateCount>> Store::rejections() {
  std::vector<GateCount> out;
  Use rows(*state_->db, "SELECT gate, sum(count) FROM rejection GROUP BY gate ORDER BY gate");
  for (;;) {
    SEEDBED_TRY(const bool row, rows.step());
    if (!row) return out;
    if (!is_valid_utf8(rows.view(0))) return state_->db->damaged("a gate's name is not UTF-8");
    out.push_back({rows.text(0), rows.integer(1)});
  }
}

Result<std::vector<MechanismCount>> Store::rejections_by_mechanism() {
  std::vector<MechanismCount> out;
  Use rows(*state_->db,
           "SELECT gate, mechanism, sum(count) FROM rejection_mechanism GROUP BY gate, mechanism "
           "ORDER BY gate, mechanism");
  for (;;) {
    SEEDBED_TRY(const bool row, rows.step());
    if (!row) return out;
    if (!is_valid_utf8(rows.view(0)) || !is_valid_utf8(rows.view(1)))
      return state_->db->damaged("a mechanism's name is not UTF-8");
    out.push_back({rows.text(0), rows.text(1), rows.integer(2)});
  }
}

Result<std::vector<std::string>> Store::environment_ids() {
  return state_->strings("SELECT hash FROM environment WHERE selected = 1 ORDER BY slot");
}

Result<std::vector<std::string>> Store::task_ids() {
  return state_->strings(
      "SELECT t.hash FROM task t JOIN environment e ON e.id = t.environment WHERE t.selected = 1 "
      "ORDER BY e.slot, t.number");
}

Result<std::vector<std::string>> Store::task_ids_of(const std::string& environment_id) {
  return state_->strings(
      "SELECT t.hash FROM task t JOIN environment e ON e.id = t.environment WHERE t.selected = 1 "
      "AND e.hash = ? ORDER BY t.number",
      &environment_id);
}

Result<StoredEnvironment> Store::environment(const std::string& id) {
  std::int64_t spec = 0, image = 0;
  {
    Use find(*state_->db, "SELECT spec, image FROM environment WHERE hash = ?");
    SEEDBED_TRY(const bool found, find.bind(id).step());
    if (!found) return absent(state_->db->path(), "environment", id);
    spec = find.integer(0);
    image = find.integer(1);
  }
  SEEDBED_TRY(const std::string json, state_->blob(spec));
  SEEDBED_TRY(std::string bytes, state_->blob(image));
  auto out = read_environment(id, json, std::move(bytes));
  if (!out.ok()) return state_->db->damaged(out.error().message);
  return out;
}

Result<StoredTask> Store::task(const std::string& id) {
  SEEDBED_TRY(auto document, load_task(*state_, id));
  return StoredTask{.id = id,
                    .task = std::move(document.task),
                    .verifier = std::move(document.verifier),
                    .gold = std::move(document.gold),
                    .certificate = std::move(document.certificate)};
}

Result<schemas::Certificate> Store::certificate(const std::string& task_id) {
  SEEDBED_TRY(auto document, load_task(*state_, task_id));
  return std::move(document.certificate);
}

}  // namespace seedbed::tasks
