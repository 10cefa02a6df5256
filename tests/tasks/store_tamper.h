// Changes one thing in a store and computes every checksum anew: blob hashes, the task's id, the
// certificate's hash, the environment's id, the slot's digest. What it leaves opens, merges and
// reads like an honest store; only redoing the proof shows it.
#pragma once
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/hash.h"
#include "schemas/environment.h"
#include "schemas/task.h"
#include "tasks/store_state.h"

namespace seedbed::tasks {

struct TamperedTask {
  schemas::TaskSpec task;
  schemas::Verifier verifier;
  schemas::Gold gold;
  schemas::Certificate certificate;
};

class StoreTamper {
 public:
  explicit StoreTamper(const std::string& path)
      : db_(std::move(Db::open(path, Access::write).value())) {}

  // Rewrites the task in place and returns its id, new where its text changed.
  std::string task(const std::string& id, const std::function<void(TamperedTask&)>& change) {
    std::int64_t row = 0, slot = 0;
    std::string document;
    {
      Use find(*db_,
               "SELECT t.id, e.slot, b.hash, b.size, b.data FROM task t JOIN environment e ON e.id "
               "= t.environment JOIN blob b ON b.id = t.document WHERE t.hash = ?");
      if (!find.bind(id).step().value()) return "";
      row = find.integer(0), slot = find.integer(1);
      document =
          codec_.decompress(find.view(4), static_cast<std::size_t>(find.integer(3)), find.view(2))
              .value();
    }
    const std::string hash = write_task(row, document, change);
    write_digest(slot);
    return hash;
  }

  // Rewrites the environment and, since they name it, all of its tasks; their new ids.
  std::vector<std::string> environment(const std::string& id,
                                       const std::function<void(schemas::Environment&)>& change) {
    std::int64_t row = 0, slot = 0;
    schemas::Environment env;
    {
      Use find(*db_,
               "SELECT e.id, e.slot, b.hash, b.size, b.data FROM environment e JOIN blob b ON b.id "
               "= e.spec WHERE e.hash = ?");
      if (!find.bind(id).step().value()) return {};
      row = find.integer(0), slot = find.integer(1);
      env =
          schemas::parse_record<schemas::Environment>(
              codec_
                  .decompress(find.view(4), static_cast<std::size_t>(find.integer(3)), find.view(2))
                  .value(),
              "environment")
              .value();
    }
    change(env);
    const std::string spec = schemas::dump_record(env), hash = content_hash(spec);
    const std::int64_t blob = put_blob(spec);
    run(Use(*db_, "UPDATE environment SET hash = ?, spec = ? WHERE id = ?")
            .bind(hash)
            .bind(blob)
            .bind(row));
    std::vector<std::pair<std::int64_t, std::string>> tasks;
    {
      Use find(*db_,
               "SELECT t.id, b.hash, b.size, b.data FROM task t JOIN blob b ON b.id = t.document "
               "WHERE t.environment = ?");
      find.bind(row);
      while (find.step().value())
        tasks.emplace_back(
            find.integer(0),
            codec_.decompress(find.view(3), static_cast<std::size_t>(find.integer(2)), find.view(1))
                .value());
    }
    std::vector<std::string> out;
    for (const auto& [task, document] : tasks)
      out.push_back(
          write_task(task, document, [&](TamperedTask& t) { t.task.environment_id = hash; }));
    write_digest(slot);
    return out;
  }

 private:
  static void run(Use& use) {
    if (auto e = use.run()) throw std::runtime_error(e->message);
  }

  std::int64_t put_blob(const std::string& bytes) {
    const std::string hash = content_hash(bytes);
    {
      Use find(*db_, "SELECT id FROM blob WHERE hash = ?");
      if (find.bind(hash).step().value()) return find.integer(0);
    }
    const auto frame = codec_.compress(bytes).value();
    run(Use(*db_, "INSERT INTO blob (hash, size, data) VALUES (?, ?, ?)")
            .bind(hash)
            .bind(static_cast<std::int64_t>(bytes.size()))
            .bind_bytes(frame));
    return db_->last_row();
  }

  std::string write_task(std::int64_t row,
                         const std::string& document,
                         const std::function<void(TamperedTask&)>& change) {
    const auto sections = unpack_sections(document, 4).value();
    TamperedTask t{schemas::parse_record<schemas::TaskSpec>(sections[0], "task").value(),
                   schemas::parse_record<schemas::Verifier>(sections[1], "verifier").value(),
                   schemas::parse_record<schemas::Gold>(sections[2], "gold").value(),
                   schemas::parse_record<schemas::Certificate>(sections[3], "certificate").value()};
    change(t);
    const std::string id = schemas::task_id(t.task);
    t.certificate.task_id = id;
    const std::string s = schemas::dump_record(t.task), v = schemas::dump_record(t.verifier),
                      g = schemas::dump_record(t.gold), c = schemas::dump_record(t.certificate);
    const std::int64_t blob = put_blob(pack_sections({s, v, g, c}));
    run(Use(*db_, "UPDATE task SET hash = ?, certificate_hash = ?, document = ? WHERE id = ?")
            .bind(id)
            .bind(content_hash(c))
            .bind(blob)
            .bind(row));
    return id;
  }

  void write_digest(std::int64_t slot) {
    SlotRows rows{.slot = slot,
                  .environment = {},
                  .tasks = {},
                  .rejections = {},
                  .rejections_by_mechanism = {}};
    {
      Use find(*db_,
               "SELECT e.hash, b.hash, b.size, b.data FROM environment e JOIN blob b ON b.id = "
               "e.image WHERE e.slot = ?");
      if (find.bind(slot).step().value())
        rows.environment = EnvironmentRow{
            .hash = find.text(0),
            .schema_class = {},
            .core_schema_class = {},
            .spec = {},
            .image = codec_
                         .decompress(find.view(3), static_cast<std::size_t>(find.integer(2)),
                                     find.view(1))
                         .value()};
    }
    {
      Use find(*db_,
               "SELECT t.hash, b.hash, b.size, b.data FROM task t JOIN environment e ON e.id = "
               "t.environment JOIN blob b ON b.id = t.document WHERE e.slot = ? ORDER BY t.number");
      find.bind(slot);
      while (find.step().value())
        rows.tasks.push_back(
            {.hash = find.text(0),
             .kind = {},
             .certificate_hash = {},
             .masked_skeleton = {},
             .number = 0,
             .document = codec_
                             .decompress(find.view(3), static_cast<std::size_t>(find.integer(2)),
                                         find.view(1))
                             .value()});
    }
    run(Use(*db_, "UPDATE slot SET digest = ? WHERE number = ?").bind(digest_of(rows)).bind(slot));
  }

  std::unique_ptr<Db> db_;
  BlobCodec codec_;
};

}  // namespace seedbed::tasks
