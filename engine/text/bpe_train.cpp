#include "engine/text/bpe_train.h"

#include <algorithm>
#include <array>
#include <queue>
#include <unordered_set>

#include "base/text.h"
#include "engine/text/byte_alphabet.h"
#include "engine/text/tokenizer_write.h"

namespace seedbed::engine::text {
namespace {

constexpr std::size_t kMaxWordBytes = 4096;

struct Word {
  std::vector<std::int32_t> ids;
  std::int64_t count = 0;
};

using Pair = std::uint64_t;  // left << 32 | right
constexpr Pair pair_of(std::int32_t left, std::int32_t right) {
  return static_cast<Pair>(left) << 32 | static_cast<Pair>(right);
}

struct Pairs {
  std::int64_t count = 0;
  std::vector<std::uint32_t> words;  // where it stood; some may have lost it since
};

struct Candidate {
  std::int64_t count = 0;
  Pair pair = 0;
  // The later one comes out of the heap first: more often, then the lower pair.
  friend bool operator<(const Candidate& a, const Candidate& b) {
    return a.count != b.count ? a.count < b.count : a.pair > b.pair;
  }
};

class Merger {
 public:
  Merger(std::vector<std::string> tokens, std::vector<Word> words)
      : tokens_(std::move(tokens)), words_(std::move(words)) {
    for (std::size_t id = 0; id < tokens_.size(); ++id)
      ids_.emplace(tokens_[id], static_cast<std::int32_t>(id));
    for (std::uint32_t w = 0; w < words_.size(); ++w)
      for (std::size_t i = 0; i + 1 < words_[w].ids.size(); ++i)
        change(pair_of(words_[w].ids[i], words_[w].ids[i + 1]), words_[w].count, w);
    push_changed();
  }

  // Merges the commonest pair; false where none is left that occurs `min_count` times. Pairs that
  // would make one of the first `reserved` tokens are passed over.
  bool step(std::int64_t min_count, std::int32_t reserved) {
    while (!heap_.empty()) {
      const auto top = heap_.top();
      heap_.pop();
      const auto it = pairs_.find(top.pair);
      if (it == pairs_.end()) continue;
      if (it->second.count != top.count) {
        heap_.push({it->second.count, top.pair});
        continue;
      }
      if (top.count < std::max<std::int64_t>(1, min_count)) return false;
      const auto left = static_cast<std::int32_t>(top.pair >> 32);
      const auto right = static_cast<std::int32_t>(top.pair & 0xffffffffU);
      auto bytes =
          tokens_[static_cast<std::size_t>(left)] + tokens_[static_cast<std::size_t>(right)];
      const auto known = ids_.find(bytes);
      if ((known != ids_.end() && known->second < reserved) || bytes.size() * 2 > kMaxTokenBytes)
        continue;  // off the heap for good
      const auto id =
          known != ids_.end() ? known->second : static_cast<std::int32_t>(tokens_.size());
      if (known == ids_.end()) {
        ids_.emplace(bytes, id);
        tokens_.push_back(std::move(bytes));
      }
      // A pair can come back when its right half is made in another way; its first rank counts.
      if (merged_.insert(top.pair).second) merges_.emplace_back(left, right);
      const auto places = std::move(it->second.words);
      pairs_.erase(it);
      for (const auto w : places) merge_in(w, left, right, id);
      pairs_.erase(top.pair);  // its own last changes say nothing: none of it is left
      push_changed();
      return true;
    }
    return false;
  }

  [[nodiscard]] const std::vector<std::string>& tokens() const { return tokens_; }
  [[nodiscard]] const std::vector<std::pair<std::int32_t, std::int32_t>>& merges() const {
    return merges_;
  }

 private:
  void change(Pair pair, std::int64_t by, std::uint32_t word) {
    auto& entry = pairs_[pair];
    entry.count += by;
    if (by <= 0) return;
    if (entry.words.empty() || entry.words.back() != word) entry.words.push_back(word);
    changed_.push_back(pair);
  }

  // Counts that fell are noticed when they come to the top; those that rose must be there.
  void push_changed() {
    std::sort(changed_.begin(), changed_.end());
    changed_.erase(std::unique(changed_.begin(), changed_.end()), changed_.end());
    for (const auto pair : changed_)
      if (const auto it = pairs_.find(pair); it != pairs_.end() && it->second.count > 0)
        heap_.push({it->second.count, pair});
    changed_.clear();
  }

  void merge_in(std::uint32_t w, std::int32_t left, std::int32_t right, std::int32_t id) {
    auto& word = words_[w];
    auto& ids = word.ids;
    std::size_t out = 0;
    for (std::size_t i = 0; i < ids.size();) {
      if (i + 1 == ids.size() || ids[i] != left || ids[i + 1] != right) {
        ids[out++] = ids[i++];
        continue;
      }
      if (out > 0) {
        change(pair_of(ids[out - 1], left), -word.count, w);
        change(pair_of(ids[out - 1], id), word.count, w);
      }
      if (i + 2 < ids.size()) {
        change(pair_of(right, ids[i + 2]), -word.count, w);
        change(pair_of(id, ids[i + 2]), word.count, w);
      }
      ids[out++] = id;
      i += 2;
    }
    ids.resize(out);
  }

