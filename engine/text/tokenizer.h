// Byte-level BPE tokenizers from HF's tokenizer.json: text to ids and back.
//
//   SEEDBED_TRY(const auto tokenizer, Tokenizer::load("model/tokenizer.json"));
//   const auto ids = tokenizer.encode("<｜User｜>hello");
//   const auto text = tokenizer.decode(ids);
//
// encode gives the ids that HF tokenizers gives for the same file and text. decode(encode(x)) == x
// for every string of bytes, unless the file adds a prefix space or its pattern removes text. A
// text that is not well-formed UTF-8 is taken as its well-formed stretches, each encoded by itself,
// with the bytes between them merged like any piece.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/text/tokenizer_spec.h"
#include "schemas/value.h"

namespace seedbed::engine::text {

enum class AddedText : std::uint8_t {
  all,          // text of every added token becomes that token (HF's default)
  not_special,  // text of tokens marked special stays ordinary (HF's encode_special_tokens)
  none          // all text is ordinary: for what a user or a tool wrote
};

struct EncodeOptions {
  AddedText added = AddedText::all;
  bool add_special = false;  // with what the post-processor's template puts around a text
};

struct DecodeOptions {
  bool skip_special = false;  // leave out tokens marked special
};

// A handle: copies share the tables. All const use is safe from several threads at once.
class Tokenizer {
 public:
  // `path` names the file, or a folder that holds tokenizer.json. Errors name the place in the file
  // and what was wanted or is not computed here.
  static Result<Tokenizer> load(const std::string& path);
  static Result<Tokenizer> from_text(std::string_view json, std::string_view at);
  static Result<Tokenizer> from_value(const schemas::Value& json, std::string_view at);

  // Linear in the text, but for a logarithm in the length of a piece.
  [[nodiscard]] std::vector<std::int32_t> encode(std::string_view text,
                                                 const EncodeOptions& options = {}) const;
  // Appends to `out`.
  void encode_to(std::string_view text,
                 const EncodeOptions& options,
                 std::vector<std::int32_t>& out) const;
  // No text is special: the same as AddedText::none.
  [[nodiscard]] std::vector<std::int32_t> encode_ordinary(std::string_view text) const;

  // Bytes, which need not be well-formed text. Ids without a token give nothing.
  [[nodiscard]] std::string decode(std::span<const std::int32_t> ids,
                                   const DecodeOptions& options = {}) const;

  // The bytes of one token; nothing where the id has none.
  [[nodiscard]] std::optional<std::string_view> token_bytes(std::int32_t id) const;
  // The added token with this content, else the token of these bytes.
  [[nodiscard]] std::optional<std::int32_t> id_of(std::string_view token) const;
  [[nodiscard]] bool is_special(std::int32_t id) const;
  [[nodiscard]] const std::vector<AddedToken>& added_tokens() const;
  // One more than the highest id. A model may have more rows than that, never fewer.
  [[nodiscard]] std::int32_t vocab_size() const;
  // Whether the pre-tokenizer runs without a regular-expression engine.
  [[nodiscard]] bool has_hand_written_splitter() const;

 private:
  struct Tables;
  explicit Tokenizer(std::shared_ptr<const Tables> tables) : tables_(std::move(tables)) {}
  static Result<Tokenizer> from_spec(TokenizerSpec spec, std::string_view at);
  std::shared_ptr<const Tables> tables_;
};

}  // namespace seedbed::engine::text
