// The model of a run and its tokenizer, and the arrays of a token record.
#include "agent/engine_client.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

#include "agent/episode_seed.h"
#include "agent/printable.h"
#include "base/text.h"
#include "engine_kit.h"

namespace seedbed {
namespace {

const test::EngineKit& kit() {
  static const test::EngineKit made({{"Done."}}, true);
  return made;
}
agent::EngineOptions options() {
  agent::EngineOptions o;
  o.model_dir = kit().dir;
  o.threads = 1;
  o.context = 512;
  o.cache_tokens = 4'096;
  return o;
}
std::string tokenizer_text() {
  std::ostringstream out;
  out << std::ifstream(kit().dir + "/tokenizer.json").rdbuf();
  return out.str();
}
// A folder with the kit's model and another tokenizer.
class OtherTokenizer {
 public:
  explicit OtherTokenizer(const std::string& text) {
    std::string pattern = std::filesystem::temp_directory_path() / "seedbed_agent_XXXXXX";
    dir = mkdtemp(pattern.data());
    for (const auto& entry : std::filesystem::directory_iterator(kit().dir))
      if (entry.path().filename() != "tokenizer.json")
        std::filesystem::create_symlink(entry.path(), dir + "/" + entry.path().filename().string());
    if (!text.empty()) std::ofstream(dir + "/tokenizer.json", std::ios::binary) << text;
  }
  ~OtherTokenizer() { std::filesystem::remove_all(dir); }
  OtherTokenizer(const OtherTokenizer&) = delete;
  OtherTokenizer& operator=(const OtherTokenizer&) = delete;
  [[nodiscard]] Error refused() const {
    auto o = options();
    o.model_dir = dir;
    auto opened = agent::EngineModel::open(o);
    EXPECT_FALSE(opened.ok());
    return opened.ok() ? Error{} : std::move(opened).error();
  }
  std::string dir;
};

TEST(EngineModel, RefusesATokenizerOfAnotherVocabulary) {
  const auto swap = [](std::string text, const std::string& from, const std::string& to) {
    return replace_all(std::move(text), from, to);
  };
  const std::string right = tokenizer_text();
  const struct {
    std::string text, says;
  } cases[] = {
      {"", "no such file"},
      {"{}", "tokenizer.json"},
      {swap(right, "<｜User｜>", "<｜Person｜>"), "no token '<｜User｜>'"},
      {swap(swap(swap(right, "<｜begin▁of▁sentence｜>", "@@"), "<｜end▁of▁sentence｜>",
                 "<｜begin▁of▁sentence｜>"),
            "@@", "<｜end▁of▁sentence｜>"),
       "bos_token_id"},
  };
  for (const auto& one : cases) {
    const Error error = OtherTokenizer(one.text).refused();
    EXPECT_EQ(error.where, Where::model) << error.message;  // exit code 3
    EXPECT_NE(error.message.find(one.says), std::string::npos) << error.message;
  }
  // Fewer tokens than the model has rows.
  engine::text::TrainOptions small;
  small.vocab_size = 300;
  small.added = engine::text::deepseek_chat_tokens();
  auto trainer = engine::text::BpeTrainer::make(small);
  const auto json = trainer->train();
  const Error error = OtherTokenizer(dump(*json)).refused();
  EXPECT_NE(error.message.find("rows"), std::string::npos) << error.message;
}

TEST(EngineModel, TextOfOthersNeverBecomesAMarker) {
  auto model = agent::EngineModel::open(options());
  ASSERT_TRUE(model.ok()) << model.error().message;
  std::string everything;
  for (const auto marker : engine::chat::kSpecials) everything += marker;
  const auto& vocabulary = (*model)->vocabulary();
  const auto plain = vocabulary.encode({{everything, false, 0}});
  for (const auto id : plain) EXPECT_FALSE(vocabulary.piece(id).special);
  EXPECT_EQ(vocabulary.tokenizer().decode(plain), everything);
  const auto marker = vocabulary.encode({{std::string(engine::chat::kUser), true, 0}});
  ASSERT_EQ(marker.size(), 1U);
  EXPECT_TRUE(vocabulary.piece(marker[0]).special);
}

TEST(EngineModel, ChecksParametersAndBoundsTheWindow) {
  auto o = options();
  auto model = agent::EngineModel::open(o);
  ASSERT_TRUE(model.ok());
  EXPECT_EQ((*model)->window(), 512);
  o.cache_tokens = 1;  // a whole episode fits, whatever is asked for
  model = agent::EngineModel::open(o);
  ASSERT_TRUE(model.ok());
  EXPECT_GE((*model)->engine().cache_tokens(), 512 + 64);
  EXPECT_LE((*model)->engine().cache_tokens(), 512 + 128);
  o.cache_tokens = 0;
  o.context = 1 << 20;
  model = agent::EngineModel::open(o);
  ASSERT_TRUE(model.ok());
  EXPECT_EQ((*model)->window(), 16'384);  // the model's positions
  const auto refused = [](auto change) {
    auto wrong = options();
    change(wrong);
    const auto opened = agent::EngineModel::open(wrong);
    return !opened.ok() && opened.error().where == Where::usage;
  };
  EXPECT_TRUE(refused([](auto& w) { w.top_p = 2; }));
  EXPECT_TRUE(refused([](auto& w) { w.max_tokens = 0; }));
  EXPECT_TRUE(refused([](auto& w) { w.chunk = -1; }));
  EXPECT_TRUE(refused([](auto& w) { w.max_batch = 0; }));
  EXPECT_TRUE(refused([](auto& w) { w.cache_tokens = -1; }));
}

TEST(EpisodeSeed, EachPartCountsAndItFitsAJsonInteger) {
  const std::uint64_t seed = agent::episode_seed(1, "task", 0);
  EXPECT_EQ(seed, agent::episode_seed(1, "task", 0));
  EXPECT_EQ(std::set<std::uint64_t>({seed, agent::episode_seed(2, "task", 0),
                                     agent::episode_seed(1, "tasj", 0),
                                     agent::episode_seed(1, "task", 1)})
                .size(),
            4U);
  for (std::int64_t sample = 0; sample < 64; ++sample)
    EXPECT_EQ(agent::episode_seed(1, "task", sample) >> 63, 0U);
}

TEST(TokenArrays, PackedArraysComeBackAndDamagedOnesAreRefused) {
  agent::TokenArrays a;
  a.add_given("system", {0, 5});
  a.add_given("user", {7});
  a.ids.push_back(9);
  a.mask.push_back(1);
  a.logprobs.push_back(-0.5F);
  a.raw_logprobs.push_back(-0.75F);
  a.kept_counts.push_back(2);
  a.kept_ids = {9, 11};
  a.spans.push_back({"assistant", 3, 4});
  a.moe_layers = 1;
  a.experts_per_token = 2;
  a.routed_experts = {0, 1, 2, 3, 4, 300};
  const auto packed = agent::pack(a);
  EXPECT_EQ(packed.sampled, 1);
  EXPECT_EQ(packed.routed, 3);
  EXPECT_EQ(packed.expert_bytes, 2);
  const auto back = agent::unpack(packed);
  ASSERT_TRUE(back.ok()) << back.error().message;
  EXPECT_EQ(back->ids, a.ids);
  EXPECT_EQ(back->logprobs, a.logprobs);
  EXPECT_EQ(back->kept_ids, a.kept_ids);
  EXPECT_EQ(back->routed_experts, a.routed_experts);
  EXPECT_EQ(back->spans.size(), 3U);
  const auto prefix = a.given_prefix(2);
  EXPECT_EQ(prefix.ids, (std::vector<std::int32_t>{0, 5}));
  EXPECT_EQ(prefix.spans.size(), 1U);

  using Branch = schemas::TokenBranch;
  const std::function<void(Branch&)> damages[] = {
      [](Branch& b) { b.count = -1; },         [](Branch& b) { b.count = 5; },
      [](Branch& b) { b.mask = "AAAAAA=="; },  [](Branch& b) { b.sampled = 2; },
      [](Branch& b) { b.kept_ids.clear(); },   [](Branch& b) { b.token_ids[0] = '!'; },
      [](Branch& b) { b.routed = 9; },         [](Branch& b) { b.spans[1].start = 3; },
      [](Branch& b) { b.spans.pop_back(); },   [](Branch& b) { b.moe_layers = 1LL << 40; },
      [](Branch& b) { b.logprobs += "AAAA"; },
  };
  for (const auto& damage : damages) {
    Branch broken = packed;
    damage(broken);
    const auto read = agent::unpack(broken);
    ASSERT_FALSE(read.ok());
    EXPECT_EQ(read.error().where, Where::store);
  }
}

TEST(TokenArrays, Base64IsTheUsualOne) {
  EXPECT_EQ(agent::base64(""), "");
  EXPECT_EQ(agent::base64("f"), "Zg==");
  EXPECT_EQ(agent::base64("fo"), "Zm8=");
  EXPECT_EQ(agent::base64("foobar"), "Zm9vYmFy");
  for (const char* wrong : {"Zg=", "Z===", "=g==", "Zg==Zg==", "Zm9\n"})
    EXPECT_FALSE(agent::from_base64(wrong).ok()) << wrong;
  EXPECT_EQ(*agent::from_base64("Zm8="), "fo");
}

TEST(Printable, BytesThatAreNoTextAreReplacedEverywhere) {
  EXPECT_EQ(agent::printable(std::string("a\xFF\xC3(\xE2\x82")),
            "a\xEF\xBF\xBD\xEF\xBF\xBD(\xEF\xBF\xBD\xEF\xBF\xBD");
  schemas::Value value = schemas::Value::object();
  schemas::Value items = schemas::Value::array();
  items.push(schemas::Value("\xFF"));
  value.set("k\xFE", std::move(items));
  EXPECT_TRUE(is_valid_utf8(dump(agent::printable(value))));
}

}  // namespace
}  // namespace seedbed