  std::vector<std::string> tokens_;
  std::vector<Word> words_;
  std::unordered_map<std::string, std::int32_t> ids_;
  std::unordered_map<Pair, Pairs> pairs_;
  std::vector<Pair> changed_;
  std::priority_queue<Candidate> heap_;
  std::unordered_set<Pair> merged_;
  std::vector<std::pair<std::int32_t, std::int32_t>> merges_;
};

// Years, and ids of four or five digits, are one word.
constexpr const char* kBareNumbers = "\\p{N}{1,5}";
constexpr const char* kBareWords =
    " (?:a|all|also|an|and|any|are|as|at|be|been|before|but|by|can|does|each|every|for|from|has|"
    "have|i|if|in|into|is|it|its|must|no|not|of|on|one|only|or|out|over|so|than|that|the|them|"
    "then|they|this|to|until|was|what|when|where|which|who|whose|will|with|you|your)"
    "(?![\\p{L}\\p{M}])|[A-Z]?[a-z]+(?:(?=[A-Z])|(?![\\p{L}\\p{M}]))|[\\p{L}\\p{M}]+";

bool is_letter_or_digit(char c) {
  return static_cast<unsigned>((c | 0x20) - 'a') < 26U || static_cast<unsigned>(c - '0') < 10U;
}

// The phrases as alternatives, those that begin alike together, the longest first.
Result<std::string> phrases_pattern(std::vector<std::string> phrases) {
  std::sort(phrases.begin(), phrases.end(), [](const std::string& a, const std::string& b) {
    if (a.empty() || b.empty()) return a.empty() && !b.empty();
    if (a[0] != b[0]) return a[0] < b[0];
    return a.size() != b.size() ? a.size() > b.size() : a < b;
  });
  const auto quote = [](std::string_view text) {
    std::string out;
    for (const char c : text) {
      if (std::string_view("\\^$.|?*+()[]{}").find(c) != std::string_view::npos) out += '\\';
      out += c;
    }
    return out;
  };
  std::string out;
  for (std::size_t i = 0; i < phrases.size(); ++i) {
    const auto& phrase = phrases[i];
    // A first character of one byte: what begins alike is cut behind it.
    if (phrase.size() < 2 || static_cast<unsigned char>(phrase[0]) >= 0x80 ||
        !is_valid_utf8(phrase) || (i > 0 && phrase == phrases[i - 1]))
      return make_error(Where::usage, "phrases", "'" + phrase + "'",
                        "is given twice or is no phrase, wanted two characters or more of UTF-8, "
                        "the first of them ASCII",
                        "correct the phrases");
    if (i == 0 || phrase[0] != phrases[i - 1][0]) {
      if (i > 0) out += ")|";
      if (is_letter_or_digit(phrase[0])) out += "(?<![0-9A-Za-z])";
      out += quote(phrase.substr(0, 1)) + "(?:";
    } else {
      out += '|';
    }
    out += quote(phrase.substr(1));
    if (is_letter_or_digit(phrase.back())) out += "(?![0-9A-Za-z])";
  }
  return out + ")";
}

PreTokenizerStep split_step(const char* pattern) {
  PreTokenizerStep step;
  step.pattern = pattern;
  return step;
}

}  // namespace

std::vector<AddedToken> deepseek_chat_tokens() {
  std::vector<AddedToken> out;
  const auto add = [&out](const char* content, bool special) {
    AddedToken token;
    token.content = content;
    token.special = special;
    token.normalized = !special;
    out.push_back(std::move(token));
  };
  for (const char* content : {"<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>"})
    add(content, true);
  for (const char* content : {"<｜User｜>", "<｜Assistant｜>", "<think>", "</think>", "｜DSML｜"})
    add(content, false);
  return out;
}

std::vector<PreTokenizerStep> deepseek_steps() {
  std::vector<PreTokenizerStep> steps;
  for (const char* pattern : kDeepSeekPatterns) steps.push_back(split_step(pattern));
  steps.emplace_back();
  steps.back().kind = PreTokenizerStep::Kind::byte_level;
  return steps;
}

Result<std::vector<PreTokenizerStep>> bare_words_steps(const std::vector<std::string>& phrases) {
  std::vector<PreTokenizerStep> steps;
  if (phrases.empty()) {
    steps = {split_step(kBareNumbers), split_step(kBareWords)};
  } else {
    SEEDBED_TRY(const auto cut_out, phrases_pattern(phrases));
    // One pattern, or the later ones would cut phrases again.
    steps = {split_step((cut_out + "|" + kBareNumbers + "|" + kBareWords).c_str())};
  }
  steps.emplace_back();
  steps.back().kind = PreTokenizerStep::Kind::byte_level;
  return steps;
}

Result<BpeTrainer> BpeTrainer::make(TrainOptions options) {
  const auto refuse = [](const std::string& at, const std::string& what) {
    return make_error(Where::usage, "tokenizer training", at, what, "correct the options");
  };
  const auto least = 256 + static_cast<std::int64_t>(options.added.size() + options.whole.size());
  if (options.added.size() > kMaxAddedTokens || options.vocab_size < least ||
      options.vocab_size > kMaxTokenId)
    return refuse("vocab_size",
                  std::to_string(options.vocab_size) + ", wanted " + std::to_string(least) +
                      " to " + std::to_string(kMaxTokenId) +
                      " (the 256 bytes, added tokens and whole words are among them)");
  std::unordered_set<std::string> seen;
  for (std::size_t i = 0; i < options.added.size(); ++i) {
    auto& token = options.added[i];
    token.id = static_cast<std::int32_t>(i);
    // One character of the byte alphabet would take the place of a byte's token.
    const auto spelled = read_spelling(token.content);
    if (token.content.empty() || token.content.size() > kMaxAddedTokenBytes ||
        !is_valid_utf8(token.content) || (spelled && spelled->size() < 2))
      return refuse("added token '" + token.content + "'",
                    "wanted UTF-8 of 2 characters or more and at most " +
                        std::to_string(kMaxAddedTokenBytes) + " bytes");
    if (!seen.insert(token.content).second)
      return refuse("added token '" + token.content + "'", "given twice");
  }
  for (const auto& word : options.whole)
    if (word.size() < 2 || word.size() * 2 > kMaxTokenBytes || !seen.insert(word).second)
      return refuse("whole word '" + word + "'",
                    "given twice, or wanted 2 to " + std::to_string(kMaxTokenBytes / 2) + " bytes");
  SEEDBED_TRY(auto pre_tokenizer, PreTokenizer::make(options.steps, "tokenizer training"));
  for (const auto& word : options.whole) {
    int pieces = 0;
    pre_tokenizer.run_bytes(word, [&](const char*, const char*, const char*) { ++pieces; });
    if (pieces != 1)
      return refuse("whole word '" + word + "'",
                    "is cut into " + std::to_string(pieces) + " words, wanted one");
  }
  return BpeTrainer(std::move(options), std::move(pre_tokenizer));
}

BpeTrainer::BpeTrainer(TrainOptions options, PreTokenizer pre_tokenizer)
    : options_(std::move(options)),
      pre_tokenizer_(std::move(pre_tokenizer)),
      added_(options_.cut_at_added ? options_.added : std::vector<AddedToken>()),
      whole_(options_.whole.begin(), options_.whole.end()) {}

void BpeTrainer::add_text(std::string_view text) {
  std::string word;
  const auto count = [&](const char* begin, const char* end, const char*) {
    for (; begin < end; begin += word.size()) {
      word.assign(begin, std::min(static_cast<std::size_t>(end - begin), kMaxWordBytes));
      if (whole_.count(word) == 0) ++words_[word];
    }
  };
  if (!options_.cut_at_added) return pre_tokenizer_.run_bytes(text, count);
  std::vector<Segment> segments;
  added_.find(text, false, segments);
  for (const auto& segment : segments)
    if (segment.id < 0)
      pre_tokenizer_.run_bytes(text.substr(segment.begin, segment.end - segment.begin), count);
}

Result<schemas::Value> BpeTrainer::train(const Progress& progress) {
  std::vector<std::string> tokens;
  for (const auto& token : options_.added) tokens.push_back(token.content);
  std::vector<std::pair<std::string, char>> bytes;
  for (unsigned b = 0; b < 256; ++b) {
    const auto byte = static_cast<char>(b);
    bytes.emplace_back(spell_bytes({&byte, 1}), byte);
  }
  std::sort(bytes.begin(), bytes.end());  // UTF-8 sorts as code points do
  std::array<std::int32_t, 256> byte_ids{};
  for (const auto& [spelling, byte] : bytes) {
    byte_ids[static_cast<unsigned char>(byte)] = static_cast<std::int32_t>(tokens.size());
    tokens.emplace_back(1, byte);
  }
  for (const auto& word : options_.whole) tokens.push_back(word);
  std::vector<Word> words;
  words.reserve(words_.size());
  for (const auto& [text, count] : words_) {
    words.push_back({{}, count});
    for (const char c : text) words.back().ids.push_back(byte_ids[static_cast<unsigned char>(c)]);
  }
  Merger merger(std::move(tokens), std::move(words));
  const auto reserved = static_cast<std::int32_t>(options_.added.size());
  const auto wanted = static_cast<std::size_t>(options_.vocab_size);
  while (merger.tokens().size() < wanted && merger.step(options_.min_count, reserved)) {
    if (merger.tokens().size() % 64 == 0 && progress &&
        !progress(static_cast<std::int64_t>(merger.tokens().size()),
                  static_cast<std::int64_t>(wanted)))
      return make_error(Where::interrupted, "tokenizer training", "merges", "stopped",
                        "run it again");
  }
  return write_tokenizer_json(merger.tokens(), merger.merges(), options_.added, options_.steps,
                              !options_.whole.empty());
}

}  // namespace seedbed::engine::text
