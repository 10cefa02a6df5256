// verify-pack on stores that were changed by somebody who computed every checksum anew.
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "../tasks/store_tamper.h"
#include "envgen/generate.h"
#include "fixture.h"

namespace seedbed::envgen {
namespace {

namespace fs = std::filesystem;
using tasks::StoreTamper;
using tasks::TamperedTask;

class VerifyPack : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = fs::temp_directory_path() / ("seedbed-verify-pack-" + std::to_string(::getpid()));
    fs::create_directories(folder_);
    auto store = tasks::Store::open(honest(), {.create = true});
    ASSERT_TRUE(store.ok()) << store.error().message;
    GenOptions options;
    options.request = request_of(3, 6);
    ASSERT_FALSE((*store)->set_request(options.request));
    auto made = generate(**store, load_packs({}).value(), options, unjailed(), nullptr, stop_);
    ASSERT_TRUE(made.ok()) << made.error().message;
    ASSERT_FALSE((*store)->select());
    ASSERT_FALSE((*store)->checkpoint());
  }
  static void TearDownTestSuite() { fs::remove_all(folder_); }

  static std::string honest() { return (folder_ / "honest.db").string(); }
  // A copy of the honest store, to be changed.
  std::string copy() const {
    const auto path =
        folder_ /
        (std::string(testing::UnitTest::GetInstance()->current_test_info()->name()) + ".db");
    fs::copy_file(honest(), path, fs::copy_options::overwrite_existing);
    return path.string();
  }
  static std::vector<VerifyFailure> verify(const std::string& path) {
    auto store = tasks::Store::open(path, {.read_only = true});
    EXPECT_TRUE(store.ok()) << (store.ok() ? "" : store.error().message);
    auto summary = verify_pack(**store, load_packs({}).value(), 0, unjailed(), nullptr, stop_);
    EXPECT_TRUE(summary.ok()) << (summary.ok() ? "" : summary.error().message);
    return summary.ok() ? summary->failed : std::vector<VerifyFailure>();
  }
  // The first task that the function takes, with its record.
  static std::string task_where(const std::string& path,
                                const std::function<bool(const tasks::StoredTask&)>& wanted) {
    auto store = tasks::Store::open(path, {.read_only = true}).value();
    const std::vector<std::string> ids = store->task_ids().value();
    for (const auto& id : ids)
      if (wanted(store->task(id).value())) return id;
    ADD_FAILURE() << "no task of that kind";
    return "";
  }
  static std::string all(const std::vector<VerifyFailure>& failed) {
    std::string out;
    for (const auto& f : failed) out += f.task + " " + f.gate + ": " + f.why + "\n";
    return out;
  }
  // Whether everything that is named is this task, and this part is among it, with the word.
  static void names(const std::vector<VerifyFailure>& failed,
                    const std::string& task,
                    const std::string& gate,
                    const std::string& word) {
    bool found = false;
    for (const auto& f : failed) {
      EXPECT_EQ(f.task, task) << all(failed);
      found = found || (f.gate == gate && f.why.find(word) != std::string::npos);
    }
    EXPECT_TRUE(found) << "wanted " << gate << " with '" << word << "', found:\n" << all(failed);
  }

  inline static fs::path folder_;
  inline static std::atomic<bool> stop_{false};
};

TEST_F(VerifyPack, AnHonestStorePasses) {
  EXPECT_EQ(all(verify(honest())), "");
}

TEST_F(VerifyPack, AVerifierThatWantsAnotherAnswerIsNamedAndGoldFailsUnderIt) {
  const auto path = copy();
  const auto id = task_where(path, [](const auto& t) {
    return !t.verifier.answer.empty() && t.verifier.answer[0].type != schemas::AnswerType::set;
  });
  const auto wrong = [](TamperedTask& t) {
    auto& field = t.verifier.answer[0];
    field.accept[0] = field.type == schemas::AnswerType::date ? "1999-12-31" : "987654321";
  };
  EXPECT_EQ(StoreTamper(path).task(id, wrong), id);
  const auto failed = verify(path);
  names(failed, id, "verifier", "answer[0].accept[0] is \"");
  names(failed, id, "G1", "gold is not solved");
}

