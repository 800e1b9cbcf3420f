#include "standalone/client_config/toml_edit.h"

#include "common/testing/status_matchers.h"

namespace contree::standalone {
namespace {

using testing::HasSubstr;

const TomlPath kPath = {"mcp_servers", "contree"};
const TomlValues kValues = {{"command", "\"/c\""}, {"args", "[]"}};

std::string With(absl::string_view text) {
  const absl::StatusOr<std::string> result = WithTomlTable(text, kPath, kValues);
  EXPECT_OK(result.status());
  return result.value_or("");
}

std::string Without(absl::string_view text) {
  const absl::StatusOr<std::string> result = WithoutTomlTable(text, kPath);
  EXPECT_OK(result.status());
  return result.value_or("");
}

absl::Status ErrorOf(absl::string_view text) {
  return WithTomlTable(text, kPath, kValues).status();
}

TEST(TomlEditTest, ANewTableGoesToTheEnd) {
  EXPECT_EQ(With(""), "[mcp_servers.contree]\ncommand = \"/c\"\nargs = []\n");
  constexpr char kBefore[] = R"(model = "o3"   # mine
notify = [
  "a", # ]
  'b',
]
[projects."/home/a b"]
trust_level = "trusted"
text = """
[mcp_servers.contree]
""""
)";
  EXPECT_EQ(With(kBefore),
            std::string(kBefore) + "\n[mcp_servers.contree]\ncommand = \"/c\"\nargs = []\n");
  EXPECT_EQ(With(With(kBefore)), With(kBefore));
  EXPECT_EQ(Without(With(kBefore)), kBefore);
  EXPECT_EQ(Without(kBefore), kBefore);
  EXPECT_EQ(With("a = 1"), "a = 1\n\n[mcp_servers.contree]\ncommand = \"/c\"\nargs = []\n");
  EXPECT_EQ(With("a = 1\r\n"),
            "a = 1\r\n\r\n[mcp_servers.contree]\r\ncommand = \"/c\"\r\nargs = []\r\n");
}

TEST(TomlEditTest, OnlyTheKeysThatAreSetChange) {
  EXPECT_EQ(With(R"([ mcp_servers . "contree" ]
command = '/old'  # where it is
startup_timeout_sec = 20

[mcp_servers.contree.env]
A = "1"
)"),
            R"([ mcp_servers . "contree" ]
command = "/c"  # where it is
startup_timeout_sec = 20
args = []

[mcp_servers.contree.env]
A = "1"
)");
}

TEST(TomlEditTest, ATableGoesWithItsSubTablesAndNothingElse) {
  EXPECT_EQ(Without(R"(a = 1

[mcp_servers.contree]
command = "/c"

[mcp_servers.contree.env]
A = "1"

# about the other one
[mcp_servers.contree2]
command = "x"
[mcp_servers.contree.tools.run]
approval = "auto"
[end]
)"),
            R"(a = 1

# about the other one
[mcp_servers.contree2]
command = "x"
[end]
)");
  EXPECT_EQ(Without("[mcp_servers.contree]\na = 1\n\n[b]\n"), "[b]\n");
}

TEST(TomlEditTest, FindsWhatIsThere) {
  EXPECT_EQ(FindTomlTable("[mcp_servers.contree]\nurl = 'u'\nx.y = 1979-05-27 07:32:00Z\n", kPath)
                .value(),
            (TomlValues{{"url", "'u'"}, {"x.y", "1979-05-27 07:32:00Z"}}));
  EXPECT_EQ(FindTomlTable("[mcp_servers]\n", kPath).value(), std::nullopt);
}

TEST(TomlEditTest, OtherFormsAreLeftToTheirAuthor) {
  for (const char* text : {"x = 1\nmcp_servers = { contree = { command = 'x' } }\n",
                           "\n[mcp_servers]\ncontree = { command = 'x' }\n",
                           "\n[mcp_servers]\ncontree.command = 'x'\n", "\n[[mcp_servers]]\n",
                           "\nmcp_servers.contree.command = 'x'\n",
                           "[mcp_servers.contree]\n[mcp_servers.contree]\n"}) {
    const absl::Status status = ErrorOf(text);
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kFailedPrecondition,
                                 HasSubstr("defines mcp_servers.contree in a form")))
        << text;
    EXPECT_THAT(std::string(status.message()), testing::ContainsRegex("line [23] ")) << text;
  }
  EXPECT_OK(ErrorOf("[mcp_servers]\nother = { command = 'x' }\n"));
}

TEST(TomlEditTest, MistakesAreNamedByLineAndColumn) {
  const std::pair<const char*, const char*> cases[] = {
      {"a = 1\nb\n", "line 2, column 2: '=' is expected"},
      {"a = \n", "line 1, column 5: a value is expected"},
      {"a = \"x\n", "line 1, column 5: this string has no end"},
      {"a = '''x\n", "line 1, column 5: this string has no end"},
      {"a = [1, 2\nb = 3", "line 2, column 1: ',' or ']' is expected"},
      {"a = [1,\n", "line 1, column 5: this array has no end"},
      {"a = {b = 1\n", "line 1, column 11: ',' or '}' is expected"},
      {"[a\n", "line 1, column 3: ']' is expected"},
      {"[]\n", "line 1, column 2: a key is expected"},
      {"a = 1 b = 2\n", "line 1, column 7: the end of the line is expected"},
      {"{\"json\": 1}", "line 1, column 1: a key is expected"}};
  for (const auto& [text, message] : cases) {
    EXPECT_THAT(ErrorOf(text), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(message)))
        << text;
  }
  EXPECT_THAT(ErrorOf("a = " + std::string(1'000'000, '[')),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("too deeply nested")));
}

TEST(TomlEditTest, StringsAreEscaped) {
  EXPECT_EQ(TomlString("/home/ä \"b\"\\\n"), "\"/home/ä \\\"b\\\"\\\\\\u000A\"");
}

}  // namespace
}  // namespace contree::standalone
