// One environment, task or episode for people: as text, or as one HTML file that needs nothing
// else.
#pragma once
#include <string>

#include "base/result.h"
#include "tasks/store.h"

namespace seedbed::agent {

enum class ShowForm : std::uint8_t { text, html };

// `id`: a full hash or a unique prefix of one. Error{usage} or Error{store} as Store::resolve gives
// it.
Result<std::string> show(tasks::Store& store, const std::string& id, ShowForm form);

}  // namespace seedbed::agent
