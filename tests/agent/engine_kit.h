// A tiny model whose next token is known: every block adds little to the embedding, and the head
// says which tokens may follow which. Its own tokenizer has the pieces of some replies as tokens.
#pragma once
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "agent/prompt.h"
#include "base/rng.h"
#include "clinic_store.h"
#include "engine/chat/markers.h"
#include "engine/make_model.h"
#include "engine/text/bpe_train.h"
#include "engine/text/tokenizer.h"

namespace seedbed::test {

// What one reply is made of, in order; every piece is one token.
using Reply = std::vector<std::string>;

inline Reply dsml_call(const std::string& tool,
                       const std::string& name,
                       const std::string& value,
                       bool is_string = true) {
  Reply out{"\n\n<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"" + tool + "\">\n"};
  if (!name.empty())
    out.push_back("<｜DSML｜parameter name=\"" + name + "\" string=\"" +
                  (is_string ? "true" : "false") + "\">" + value + "</｜DSML｜parameter>");
  out.push_back(std::string(name.empty() ? "" : "\n") +
                "</｜DSML｜invoke>\n</｜DSML｜function_calls>");
  return out;
}

class EngineKit {
 public:
  // The replies that the model chooses from, each as likely as the others; reasoning before each
  // where the prompt opens it.
  explicit EngineKit(std::vector<Reply> replies, bool dsml_is_token = false) {
    std::string pattern = std::filesystem::temp_directory_path() / "seedbed_agent_XXXXXX";
    dir = mkdtemp(pattern.data());
    make_tokenizer(replies, dsml_is_token);
    make_model();
    write_head(replies);
  }
  ~EngineKit() {
    std::error_code ignored;
    std::filesystem::remove_all(dir, ignored);
  }
  EngineKit(const EngineKit&) = delete;
  EngineKit& operator=(const EngineKit&) = delete;

  [[nodiscard]] std::int32_t id(std::string_view token) const {
    const auto found = tokenizer().id_of(token);
    EXPECT_TRUE(found.has_value()) << token;
    return found.value_or(0);
  }
  [[nodiscard]] engine::text::Tokenizer tokenizer() const {
    auto loaded = engine::text::Tokenizer::load(dir);
    EXPECT_TRUE(loaded.ok()) << loaded.error().message;
    return *loaded;
  }

  static constexpr const char* kThought = "I should look it up.";
  std::string dir;

 private:
  void make_tokenizer(const std::vector<Reply>& replies, bool dsml_is_token) {
    std::vector<engine::text::AddedToken> added;
    for (auto& token : engine::text::deepseek_chat_tokens())
      if (dsml_is_token || token.content != engine::chat::kDsml) added.push_back(token);
    std::vector<std::string> pieces{kThought};
    for (const auto& reply : replies)
      for (const auto& piece : reply)
        if (std::find(pieces.begin(), pieces.end(), piece) == pieces.end()) pieces.push_back(piece);
    for (const auto& piece : pieces) {
      engine::text::AddedToken token;
      token.content = piece;
      added.push_back(token);
    }
    engine::text::TrainOptions options;
    options.vocab_size = 900;
    options.added = added;
    auto trainer = engine::text::BpeTrainer::make(options);
    ASSERT_TRUE(trainer.ok()) << trainer.error().message;
    trainer->add_text(agent::system_text(clinic_world::environment()));
    for (const auto& tool : clinic_world::environment().tools)
      trainer->add_text(schemas::dump_record(tool));
    auto json = trainer->train();
    ASSERT_TRUE(json.ok());
    std::ofstream(dir + "/tokenizer.json", std::ios::binary) << dump(*json);
  }