TEST_F(VerifyPack, AVerifierThatWantsLessIsNamed) {
  const auto path = copy();
  const auto id = task_where(path, [](const auto& t) {
    return t.verifier.delta.size() > 0 && t.verifier.answer.size() > 0;
  });
  StoreTamper(path).task(id, [](TamperedTask& t) { t.verifier.answer.clear(); });
  names(verify(path), id, "verifier", "answer has 0 items");
}

TEST_F(VerifyPack, AnObligationTakenAwayIsNamed) {
  const auto path = copy();
  const auto id = task_where(path, [](const auto& t) { return t.verifier.obligations.size() > 0; });
  StoreTamper(path).task(id, [](TamperedTask& t) { t.verifier.obligations.pop_back(); });
  names(verify(path), id, "verifier", "obligations");
}

TEST_F(VerifyPack, AnotherSeedIsNamedForEveryTaskOfItsEnvironment) {
  const auto path = copy();
  std::string env;
  {
    auto store = tasks::Store::open(path, {.read_only = true}).value();
    env = store->environment_ids().value()[1];
  }
  const auto ids =
      StoreTamper(path).environment(env, [](schemas::Environment& e) { e.recipe.seed = "6"; });
  std::set<std::string> named;
  for (const auto& f : verify(path)) {
    EXPECT_EQ(f.gate, "seed");
    EXPECT_NE(f.why.find("recipe.seed is \"6\", \"5\" is given"), std::string::npos) << f.why;
    named.insert(f.task);
  }
  auto store = tasks::Store::open(path, {.read_only = true}).value();
  std::set<std::string> kept;
  for (const auto& id : ids) {
    const std::vector<std::string> all_kept = store->task_ids().value();
    if (std::find(all_kept.begin(), all_kept.end(), id) != all_kept.end()) kept.insert(id);
  }
  EXPECT_EQ(named, kept);
  EXPECT_EQ(named.size(), 6U);
}

TEST_F(VerifyPack, AnotherAttemptOfTheSlotIsNamed) {
  const auto path = copy();
  std::string env;
  {
    auto store = tasks::Store::open(path, {.read_only = true}).value();
    env = store->environment_ids().value()[0];
  }
  StoreTamper(path).environment(env, [](schemas::Environment& e) { e.recipe.attempt += 1; });
  const auto failed = verify(path);
  ASSERT_EQ(failed.size(), 6U) << all(failed);
  EXPECT_NE(failed[0].why.find("recipe.attempt"), std::string::npos) << failed[0].why;
}

TEST_F(VerifyPack, ACertificateThatClaimsMoreIsNamed) {
  const auto path = copy();
  const auto id = task_where(path, [](const auto&) { return true; });
  StoreTamper(path).task(id, [](TamperedTask& t) { t.certificate.gates[5].checked += 7; });
  const auto failed = verify(path);
  ASSERT_EQ(failed.size(), 1U) << all(failed);
  names(failed, id, "certificate", "gates[5].checked");
}

TEST_F(VerifyPack, AnotherPromptOrPlanIsNamed) {
  const auto path = copy();
  const auto id = task_where(path, [](const auto& t) { return t.gold.steps.size() > 2; });
  const auto changed = StoreTamper(path).task(id, [](TamperedTask& t) {
    t.task.prompt += " Thank you.";
    t.gold.steps.erase(t.gold.steps.end() - 2);
  });
  EXPECT_NE(changed, id);
  const auto failed = verify(path);
  names(failed, changed, "task", "prompt");
  names(failed, changed, "gold", "steps");
}

}  // namespace
}  // namespace seedbed::envgen
