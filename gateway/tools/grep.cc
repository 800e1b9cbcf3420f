// grep: lines of the files of an image that match a pattern.

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gateway/tools/next_step.h"
#include "gateway/tools/tool.h"
#include "gateway/tools/unary_call.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
using Stub = contree::v1::ContreeService::StubInterface;

constexpr char kDescription[] =
    R"(Search the files of an image for lines that match a regular expression. Free: nothing is started, so prefer it to run with grep. Searches below path, hidden files too; binary files and symbolic links are skipped. Narrow it with path and glob; truncated=true means that there is more than max_total. Read around a match with read_file.)";

constexpr char kInputSchema[] = R"({
  "type": "object",
  "required": ["image", "pattern"],
  "properties": {
    "image": {"type": "string", "minLength": 1, "description": "A UUID or tag:NAME."},
    "pattern": {"type": "string", "minLength": 1, "description": "Regular expression (RE2: no look-around, no back-references). A literal . ( [ etc. needs a backslash."},
    "path": {"type": "string", "default": "/", "description": "Absolute file or directory inside the image to search."},
    "glob": {"type": "string", "description": "Only files whose name matches, such as *.py; a leading ! excludes them."},
    "max_count": {"type": "integer", "minimum": 1, "maximum": 2147483647, "description": "Matches in one file at most; left out: no bound."},
    "max_total": {"type": "integer", "minimum": 1, "maximum": 100000, "default": 1000, "description": "Matches in all at most."},
    "case": {"type": "string", "enum": ["sensitive", "insensitive", "smart"], "default": "sensitive", "description": "smart: insensitive unless the pattern has an upper-case letter."}
  }
})";

constexpr char kOutputSchema[] = R"({
  "type": "object",
  "required": ["path", "patterns", "truncated", "matches"],
  "properties": {
    "path": {"type": "string", "description": "Where it searched."},
    "patterns": {"type": "array", "items": {"type": "string"}},
    "truncated": {"type": "boolean", "description": "A bound ended the search: there may be more matches."},
    "matches": {
      "type": "array",
      "items": {
        "type": "object",
        "required": ["path", "line_number", "line_text"],
        "properties": {
          "path": {"type": "string", "description": "Absolute inside the image, as read_file takes it."},
          "line_number": {"type": "integer", "description": "From 1."},
          "line_text": {"type": "string", "description": "The line without its end."}
        }
      }
    }
  }
})";

contree::v1::GrepCase CaseByName(absl::string_view name) {
  if (name == "insensitive") return contree::v1::GREP_CASE_INSENSITIVE;
  if (name == "smart") return contree::v1::GREP_CASE_SMART;
  return contree::v1::GREP_CASE_SENSITIVE;
}

ordered_json MatchJson(const contree::v1::GrepMatch& match) {
  absl::string_view line = match.line_text();
  while (absl::EndsWith(line, "\n") || absl::EndsWith(line, "\r")) line.remove_suffix(1);
  ordered_json json = ordered_json::object();
  json["path"] = absl::StrCat(absl::StartsWith(match.path(), "/") ? "" : "/", match.path());
  json["line_number"] = match.line_number();
  json["line_text"] = line;
  return json;
}

absl::StatusOr<ToolOutput> HandleGrep(const json& arguments, RequestContext& context,
                                      const Services& services) {
  contree::v1::GrepRequest request;
  request.set_image(arguments.at("image").get<std::string>());
  request.add_patterns(arguments.at("pattern").get<std::string>());
  request.add_paths(arguments.at("path").get<std::string>());
  if (const std::string glob = arguments.value("glob", ""); !glob.empty()) request.add_globs(glob);
  request.set_max_count(arguments.value("max_count", 0));
  request.set_max_total(arguments.at("max_total").get<int32_t>());
  request.set_case_(CaseByName(arguments.at("case").get<std::string>()));
  const absl::StatusOr<contree::v1::GrepResponse> found =
      CallUnary(*services.contree, &Stub::Grep, request, context.call);
  if (!found.ok()) return WithNextStepInImage(found.status());
  ToolOutput output;
  output.structured["path"] = request.paths(0);
  output.structured["patterns"] = json(request.patterns());
  output.structured["truncated"] = found->truncated();
  auto& matches = output.structured["matches"] = ordered_json::array();
  for (const contree::v1::GrepMatch& match : found->matches()) matches.push_back(MatchJson(match));
  return output;
}

}  // namespace

Tool GrepTool() {
  return {
      .name = "grep",
      .title = "Search the files of an image",
      .annotations = {.read_only = true,
                      .destructive = false,
                      .idempotent = true,
                      .open_world = false},
      .description = kDescription,
      .input_schema = kInputSchema,
      .output_schema = kOutputSchema,
      .handler = HandleGrep,
  };
}

}  // namespace contree::gateway
