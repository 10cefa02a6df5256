// Words as a scripted solver reads them: stems, parts of identifiers, numbers, names. English only
// as far as endings go; nothing here knows any trade.
#pragma once
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace seedbed::tasks::solvers {

struct Token {
  std::string text;  // as written
  std::string stem;  // of its lower case
  std::size_t begin = 0, end = 0;
  bool capital = false;  // begins with a capital letter
  bool begins_sentence = false;
};

std::string stem_of(std::string_view word);
// Words of prose; "EX-0006", "2031-03-05" and "11,350" are one each.
std::vector<Token> tokens_of(std::string_view text);
// Stems of an identifier's parts: exhibitPlacements_list gives exhibit, placement, list.
std::vector<std::string> stems_of_name(std::string_view name);
std::vector<std::string> stems_of_text(std::string_view text);  // without stop words
bool is_stop_word(std::string_view stem);

// The sequence `part` in `all`: the first position at or after `from`, or npos.
std::size_t find_run(const std::vector<std::string>& all,
                     const std::vector<std::string>& part,
                     std::size_t from = 0);
// Where `phrase` stands in `text` as whole words, case ignored, from `from` on; npos where not.
std::size_t find_phrase(std::string_view text, std::string_view phrase, std::size_t from = 0);

// 11350 of "11350", "11,350" or a word up to twelve.
std::optional<std::int64_t> number_of(std::string_view word);
// Days since 2000-01-01 of a text that begins like "2031-03-05".
std::optional<std::int64_t> day_of(std::string_view text);

// What may be a name or an id: runs of capitalised words, each also without a first word that may
// owe its capital to the sentence; quoted texts; words with digits and letters. Longest first where
// they begin alike, else in order.
std::vector<std::string> name_candidates(std::string_view text);

// Sentences and their halves: cut at . ? ! ; and line ends, and before otherwise, then, also, and
// "after that". The views point into `text`.
std::vector<std::string_view> clauses_of(std::string_view text);

}  // namespace seedbed::tasks::solvers
