// Calendar dates as text. A day is counted from 2000-01-01 (day 0), in the proleptic Gregorian
// calendar.
#pragma once
#include <cstdint>
#include <string>

namespace seedbed {

std::string iso_date(std::int64_t day);  // YYYY-MM-DD

}  // namespace seedbed
