// One episode as one JSON line, and the check that every line passes on its way out.
#pragma once
#include <string>

#include "agent/export.h"

namespace seedbed::agent {

// `system` is system_text(environment), `tools` is chat_tools(offered_tools(...)).
schemas::Value export_line(const tasks::StoredEpisode& episode,
                           const std::string& kind,
                           const std::string& system,
                           const schemas::Value& tools,
                           ExportFormat format);
// The conversation alone, results as messages of their own.
schemas::Value export_messages(const schemas::Trajectory& trajectory,
                               const std::string& system,
                               ExportFormat format);
// Parses the line back and checks its structure: roles and their order, ids of calls matched by
// results, arguments in the format's form, every tool named. What is wrong, or "".
std::string check_line(std::string_view line, ExportFormat format);
// The same of messages and tools; nullptr where absent.
std::string check_conversation(const schemas::Value& messages,
                               const schemas::Value* tools,
                               ExportFormat format);

// README.md. `counts` and `gates` as the store gives them.
std::string export_card(const ExportSummary& summary,
                        const ExportOptions& options,
                        const std::optional<schemas::GenRequest>& request,
                        const std::vector<tasks::GateCount>& rejections,
                        const std::vector<tasks::MechanismCount>& by_mechanism);
// The line by which an earlier export is known.
inline constexpr std::string_view kExportMark = "<!-- written by seedbed export -->";

}  // namespace seedbed::agent
