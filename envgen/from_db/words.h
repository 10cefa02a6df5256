// Words from the names that a database gives its tables and columns.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace seedbed::envgen {

// "InvoiceLine", "invoice_line", "tblInvoice Lines" -> lower-case words.
std::vector<std::string> words_of_name(std::string_view name);
// The words joined by blanks; a leading "tbl" is left out.
std::string phrase_of_name(std::string_view name);
// Of the phrase's last word, by English rules and the common exceptions; a singular stays one.
std::string singular_of(const std::string& phrase);
std::string plural_of_phrase(const std::string& phrase);
// A name as SQL takes it unquoted: the given one where it is plain and no keyword, else one like
// it.
std::string sql_name_of(const std::string& name);

}  // namespace seedbed::envgen
