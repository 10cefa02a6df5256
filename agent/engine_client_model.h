// One model for all lanes of a run: engine, tokenizer, and the markers of the chat format as this
// vocabulary has them.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agent/engine_options.h"
#include "base/result.h"
#include "engine/chat/parse.h"
#include "engine/chat/render.h"
#include "engine/engine.h"
#include "engine/text/tokenizer.h"

namespace seedbed::agent {

class EngineModel {
 public:
  // Room for `lanes` episodes at once. Error{usage}: parameters out of their bounds; Error{model}:
  // the model or its tokenizer cannot be read, or the tokenizer is of another vocabulary.
  static Result<std::unique_ptr<EngineModel>> open(const EngineOptions& options, int lanes);

  [[nodiscard]] engine::Engine& engine() const { return *engine_; }
  [[nodiscard]] const EngineOptions& options() const { return options_; }
  [[nodiscard]] const std::string& tokenizer_hash() const { return tokenizer_hash_; }
  [[nodiscard]] std::int64_t window() const { return window_; }  // tokens an episode may have
  [[nodiscard]] const engine::text::Tokenizer& tokenizer() const { return tokenizer_; }

  // Special segments become the one token of that marker, all others ordinary tokens. Markers that
  // the vocabulary lacks are ordinary text.
  [[nodiscard]] std::vector<std::int32_t> encode(const engine::chat::Segments& segments) const;
  [[nodiscard]] engine::chat::ParseOptions parse_options(bool thinking) const;
  [[nodiscard]] engine::chat::Piece piece(std::int32_t id) const;
  [[nodiscard]] bool is_end(std::int32_t id) const { return id == end_id_; }

 private:
  explicit EngineModel(engine::text::Tokenizer tokenizer) : tokenizer_(std::move(tokenizer)) {}
  Step check_vocabulary();
  [[nodiscard]] std::optional<std::int32_t> marker(std::string_view text) const;

  EngineOptions options_;
  engine::text::Tokenizer tokenizer_;
  std::string tokenizer_hash_;
  std::unique_ptr<engine::Engine> engine_;
  std::int64_t window_ = 0;
  std::map<std::string, std::int32_t, std::less<>> markers_;  // those that are tokens
  std::set<std::int32_t> marker_ids_;
  std::int32_t end_id_ = -1;
};

}  // namespace seedbed::agent
