#include "engine/service/sampled_texts.h"

#include "base/hash.h"
#include "engine/chat/markers.h"

namespace seedbed::engine::service {
namespace {

constexpr char kMark = '\xff';  // in no text that is well-formed

std::uint64_t key_of(std::uint64_t session, std::uint64_t after, std::string_view text) {
  const std::uint64_t both[] = {session, after};
  return hash64(text, hash64({reinterpret_cast<const char*>(both), sizeof both}));
}

}  // namespace

std::string spelled(const chat::Segments& segments) {
  std::string out;
  for (const auto& segment : segments) {
    if (segment.special) out += kMark;
    out += segment.text;
    if (segment.special) out += kMark;
  }
  return out;
}

std::uint64_t hash_ids(std::span<const std::int32_t> ids) {
  return hash64({reinterpret_cast<const char*>(ids.data()), ids.size_bytes()});
}

void SampledTexts::drop(Entries::iterator entry) {
  bytes_ -= entry->bytes();
  by_key_.erase(entry->key);
  entries_.erase(entry);
}

void SampledTexts::put(std::uint64_t session,
                       std::uint64_t after,
                       std::string text,
                       std::vector<std::int32_t> ids) {
  Entry entry{key_of(session, after, text), std::move(text), std::move(ids)};
  const std::lock_guard lock(mutex_);
  if (entry.bytes() > most_bytes_) return;
  if (const auto old = by_key_.find(entry.key); old != by_key_.end()) drop(old->second);
  bytes_ += entry.bytes();
  entries_.push_front(std::move(entry));
  by_key_[entries_.front().key] = entries_.begin();
  while (bytes_ > most_bytes_) drop(std::prev(entries_.end()));
}

bool SampledTexts::find(std::uint64_t session,
                        std::uint64_t after,
                        std::string_view text,
                        std::vector<std::int32_t>& ids) {
  const std::lock_guard lock(mutex_);
  const auto at = by_key_.find(key_of(session, after, text));
  if (at == by_key_.end() || at->second->text != text) return false;
  entries_.splice(entries_.begin(), entries_, at->second);
  ids.insert(ids.end(), at->second->ids.begin(), at->second->ids.end());
  ++found_;
  return true;
}

std::size_t SampledTexts::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

std::int64_t SampledTexts::found() const {
  const std::lock_guard lock(mutex_);
  return found_;
}

Prompt make_prompt(const ChatVocabulary& vocabulary,
                   const std::vector<chat::Message>& messages,
                   const chat::Rendered& rendered,
                   std::uint64_t session,
                   SampledTexts& sampled) {
  Prompt out;
  out.opens = rendered.opens;
  const auto segments = chat::settle(rendered.segments, [&](std::string_view text) {
    return vocabulary.marker(text).has_value();
  });
  const auto said_by_model = [&](std::size_t i) {
    const auto message = segments[i].message;
    return message >= 0 && static_cast<std::size_t>(message) < messages.size() &&
           messages[static_cast<std::size_t>(message)].role == chat::Role::assistant;
  };
  for (std::size_t i = 0; i < segments.size();) {
    std::size_t end = i + 1;
    // A whole message, from the marker before it to the end of its sentence.
    if (said_by_model(i) && i > 0 && segments[i - 1].special) {
      while (end < segments.size() && segments[end].message == segments[i].message) ++end;
      const auto& last = segments[end - 1];
      if (last.special && last.text == chat::kEos) {
        const chat::Segments said(segments.begin() + static_cast<std::ptrdiff_t>(i),
                                  segments.begin() + static_cast<std::ptrdiff_t>(end - 1));
        if (sampled.find(session, hash_ids(out.ids), spelled(said), out.ids)) {
          out.ids.push_back(vocabulary.end_id());
          i = end;
          continue;
        }
      }
    }
    const chat::Segments part(segments.begin() + static_cast<std::ptrdiff_t>(i),
                              segments.begin() + static_cast<std::ptrdiff_t>(end));
    const auto ids = vocabulary.encode(part);
    out.ids.insert(out.ids.end(), ids.begin(), ids.end());
    i = end;
  }
  return out;
}

std::string text_when_sent_back(const ChatVocabulary& vocabulary,
                                const chat::Message& message,
                                bool thinking) {
  const auto rendered = chat::render({message}, {.thinking = thinking, .bos = false});
  if (!rendered.ok()) return "";
  auto segments = chat::settle(rendered->segments, [&](std::string_view text) {
    return vocabulary.marker(text).has_value();
  });
  if (segments.empty() || segments.back().text != chat::kEos) return "";
  segments.pop_back();
  return spelled(segments);
}

}  // namespace seedbed::engine::service
