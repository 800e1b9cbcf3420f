// get_guide: a page about how to work with this server.

#include "absl/strings/str_cat.h"
#include "gateway/guides/guide_table.h"
#include "gateway/tools/tool.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr char kDescription[] =
    R"(Read a page about working with this server, with example calls. Free. workflow: how every task goes. reference: all tools, resources and prompts. quickstart: the first calls. state: images, branches, going back. async: several operations at once. tagging: how to name images. errors: what went wrong and what to do. Read workflow before preparing an environment, and errors when something fails that you cannot explain.)";

constexpr char kOutputSchema[] = R"({
  "type": "object",
  "required": ["section", "content", "available_sections"],
  "properties": {
    "section": {"type": "string"},
    "content": {"type": "string", "description": "Markdown."},
    "available_sections": {"type": "array", "items": {"type": "string"}}
  }
})";

ordered_json Sections() {
  ordered_json sections = ordered_json::array();
  for (const Guide& guide : GuideTable()) sections.push_back(guide.section);
  return sections;
}

std::string InputSchema() {
  return absl::StrCat(R"({
  "type": "object",
  "required": ["section"],
  "properties": {
    "section": {"type": "string", "enum": )",
                      Sections().dump(), R"(, "description": "The page's name."}
  }
})");
}

absl::StatusOr<ToolOutput> HandleGetGuide(const json& arguments, RequestContext&, const Services&) {
  // The schema lets no other section pass.
  const Guide* guide = FindGuide(arguments.at("section").get_ref<const std::string&>());
  ToolOutput output;
  output.structured["section"] = guide->section;
  output.structured["content"] = guide->content;
  output.structured["available_sections"] = Sections();
  return output;
}

}  // namespace

Tool GetGuideTool() {
  return {
      .name = "get_guide",
      .title = "Read a guide",
      .annotations = {.read_only = true,
                      .destructive = false,
                      .idempotent = true,
                      .open_world = false},
      .description = kDescription,
      .input_schema = InputSchema(),
      .output_schema = kOutputSchema,
      .is_immediate = true,
      .handler = HandleGetGuide,
  };
}

}  // namespace contree::gateway
