#include "gateway/web/reference_page.h"

#include <nlohmann/json.hpp>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gateway/guides/guide_table.h"
#include "gateway/mcp/server_info.h"
#include "gateway/prompts/prompt_registry.h"
#include "gateway/resources/resource_registry.h"
#include "gateway/tools/tool_registry.h"
#include "gateway/web/connect_section.h"
#include "gateway/web/html.h"

namespace contree::gateway {
namespace {

using nlohmann::ordered_json;

constexpr absl::string_view kHead = R"html(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>ConTree MCP server</title>
<link rel="icon" href="/assets/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/assets/site.css">
<script src="/assets/page.js" defer></script>
</head>
<body class="page">
<a class="skip" href="#main">Skip to the content</a>
)html";

constexpr absl::string_view kWhat = R"html(<section id="what">
<h1>Sandboxes that branch, for AI agents</h1>
<p class="lead">Every command runs isolated, as root, on an immutable image: a whole file system with a name of its own. A command that
changes something makes a new image, so an agent tries several ways from the same point, compares them, and goes back without undoing
anything.</p>
<p>This is the server that agents reach through the Model Context Protocol. People watch the images and what runs on them in the
<a href="/console">console</a>.</p>
</section>
)html";

std::string StringOf(const ordered_json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool BoolOf(const ordered_json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_boolean() && found->get<bool>();
}

std::string Id(absl::string_view kind, absl::string_view name) {
  std::string id = absl::StrCat(kind, "-");
  for (const char c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    if (plain)
      id.push_back(c);
    else if (id.back() != '-')
      id.push_back('-');
  }
  return id;
}

std::string Code(absl::string_view text) {
  return absl::StrCat("<code>", HtmlText(text), "</code>");
}

// "array of string"
std::string TypeText(const ordered_json& schema) {
  std::string type = StringOf(schema, "type");
  if (type == "array" && schema.contains("items")) {
    const std::string items = TypeText(schema["items"]);
    if (!items.empty()) absl::StrAppend(&type, " of ", items);
  }
  return type;
}

// What a value may be, besides its type: "1 to 1000", "one of all, any".
std::string BoundsText(const ordered_json& schema) {
  std::vector<std::string> parts;
  if (schema.contains("enum")) {
    std::vector<std::string> words;
    for (const auto& word : schema["enum"])
      words.push_back(word.is_string() ? word.get<std::string>() : word.dump());
    parts.push_back(absl::StrCat("one of ", absl::StrJoin(words, ", ")));
  }
  const bool low = schema.contains("minimum");
  const bool high = schema.contains("maximum");
  if (low && high)
    parts.push_back(absl::StrCat(schema["minimum"].dump(), " to ", schema["maximum"].dump()));
  else if (low)
    parts.push_back(absl::StrCat("at least ", schema["minimum"].dump()));
  else if (high)
    parts.push_back(absl::StrCat("at most ", schema["maximum"].dump()));
  if (schema.contains("default"))
    parts.push_back(absl::StrCat("default ", schema["default"].dump()));
  return absl::StrJoin(parts, "; ");
}

bool IsRequired(const ordered_json& schema, const std::string& name) {
  const auto required = schema.find("required");
  if (required == schema.end()) return false;
  for (const auto& word : *required) {
    if (word == name) return true;
  }
  return false;
}

// The members of an object's schema, and of the objects in it, as rows.
void AppendMembers(const ordered_json& schema, const std::string& prefix, std::string* rows) {
  const auto properties = schema.find("properties");
  if (properties == schema.end()) return;
  for (const auto& [name, member] : properties->items()) {
    const std::string bounds = BoundsText(member);
    absl::StrAppend(
        rows, "<tr><th scope=\"row\">", Code(prefix + name),
        IsRequired(schema, name) ? " <span class=\"required\">required</span>" : "", "</th><td>",
        HtmlText(TypeText(member)), "</td><td>", HtmlText(StringOf(member, "description")),
        bounds.empty() ? "" : absl::StrCat(" <span class=\"bounds\">", HtmlText(bounds), "</span>"),
        "</td></tr>\n");
    const bool is_list = member.contains("items");
    AppendMembers(is_list ? member["items"] : member,
                  absl::StrCat(prefix, name, is_list ? "[]." : "."), rows);
  }
}

std::string SchemaTable(absl::string_view caption, const ordered_json& schema) {
  std::string rows;
  AppendMembers(schema, "", &rows);
  if (rows.empty()) return "";
  return absl::StrCat("<div class=\"table\" tabindex=\"0\" role=\"region\" aria-label=\"", caption,
                      "\"><table><caption>", caption,
                      "</caption><thead><tr><th scope=\"col\">Name</th><th "
                      "scope=\"col\">Type</th><th scope=\"col\">Meaning</th></tr></thead><tbody>\n",
                      rows, "</tbody></table></div>\n");
}

struct Section {
  absl::string_view id;
  absl::string_view title;
  absl::string_view intro;
  std::string entries = "";
  std::string links = "";  // for the list of contents

  void Add(const std::string& anchor, const std::string& name, const std::string& title,
           const std::string& body) {
    absl::StrAppend(&entries, "<article class=\"entry\" id=\"", anchor, "\"><h3><a href=\"#",
                    anchor, "\">", Code(name), "</a> ", HtmlText(title), "</h3>\n", body,
                    "</article>\n");
    absl::StrAppend(&links, "<li><a href=\"#", anchor, "\">", HtmlText(name), "</a></li>");
  }
  std::string Html() const {
    return absl::StrCat("<section id=\"", id, "\"><h2>", title, "</h2><p>", intro, "</p>\n",
                        entries, "</section>\n");
  }
  std::string Contents() const {
    return absl::StrCat("<li><a href=\"#", id, "\">", title, "</a><ul>", links, "</ul></li>\n");
  }
};

std::string Badge(bool shown, absl::string_view text) {
  return shown ? absl::StrCat("<li>", text, "</li>") : "";
}

Section ToolsSection(const ToolRegistry& tools) {
  Section section{"tools", "Tools",
                  "What an agent can do. A parameter <code>image</code> takes a UUID or "
                  "<code>tag:NAME</code>."};
  const ordered_json list = ordered_json::parse(tools.ListJson());
  for (const auto& tool : list["tools"]) {
    const ordered_json& hints = tool["annotations"];
    std::string body =
        absl::StrCat("<ul class=\"badges\">", Badge(BoolOf(hints, "readOnlyHint"), "reads only"),
                     Badge(BoolOf(hints, "destructiveHint"), "may remove or undo"),
                     Badge(BoolOf(hints, "idempotentHint"), "safe to repeat"),
                     Badge(BoolOf(hints, "openWorldHint"), "reaches the internet"), "</ul>\n",
                     MarkdownToHtml(StringOf(tool, "description"), 3));
    const std::string parameters = SchemaTable("Parameters", tool["inputSchema"]);
    absl::StrAppend(&body, parameters.empty() ? "<p>It takes no parameters.</p>\n" : parameters);
    if (tool.contains("outputSchema")) {
      absl::StrAppend(&body, "<details><summary>Result</summary>",
                      SchemaTable("Result", tool["outputSchema"]), "</details>\n");
    }
    section.Add(Id("tool", StringOf(tool, "name")), StringOf(tool, "name"), StringOf(tool, "title"),
                body);
  }
  return section;
}

Section ResourcesSection(const ResourceRegistry& resources) {
  Section section{"resources", "Resources",
                  "What an agent can read by address, and subscribe to where it changes."};
  const auto add = [&section](const ordered_json& list, const char* members, const char* address) {
    for (const auto& resource : list[members]) {
      const std::string type = StringOf(resource, "mimeType");
      section.Add(
          Id("resource", StringOf(resource, address)), StringOf(resource, address),
          StringOf(resource, "title"),
          absl::StrCat(
              MarkdownToHtml(StringOf(resource, "description"), 3),
              type.empty() ? "" : absl::StrCat("<p class=\"bounds\">", HtmlText(type), "</p>\n")));
    }
  };
  add(ordered_json::parse(resources.TemplatesJson()), "resourceTemplates", "uriTemplate");
  add(ordered_json::parse(resources.ListJson()), "resources", "uri");
  return section;
}

Section PromptsSection(const PromptRegistry& prompts) {
  Section section{"prompts", "Prompts",
                  "What a person can start a task with; many clients show them as commands."};
  const ordered_json list = ordered_json::parse(prompts.ListJson());
  for (const auto& prompt : list["prompts"]) {
    std::string rows;
    if (prompt.contains("arguments")) {
      for (const auto& argument : prompt["arguments"]) {
        absl::StrAppend(
            &rows, "<tr><th scope=\"row\">", Code(StringOf(argument, "name")),
            BoolOf(argument, "required") ? " <span class=\"required\">required</span>" : "",
            "</th><td>", HtmlText(StringOf(argument, "description")), "</td></tr>\n");
      }
    }
    section.Add(
        Id("prompt", StringOf(prompt, "name")), StringOf(prompt, "name"), StringOf(prompt, "title"),
        absl::StrCat(
            MarkdownToHtml(StringOf(prompt, "description"), 3),
            rows.empty()
                ? ""
                : absl::StrCat(
                      "<div class=\"table\" tabindex=\"0\" role=\"region\" "
                      "aria-label=\"Arguments\"><table><caption>Arguments</caption><thead><tr><th "
                      "scope=\"col\">Name</th><th scope=\"col\">Meaning</th></tr></thead><tbody>\n",
                      rows, "</tbody></table></div>\n")));
  }
  return section;
}

Section GuidesSection() {
  Section section{
      "guides", "Guides",
      "What agents read about working here, with the tool <code>get_guide</code> or as resources."};
  for (const Guide& guide : GuideTable()) {
    section.Add(Id("guide", guide.section), std::string(guide.section), std::string(guide.title),
                absl::StrCat("<p>", HtmlText(guide.description),
                             "</p>\n<details><summary>Read</summary><div class=\"guide\">",
                             MarkdownToHtml(guide.content, 3), "</div></details>\n"));
  }
  return section;
}

std::string ConnectHtml(absl::string_view mcp_url) {
  std::string html = absl::StrCat(
      "<section id=\"connect\"><h2>Connect</h2><p>The address of this server is ", Code(mcp_url),
      " (Streamable HTTP). On one's own machine, <code>contree-mcp install CLIENT</code> does all "
      "of this.</p>\n");
  for (const ConnectionGuide& guide : ConnectionGuides(mcp_url)) {
    const std::string id = Id("connect", absl::AsciiStrToLower(guide.client));
    absl::StrAppend(&html, "<article class=\"entry\" id=\"", id, "\"><h3><a href=\"#", id, "\">",
                    HtmlText(guide.client), "</a></h3><p>", HtmlText(guide.where),
                    "</p><pre class=\"copy\" tabindex=\"0\"><code>", HtmlText(guide.text),
                    "</code></pre></article>\n");
  }
  return html + "</section>\n";
}

}  // namespace