  void make_model() {
    auto json = schemas::read_json_file(std::string(SEEDBED_SOURCE_DIR) +
                                        "/tests/goldens/configs/moe.json");
    ASSERT_TRUE(json.ok());
    json->set("vocab_size", tokenizer().vocab_size());
    json->set("num_nextn_predict_layers", 0).set("max_position_embeddings", 16'384);
    auto config = engine::parse_model_config(*json, "moe.json");
    ASSERT_TRUE(config.ok()) << config.error().message;
    config->bos_token_id = id(engine::chat::kBos);
    config->eos_token_ids = {id(engine::chat::kEos)};
    engine::MakeModelOptions options;
    options.seed = 3;
    options.dtype = engine::DType::f32;
    options.threads = 1;
    const auto failed = engine::make_model(*config, options, dir);
    ASSERT_FALSE(failed) << failed->message;
    hidden_ = static_cast<std::size_t>(config->hidden_size);
    vocab_ = static_cast<std::size_t>(config->vocab_size);
  }

  // Changes the f32 tensors whose names end so, in place.
  void rewrite(const std::string& suffix, const std::function<void(std::vector<float>&)>& change) {
    std::string path;
    for (const auto& entry : std::filesystem::directory_iterator(dir))
      if (entry.path().extension() == ".safetensors") path = entry.path();
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    std::uint64_t size = 0;
    file.read(reinterpret_cast<char*>(&size), sizeof size);
    std::string text(size, '\0');
    file.read(text.data(), static_cast<std::streamsize>(size));
    const auto header = schemas::parse_json(text);
    ASSERT_TRUE(header.ok());
    int changed = 0;
    for (const auto& [name, tensor] : header->members()) {
      if (!std::string_view(name).ends_with(suffix)) continue;
      const auto& offsets = tensor.find("data_offsets")->items();
      std::vector<float> values(
          static_cast<std::size_t>(offsets[1].as_int() - offsets[0].as_int()) / sizeof(float));
      const auto bytes = static_cast<std::streamsize>(values.size() * sizeof(float));
      const auto place = static_cast<std::streamoff>(8 + size) + offsets[0].as_int();
      file.seekg(place);
      file.read(reinterpret_cast<char*>(values.data()), bytes);
      change(values);
      file.seekp(place);
      file.write(reinterpret_cast<const char*>(values.data()), bytes);
      ++changed;
    }
    ASSERT_TRUE(file && changed > 0) << suffix;
  }

  void write_head(const std::vector<Reply>& replies) {
    std::map<std::int32_t, std::vector<std::int32_t>> after;  // token -> those before it
    const auto follow = [&](std::string_view before, std::string_view next) {
      after[id(next)].push_back(id(before));
    };
    follow(engine::chat::kThink, kThought);
    follow(kThought, engine::chat::kEndThink);
    for (const auto& reply : replies) {
      std::string before(engine::chat::kEndThink);
      for (const auto& piece : reply) {
        follow(before, piece);
        before = piece;
      }
      follow(before, engine::chat::kEos);
    }
    std::vector<float> embedding(vocab_ * hidden_);
    Rng rng(17);
    for (float& x : embedding) x = rng.chance(1, 2) ? 1.0F : -1.0F;
    rewrite("embed_tokens.weight", [&](std::vector<float>& w) { w = embedding; });
    rewrite("model.norm.weight", [](std::vector<float>& w) { w.assign(w.size(), 1.0F); });
    for (const char* suffix : {"o_proj.weight", "down_proj.weight"})
      rewrite(suffix, [](std::vector<float>& w) {
        for (float& x : w) x *= 0.02F;
      });
    rewrite("lm_head.weight", [&](std::vector<float>& w) {
      w.assign(w.size(), 0.0F);
      for (const auto& [next, befores] : after)
        for (const auto before : befores)
          for (std::size_t i = 0; i < hidden_; ++i)
            w[static_cast<std::size_t>(next) * hidden_ + i] +=
                0.25F * embedding[static_cast<std::size_t>(before) * hidden_ + i];
    });
  }

  std::size_t hidden_ = 0, vocab_ = 0;
};

}  // namespace seedbed::test
