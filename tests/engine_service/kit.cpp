#include "kit.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

#include "base/rng.h"
#include "base/text.h"
#include "engine/chat/markers.h"
#include "engine/make_model.h"
#include "engine/text/bpe_train.h"

namespace seedbed::test {

using schemas::Value;

ServiceKit::ServiceKit(const std::vector<Reply>& replies, Options options) : options_(options) {
  std::string pattern = std::filesystem::temp_directory_path() / "seedbed_service_XXXXXX";
  dir = mkdtemp(pattern.data());
  make_tokenizer(replies);
  if (!options_.weights) return;
  make_model();
  write_head(replies);
}

ServiceKit::~ServiceKit() {
  std::error_code ignored;
  std::filesystem::remove_all(dir, ignored);
}

std::int32_t ServiceKit::id(std::string_view piece) const {
  static thread_local std::map<std::string, engine::text::Tokenizer> loaded;
  auto at = loaded.find(dir);
  if (at == loaded.end()) {
    auto tokenizer = engine::text::Tokenizer::load(dir);
    EXPECT_TRUE(tokenizer.ok()) << tokenizer.error().message;
    at = loaded.emplace(dir, *tokenizer).first;
  }
  const auto found = at->second.id_of(piece);
  EXPECT_TRUE(found.has_value()) << piece;
  return found.value_or(0);
}

void ServiceKit::make_tokenizer(const std::vector<Reply>& replies) {
  std::vector<engine::text::AddedToken> added;
  for (auto& token : engine::text::deepseek_chat_tokens())
    if (options_.dsml_is_token || token.content != engine::chat::kDsml) added.push_back(token);
  std::vector<std::string> pieces{kThought};
  const auto add = [&](const std::string& piece) {
    if (piece.size() == 1) return;  // every vocabulary has the bytes
    if (std::any_of(added.begin(), added.end(),
                    [&](const auto& token) { return token.content == piece; }))
      return;
    if (std::find(pieces.begin(), pieces.end(), piece) == pieces.end()) pieces.push_back(piece);
  };
  for (const auto& reply : replies)
    for (const auto& piece : reply) add(piece);
  for (const auto& piece : options_.more_pieces) add(piece);
  for (const auto& piece : pieces) {
    engine::text::AddedToken token;
    token.content = piece;
    added.push_back(token);
  }
  engine::text::TrainOptions options;
  options.vocab_size = static_cast<std::int32_t>(added.size()) + 320;
  options.added = added;
  auto trainer = engine::text::BpeTrainer::make(options);
  ASSERT_TRUE(trainer.ok()) << trainer.error().message;
  trainer->add_text("the weather of the town, the town of the weather; what is it, is it the one?");
  auto json = trainer->train();
  ASSERT_TRUE(json.ok());
  std::ofstream(dir + "/tokenizer.json", std::ios::binary) << dump(*json);
}

engine::ModelConfig ServiceKit::config() const {
  auto json =
      schemas::read_json_file(std::string(SEEDBED_SOURCE_DIR) + "/tests/goldens/configs/moe.json");
  EXPECT_TRUE(json.ok());
  auto tokenizer = engine::text::Tokenizer::load(dir);
  EXPECT_TRUE(tokenizer.ok());
  json->set("vocab_size", static_cast<std::int64_t>(tokenizer->vocab_size()));
  json->set("num_nextn_predict_layers", 0).set("max_position_embeddings", 4'096);
  auto config = engine::parse_model_config(*json, "moe.json");
  EXPECT_TRUE(config.ok()) << config.error().message;
  config->bos_token_id = id(engine::chat::kBos);
  config->eos_token_ids = {id(engine::chat::kEos)};
  return *config;
}

void ServiceKit::make_model() {
  engine::MakeModelOptions options;
  options.seed = options_.seed;
  options.dtype = engine::DType::f32;
  options.threads = 1;
  const auto failed = engine::make_model(config(), options, dir);
  ASSERT_FALSE(failed) << failed->message;
}

void ServiceKit::rewrite(const std::string& suffix,
                         const std::function<void(std::vector<float>&)>& change) {
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
    std::vector<float> values(static_cast<std::size_t>(offsets[1].as_int() - offsets[0].as_int()) /
                              sizeof(float));
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

void ServiceKit::write_head(const std::vector<Reply>& replies) {
  std::map<std::int32_t, std::vector<std::int32_t>> after;  // token -> those before it
  const auto follow = [&](std::string_view before, std::string_view next) {
    auto& befores = after[id(next)];
    if (std::find(befores.begin(), befores.end(), id(before)) == befores.end())
      befores.push_back(id(before));
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
  const engine::ModelConfig made = config();
  const auto hidden = static_cast<std::size_t>(made.hidden_size);
  std::vector<float> embedding(static_cast<std::size_t>(made.vocab_size) * hidden);
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
        for (std::size_t i = 0; i < hidden; ++i)
          w[static_cast<std::size_t>(next) * hidden + i] +=
              0.25F * embedding[static_cast<std::size_t>(before) * hidden + i];
  });
}

std::unique_ptr<engine::Engine> ServiceKit::engine(std::int64_t cache_tokens) const {
  engine::EngineOptions options;
  options.model_dir = dir;
  options.model.threads = 1;
  options.kv_dtype = engine::DType::f32;
  options.cache_tokens = cache_tokens;
  auto opened = engine::Engine::open(options);
  EXPECT_TRUE(opened.ok()) << opened.error().message;
  return *std::move(opened);
}

engine::service::ChatVocabulary ServiceKit::vocabulary() const {
  auto opened = engine::service::ChatVocabulary::open(dir, config());
  EXPECT_TRUE(opened.ok()) << opened.error().message;
  return *std::move(opened);
}

// ---- exchanges ----

Value Client::Answer::json() const {
  return parsed(body);
}

std::vector<Value> Client::Answer::chunks() const {
  std::vector<Value> out;
  for (const auto& event : events)
    if (event != "[DONE]") out.push_back(parsed(event));
  return out;
}

std::string Client::Answer::header(const std::string& name) const {
  for (const auto& [key, value] : headers)
    if (key == name) return value;
  return "";
}

std::shared_ptr<Client::Pending> Client::begin(const std::string& method,
                                               const std::string& path,
                                               const std::string& body) {
  auto pending = std::make_shared<Pending>();
  auto exchange = std::make_shared<engine::service::Exchange>();
  exchange->method = method;
  exchange->path = path;
  exchange->body = body;
  exchange->authorization = authorization;
  exchange->session = session;
  exchange->reply = [pending](engine::service::HttpReply reply) {
    const std::lock_guard lock(pending->mutex);
    EXPECT_FALSE(pending->over || pending->begun) << "answered twice";
    pending->answer.status = reply.status;
    pending->answer.type = reply.content_type;
    pending->answer.body = std::move(reply.body);
    pending->answer.headers = std::move(reply.headers);
    pending->over = true;
    pending->changed.notify_all();
  };
  exchange->begin_stream = [pending](std::string type) {
    const std::lock_guard lock(pending->mutex);
    EXPECT_FALSE(pending->over || pending->begun) << "begun twice";
    pending->begun = true;
    pending->answer.status = 200;
    pending->answer.streamed = true;
    pending->answer.type = std::move(type);
  };
  exchange->send = [pending](std::string bytes) {
    const std::lock_guard lock(pending->mutex);
    EXPECT_TRUE(pending->begun && !pending->over) << bytes;
    pending->bytes += bytes;
    pending->changed.notify_all();
  };
  exchange->end_stream = [pending] {
    const std::lock_guard lock(pending->mutex);
    EXPECT_TRUE(pending->begun && !pending->over);
    pending->over = true;
    pending->changed.notify_all();
  };
  exchange->on_gone = [pending](std::function<void()> gone) {
    const std::lock_guard lock(pending->mutex);
    pending->gone = std::move(gone);
    pending->changed.notify_all();
  };
  api_.handle(exchange);
  return pending;
}

Client::Answer Client::Pending::wait() {
  std::unique_lock lock(mutex);
  const bool came = changed.wait_for(lock, std::chrono::seconds(60), [this] { return over; });
  EXPECT_TRUE(came) << "no answer; so far: " << bytes;
  Answer out = answer;
  std::size_t at = 0;
  while (at < bytes.size()) {
    const auto end = bytes.find("\n\n", at);
    EXPECT_NE(end, std::string::npos) << bytes.substr(at);
    if (end == std::string::npos) break;
    EXPECT_EQ(bytes.substr(at, 6), "data: ");
    out.events.push_back(bytes.substr(at + 6, end - at - 6));
    at = end + 2;
  }
  return out;
}

void Client::Pending::wait_for_bytes() {
  std::unique_lock lock(mutex);
  EXPECT_TRUE(
      changed.wait_for(lock, std::chrono::seconds(60), [this] { return over || !bytes.empty(); }));
}

void Client::Pending::leave() {
  std::function<void()> tell;
  {
    std::unique_lock lock(mutex);
    EXPECT_TRUE(changed.wait_for(lock, std::chrono::seconds(60),
                                 [this] { return over || gone != nullptr; }));
    tell = gone;
  }
  if (tell) tell();
}

Client::Answer Client::send(const std::string& method,
                            const std::string& path,
                            const std::string& body) {
  return begin(method, path, body)->wait();
}

Client::Answer Client::post(const std::string& path, const std::string& body) {
  return send("POST", path, body);
}

Client::Answer Client::get(const std::string& path) {
  return send("GET", path, "");
}

Value parsed(const std::string& json) {
  auto value = schemas::parse_json(json);
  EXPECT_TRUE(value.ok()) << (value.ok() ? "" : value.error().message) << "\n" << json;
  return value.ok() ? *std::move(value) : Value();
}

std::string chat_body(const std::string& text, const std::string& more) {
  return R"({"messages": [{"role": "user", "content": )" + dump(Value(text)) + "}]" +
         (more.empty() ? "" : ", " + more) + "}";
}

Served::Served(const ServiceKit& kit,
               engine::service::ApiOptions options,
               std::int64_t cache_tokens)
    : engine(kit.engine(cache_tokens)),
      vocabulary(kit.vocabulary()),
      api(std::make_unique<engine::service::Api>(*engine, vocabulary, std::move(options))),
      client(*api) {}

Value joined(const std::vector<Value>& chunks, std::int64_t choice) {
  std::string content, reasoning;
  Value finish;
  Value calls = Value::array();
  for (const auto& chunk : chunks) {
    const Value* choices = chunk.find("choices");
    if (choices == nullptr) continue;
    for (const auto& item : choices->items()) {
      if (item.integer("index") != choice) continue;
      if (!item.find("finish_reason")->is_null()) finish = *item.find("finish_reason");
      const Value& delta = *item.find("delta");
      content += delta.text("content");
      reasoning += delta.text("reasoning_content");
      const Value* more = delta.find("tool_calls");
      if (more == nullptr) continue;
      for (const auto& call : more->items()) {
        const auto index = static_cast<std::size_t>(call.integer("index"));
        const Value& function = *call.find("function");
        if (call.find("id") != nullptr) {
          EXPECT_EQ(index, calls.items().size());
          Value one = Value::object();
          one.set("id", call.text("id")).set("name", function.text("name"));
          one.set("arguments", function.text("arguments"));
          calls.push(std::move(one));
        } else {
          EXPECT_LT(index, calls.items().size());
          Value& one = calls.items()[index];
          one.set("arguments", one.text("arguments") + function.text("arguments"));
        }
      }
    }
  }
  Value out = Value::object();
  out.set("content", content).set("reasoning_content", reasoning);
  out.set("tool_calls", std::move(calls)).set("finish_reason", std::move(finish));
  return out;
}

Value summed(const Value& body, std::size_t choice) {
  const Value& item = body.find("choices")->items()[choice];
  const Value& message = *item.find("message");
  Value calls = Value::array();
  if (const Value* made = message.find("tool_calls"))
    for (const auto& call : made->items()) {
      Value one = Value::object();
      one.set("id", call.text("id")).set("name", call.find("function")->text("name"));
      one.set("arguments", call.find("function")->text("arguments"));
      calls.push(std::move(one));
    }
  Value out = Value::object();
  out.set("content", message.text("content"));
  out.set("reasoning_content", message.text("reasoning_content"));
  out.set("tool_calls", std::move(calls)).set("finish_reason", *item.find("finish_reason"));
  return out;
}

}  // namespace seedbed::test
