// Token ids of what was sampled, kept by the text that a client sends back. Text made into tokens
// again may give other ids than were sampled: the prefix in pages would be lost, and a trainer
// would see tokens that nobody drew.
//
// An entry counts only after the very ids it was sampled after, so that an answer never depends on
// what other conversations hold.
#pragma once
#include <cstdint>
#include <list>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/chat/render.h"
#include "engine/service/chat_vocabulary.h"

namespace seedbed::engine::service {

// The bytes of segments, with the markers set apart from the same bytes in text.
std::string spelled(const chat::Segments& segments);

class SampledTexts {
 public:
  explicit SampledTexts(std::size_t most_bytes) : most_bytes_(most_bytes) {}

  // `after`: hash_ids of the prompt. `text`: spelled(), without the end of the sentence.
  void put(std::uint64_t session,
           std::uint64_t after,
           std::string text,
           std::vector<std::int32_t> ids);
  // Appends the ids, and says whether it has any.
  bool find(std::uint64_t session,
            std::uint64_t after,
            std::string_view text,
            std::vector<std::int32_t>& ids);
  [[nodiscard]] std::size_t bytes() const;
  [[nodiscard]] std::int64_t found() const;

 private:
  struct Entry {
    std::uint64_t key = 0;
    std::string text;
    std::vector<std::int32_t> ids;
    [[nodiscard]] std::size_t bytes() const { return text.size() + 4 * ids.size() + 160; }
  };
  using Entries = std::list<Entry>;  // the last used first
  void drop(Entries::iterator entry);

  mutable std::mutex mutex_;
  std::size_t most_bytes_, bytes_ = 0;
  std::int64_t found_ = 0;
  Entries entries_;
  std::unordered_map<std::uint64_t, Entries::iterator> by_key_;
};

std::uint64_t hash_ids(std::span<const std::int32_t> ids);

struct Prompt {
  std::vector<std::int32_t> ids;
  chat::Opens opens = chat::Opens::nothing;
};
// Assistant messages that were sampled here become the ids that were sampled.
Prompt make_prompt(const ChatVocabulary& vocabulary,
                   const std::vector<chat::Message>& messages,
                   const chat::Rendered& rendered,
                   std::uint64_t session,
                   SampledTexts& sampled);

// The text under which a completion is found again: the message as the format writes it when it
// comes back. Empty: it cannot be written.
std::string text_when_sent_back(const ChatVocabulary& vocabulary,
                                const chat::Message& message,
                                bool thinking);

}  // namespace seedbed::engine::service
