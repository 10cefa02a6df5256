#include "engine/text/tokenizer.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "engine/text/added_tokens.h"
#include "engine/text/bpe.h"
#include "engine/text/pretokenizer.h"
#include "engine/text/word_cache.h"

namespace seedbed::engine::text {
namespace {

// What one encoding call works with; lent from the tokenizer's pool, so that threads never share
// one.
struct Workspace {
  WordCache cache;
  MergeScratch scratch;
  std::vector<Segment> segments;
};

class WorkspacePool {
 public:
  std::unique_ptr<Workspace> take() {
    {
      const std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        auto out = std::move(idle_.back());
        idle_.pop_back();
        return out;
      }
    }
    return std::make_unique<Workspace>();
  }
  void give(std::unique_ptr<Workspace> workspace) {
    constexpr std::size_t kKept = 32;
    const std::lock_guard lock(mutex_);
    if (idle_.size() < kKept) idle_.push_back(std::move(workspace));
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<Workspace>> idle_;
};

}  // namespace

struct Tokenizer::Tables {
  Bpe bpe;
  PreTokenizer pre_tokenizer;
  AddedTokens added;
  std::vector<bool> present;
  std::vector<std::int32_t> prefix, suffix;
  mutable WorkspacePool pool;

  void piece(const char* begin,
             const char* end,
             const char* readable_end,
             Workspace& w,
             std::vector<std::int32_t>& out) const;
  void ordinary(std::string_view text, Workspace& w, std::vector<std::int32_t>& out) const;
};

// The ids of one piece: from the cache, as a whole token, or by merging.
inline void Tokenizer::Tables::piece(const char* begin,
                                     const char* end,
                                     const char* readable_end,
                                     Workspace& w,
                                     std::vector<std::int32_t>& out) const {
  const std::string_view bytes(begin, static_cast<std::size_t>(end - begin));
  if (bytes.size() > kMaxKeyBytes) {
    const auto id = bytes.size() <= bpe.longest() ? bpe.whole(bytes, hash_of(bytes)) : -1;
    if (id >= 0)
      out.push_back(id);
    else
      bpe.merge(bytes, w.scratch, out);
    return;
  }
  const auto key = span_key(begin, bytes.size(), readable_end);
  const auto hash = hash_of(key);
  auto& entry = w.cache.at(hash);
  if (entry.key == key) {
    if (entry.count == 1)
      out.push_back(entry.ids[0]);
    else
      out.insert(out.end(), entry.ids.begin(), entry.ids.begin() + entry.count);
    return;
  }
  const auto before = out.size();
  if (const auto id = bpe.whole(bytes, hash); id >= 0)
    out.push_back(id);
  else
    bpe.merge(bytes, w.scratch, out);
  const auto count = out.size() - before;
  if (count > WordCache::kMaxIds) return;
  entry.key = key;
  entry.count = static_cast<std::uint32_t>(count);
  std::copy_n(out.begin() + static_cast<std::ptrdiff_t>(before), count, entry.ids.begin());
}

void Tokenizer::Tables::ordinary(std::string_view text,
                                 Workspace& w,
                                 std::vector<std::int32_t>& out) const {
  const auto emit = [&](const char* begin, const char* end, const char* readable_end) {
    piece(begin, end, readable_end, w, out);
  };
  pre_tokenizer.run_bytes(text, emit);
}

Result<Tokenizer> Tokenizer::load(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  const auto file =
      fs::is_directory(path, ignored) ? (fs::path(path) / "tokenizer.json").string() : path;
  const auto refuse = [&file](const std::string& what) {
    return make_error(Where::config, "tokenizer", file, what,
                      "give the path of a tokenizer.json or of a folder that holds one");
  };
  if (!fs::is_regular_file(file, ignored)) return refuse("no such file");
  const auto size = fs::file_size(file, ignored);
  if (size > kMaxTokenizerBytes)
    return refuse(std::to_string(size) + " bytes; at most " + std::to_string(kMaxTokenizerBytes));
  std::ifstream in(file, std::ios::binary);
  std::string text(size, '\0');
  in.read(text.data(), static_cast<std::streamsize>(size));
  if (!in) return refuse("cannot be read");
  return from_text(text, file);
}

Result<Tokenizer> Tokenizer::from_text(std::string_view json, std::string_view at) {
  auto value = schemas::parse_json(json, {.max_bytes = kMaxTokenizerBytes});
  if (!value.ok())
    return make_error(Where::config, "tokenizer", at, value.error().message,
                      "give a tokenizer.json as HF tokenizers writes it");
  return from_value(*value, at);
}

Result<Tokenizer> Tokenizer::from_value(const schemas::Value& json, std::string_view at) {
  SEEDBED_TRY(auto spec, read_tokenizer_spec(json, at));
  return from_spec(std::move(spec), at);
}

Result<Tokenizer> Tokenizer::from_spec(TokenizerSpec spec, std::string_view at) {
  auto tables = std::make_shared<Tables>();
  SEEDBED_TRY(tables->pre_tokenizer, PreTokenizer::make(spec.steps, at));
  tables->bpe = Bpe(spec);
  for (const auto& token : spec.tokens) tables->present.push_back(token.present);
  tables->added = AddedTokens(std::move(spec.added));
  tables->prefix = std::move(spec.prefix);
  tables->suffix = std::move(spec.suffix);
  return Tokenizer(std::move(tables));
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text,
                                            const EncodeOptions& options) const {
  std::vector<std::int32_t> out;
  out.reserve(text.size() / 4 + 8);
  encode_to(text, options, out);
  return out;
}

std::vector<std::int32_t> Tokenizer::encode_ordinary(std::string_view text) const {
  return encode(text, {.added = AddedText::none});
}

void Tokenizer::encode_to(std::string_view text,
                          const EncodeOptions& options,
                          std::vector<std::int32_t>& out) const {
  const auto& t = *tables_;
  auto workspace = t.pool.take();
  if (options.add_special) out.insert(out.end(), t.prefix.begin(), t.prefix.end());
  if (options.added == AddedText::none) {
    t.ordinary(text, *workspace, out);
  } else {
    t.added.find(text, options.added == AddedText::not_special, workspace->segments);
    for (const auto& segment : workspace->segments) {
      if (segment.id >= 0)
        out.push_back(segment.id);
      else
        t.ordinary(text.substr(segment.begin, segment.end - segment.begin), *workspace, out);
    }
  }
  if (options.add_special) out.insert(out.end(), t.suffix.begin(), t.suffix.end());
  t.pool.give(std::move(workspace));
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids,
                              const DecodeOptions& options) const {
  std::string out;
  out.reserve(ids.size() * 4);
  for (const auto id : ids)
    if (!options.skip_special || !is_special(id))
      if (const auto bytes = token_bytes(id)) out += *bytes;
  return out;
}

std::optional<std::string_view> Tokenizer::token_bytes(std::int32_t id) const {
  if (id < 0 || id >= vocab_size() || !tables_->present[static_cast<std::size_t>(id)])
    return std::nullopt;
  return tables_->bpe.bytes_of(id);
}

std::optional<std::int32_t> Tokenizer::id_of(std::string_view token) const {
  if (const auto* added = tables_->added.by_content(token)) return added->id;
  if (const auto id = tables_->bpe.find(token); id >= 0) return id;
  return std::nullopt;
}

bool Tokenizer::is_special(std::int32_t id) const {
  const auto* token = tables_->added.by_id(id);
  return token != nullptr && token->special;
}

const std::vector<AddedToken>& Tokenizer::added_tokens() const {
  return tables_->added.all();
}

std::int32_t Tokenizer::vocab_size() const {
  return static_cast<std::int32_t>(tables_->present.size());
}

bool Tokenizer::has_hand_written_splitter() const {
  return tables_->pre_tokenizer.is_hand_written();
}

}  // namespace seedbed::engine::text