ReferencePage::ReferencePage(const Catalog& catalog) {
  const Section sections[] = {ToolsSection(catalog.tools), ResourcesSection(catalog.resources),
                              PromptsSection(catalog.prompts), GuidesSection()};
  before_connect_ = absl::StrCat(
      kHead,
      "<header class=\"top\"><a class=\"home\" href=\"/\">ConTree</a><span class=\"version\">",
      kServerName, " ", kServerVersion,
      "</span><nav aria-label=\"Pages\"><a href=\"/\" aria-current=\"page\">Reference</a><a "
      "href=\"/console\">Console</a></nav></header>\n"
      "<div class=\"columns\"><nav class=\"contents\" aria-label=\"Contents\"><div "
      "class=\"search\" hidden><label for=\"search\">Search</label>"
      "<input id=\"search\" type=\"search\" autocomplete=\"off\" spellcheck=\"false\"><p "
      "id=\"found\" role=\"status\"></p></div><ul>"
      "<li><a href=\"#what\">What this is</a></li><li><a href=\"#connect\">Connect</a></li>");
  for (const Section& section : sections) absl::StrAppend(&before_connect_, section.Contents());
  absl::StrAppend(&before_connect_, "</ul></nav>\n<main id=\"main\">\n", kWhat);
  for (const Section& section : sections) absl::StrAppend(&after_connect_, section.Html());
  absl::StrAppend(&after_connect_, "</main></div>\n</body>\n</html>\n");
}

std::string ReferencePage::For(absl::string_view mcp_url) const {
  return absl::StrCat(before_connect_, ConnectHtml(mcp_url), after_connect_);
}

}  // namespace contree::gateway
