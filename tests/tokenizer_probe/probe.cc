// Answers tests/acceptance/tokenizer_parity.py: requests (a letter, a length as four little-endian
// bytes, so many bytes) on stdin, answers (a length, so many bytes) on stdout. Numbers are 32 bits.
//   e text -> ids      s text -> ids, special tokens not recognised      o text -> ids of plain
//   text a text -> ids with what the post-processor adds d ids -> bytes     k ids -> bytes without
//   special tokens             p ids -> bytes by pieces
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "engine/text/detokenizer.h"
#include "engine/text/tokenizer.h"

namespace {

using namespace seedbed::engine::text;

std::string bytes_of(const std::vector<std::int32_t>& ids) {
  std::string out(ids.size() * 4, '\0');
  if (!ids.empty()) std::memcpy(out.data(), ids.data(), out.size());
  return out;
}
std::vector<std::int32_t> ids_of(const std::string& bytes) {
  std::vector<std::int32_t> out(bytes.size() / 4);
  if (!out.empty()) std::memcpy(out.data(), bytes.data(), out.size() * 4);
  return out;
}

// Pieces must be whole characters; the answer then differs from decode() where they are not.
std::string by_pieces(const Tokenizer& tokenizer, const std::vector<std::int32_t>& ids) {
  Detokenizer stream(tokenizer);
  std::string out;
  for (const auto id : ids) out += stream.push(id);
  return out + stream.flush();
}

std::string answer(const Tokenizer& tokenizer, int kind, const std::string& body) {
  switch (kind) {
    case 'e':
      return bytes_of(tokenizer.encode(body));
    case 's':
      return bytes_of(tokenizer.encode(body, {.added = AddedText::not_special}));
    case 'o':
      return bytes_of(tokenizer.encode_ordinary(body));
    case 'a':
      return bytes_of(tokenizer.encode(body, {.add_special = true}));
    case 'd':
      return tokenizer.decode(ids_of(body));
    case 'k':
      return tokenizer.decode(ids_of(body), {.skip_special = true});
    case 'p':
      return by_pieces(tokenizer, ids_of(body));
    default:
      std::fprintf(stderr, "unknown request %d\n", kind);
      std::exit(1);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const auto tokenizer = Tokenizer::load(argc > 1 ? argv[1] : "");
  if (!tokenizer.ok()) {
    std::fprintf(stderr, "%s\n", tokenizer.error().message.c_str());
    return 3;
  }
  for (int kind = 0; (kind = std::getchar()) != EOF;) {
    std::uint32_t size = 0;
    if (std::fread(&size, 4, 1, stdin) != 1) return 1;
    std::string body(size, '\0');
    if (size > 0 && std::fread(body.data(), size, 1, stdin) != 1) return 1;
    const auto out = answer(*tokenizer, kind, body);
    const auto length = static_cast<std::uint32_t>(out.size());
    std::fwrite(&length, 4, 1, stdout);
    std::fwrite(out.data(), 1, out.size(), stdout);
  }
  return 0;
}
