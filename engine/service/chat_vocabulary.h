// A tokenizer together with the markers of the chat format as this vocabulary has them: what
// everybody needs who turns conversations into token ids and back.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/chat/parse.h"
#include "engine/chat/render.h"
#include "engine/config.h"
#include "engine/grammar/grammar.h"
#include "engine/text/tokenizer.h"

namespace seedbed::engine::service {

class ChatVocabulary {
 public:
  // From the model's folder. Error{model}: no tokenizer, or it is of another vocabulary: it has
  // more ids than the model has rows or far fewer, or lacks the markers of the chat format.
  static Result<ChatVocabulary> open(const std::string& model_dir, const ModelConfig& config);

  // A tokenizer.json alone, for rendering where no model is at hand. Error{model}: it cannot be
  // read, or lacks the markers of the chat format.
  static Result<ChatVocabulary> open_file(const std::string& path);

  [[nodiscard]] const text::Tokenizer& tokenizer() const { return tokenizer_; }
  [[nodiscard]] const std::string& hash() const { return hash_; }  // of tokenizer.json
  // Special segments become the one token of that marker, all others ordinary tokens. Markers that
  // the vocabulary lacks are ordinary text.
  [[nodiscard]] std::vector<std::int32_t> encode(const chat::Segments& segments) const;
  [[nodiscard]] chat::ParseOptions parse_options(bool thinking) const;
  [[nodiscard]] chat::Piece piece(std::int32_t id) const;
  [[nodiscard]] bool is_end(std::int32_t id) const { return id == end_id_; }
  [[nodiscard]] std::int32_t end_id() const { return end_id_; }
  // The id of a marker of chat/markers.h, where it is one token.
  [[nodiscard]] std::optional<std::int32_t> marker(std::string_view text) const;
  // For masks; made when it is first asked for, then shared. From any thread.
  [[nodiscard]] std::shared_ptr<const grammar::Vocabulary> grammar_vocabulary() const;

 private:
  explicit ChatVocabulary(text::Tokenizer tokenizer) : tokenizer_(std::move(tokenizer)) {}
  static Result<ChatVocabulary> read(const std::string& path);
  Step find_markers(const std::string& path);
  Step check(const std::string& path, const ModelConfig& config);

  text::Tokenizer tokenizer_;
  std::string hash_;
  int rows_ = 0;                                              // of the model
  std::vector<std::int32_t> end_ids_;                         // of the model
  std::map<std::string, std::int32_t, std::less<>> markers_;  // those that are tokens
  std::set<std::int32_t> marker_ids_;
  std::int32_t end_id_ = -1;
  struct Masks {
    std::once_flag once;
    std::shared_ptr<const grammar::Vocabulary> vocabulary;
  };
  std::shared_ptr<Masks> masks_ = std::make_shared<Masks>();
};

}  // namespace seedbed::engine::service
