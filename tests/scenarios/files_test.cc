// How files travel on a desk: from the user to a sandbox, through an image, and back; and what may
// not travel.

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "tests/harness/desk.h"
#include "tests/harness/mcp_http_client.h"
#include "tests/harness/server_process.h"

namespace contree::testing_harness {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

std::string ReadAll(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

class FilesTest : public DeskTest {
 protected:
  TempDirectory directory_;
};

TEST_F(FilesTest, AFileGoesThroughASandboxAndComesBack) {
  std::string content;
  for (int i = 0; content.size() < 3'000'000; ++i) content += std::to_string(i) + "\n";
  std::ofstream(directory_.File("numbers")) << content;
  const json file = Call("upload", {{"path", directory_.File("numbers")}});
  EXPECT_EQ(file.at("size"), content.size());

  const json run = Run("tac /in/numbers > /out; ls -l /in; wc -c < /out",
                       {{"files", {{"/in/numbers", file.at("uuid")}}}, {"disposable", false}});
  EXPECT_EQ(run.at("exit_code"), 0) << run;
  EXPECT_THAT(run.at("stdout").get<std::string>(),
              AllOf(HasSubstr("-rw-r--r--"), HasSubstr(std::to_string(content.size()))));

  const json download = Call("download", {{"image", run.at("result_image")},
                                          {"path", "/out"},
                                          {"destination", directory_.File("back")},
                                          {"executable", true}});
  EXPECT_EQ(download.at("size"), content.size());
  const std::string back = ReadAll(directory_.File("back"));
  EXPECT_EQ(back.size(), content.size());
  EXPECT_EQ(back.substr(back.size() - 4), "1\n0\n");
  struct stat info = {};
  ASSERT_EQ(stat(directory_.File("back").c_str(), &info), 0);
  EXPECT_NE(info.st_mode & 0100, 0U);
  // The file is in the image, too.
  EXPECT_EQ(
      Call("read_file", {{"image", run.at("result_image")}, {"path", "/in/numbers"}}).at("content"),
      content);
}

TEST_F(FilesTest, TheSameBytesAreTheSameFile) {
  const json text = Call("upload", {{"content", "grüße\n"}});
  const json bytes = Call("upload", {{"content_base64", "Z3LDvMOfZQo="}});
  EXPECT_EQ(text, bytes);
  EXPECT_EQ(text.at("sha256"), "b8fb07e729d2c238732229327c1b0669dcb8a15705340409cbbed2a6995898e2");
  EXPECT_EQ(Run("cat /f", {{"files", {{"/f", text.at("uuid")}}}}).at("stdout"), "grüße\n");
}

TEST_F(FilesTest, LinesOfAnImageAreFoundWithoutARun) {
  const std::string image =
      Run("mkdir -p /src/.hidden; echo 'def f(): # TODO' > /src/a.py; echo 'todo' > /src/b.txt; "
          "echo 'TODO' > /src/.hidden/c.py; seq 1 50 > /src/numbers",
          {{"disposable", false}})
          .at("result_image");
  const json found =
      Call("grep", {{"image", image}, {"pattern", "TODO"}, {"path", "/src"}, {"glob", "*.py"}});
  ASSERT_EQ(found.at("matches").size(), 2U) << found;
  for (const json& match : found.at("matches")) {
    EXPECT_EQ(match.at("line_number"), 1);
    // The path is one that read_file takes.
    EXPECT_THAT(Call("read_file", {{"image", image}, {"path", match.at("path")}})
                    .at("content")
                    .get<std::string>(),
                HasSubstr(match.at("line_text").get<std::string>()));
  }
  EXPECT_EQ(Call("grep",
                 {{"image", image}, {"pattern", "todo"}, {"path", "/src"}, {"case", "insensitive"}})
                .at("matches")
                .size(),
            3U);
  const json cut =
      Call("grep", {{"image", image}, {"pattern", "^[0-9]"}, {"path", "/src"}, {"max_total", 10}});
  EXPECT_EQ(cut.at("matches").size(), 10U);
  EXPECT_EQ(cut.at("truncated"), true);
  EXPECT_EQ(Call("grep", {{"image", image}, {"pattern", "nothing like it"}, {"path", "/src"}})
                .at("matches"),
            json::array());
}

TEST_F(FilesTest, MistakesWithFilesSayWhatToDo) {
  EXPECT_THAT(CallForError("upload", {{"path", directory_.File("nope")}}),
              HasSubstr(directory_.File("nope")));
  EXPECT_THAT(CallForError("upload", json::object()), HasSubstr("exactly one of"));
  EXPECT_THAT(
      CallForError("run", {{"command", "true"},
                           {"image", kBusybox},
                           {"files", {{"relative", "01a0d8ca-28fd-777e-8000-000000000000"}}}}),
      AllOf(HasSubstr("relative"), HasSubstr("absolute")));
  EXPECT_THAT(CallForError("run", {{"command", "true"},
                                   {"image", kBusybox},
                                   {"files", {{"/x", "01a0d8ca-28fd-777e-8000-000000000000"}}}}),
              AllOf(HasSubstr("01a0d8ca-28fd-777e-8000-000000000000"), HasSubstr("upload")));
  EXPECT_THAT(CallForError("download", {{"image", kBusybox},
                                        {"path", "/bin/busybox"},
                                        {"destination", directory_.path()}}),
              HasSubstr("names a directory"));
  EXPECT_THAT(
      CallForError("download",
                   {{"image", kBusybox}, {"path", "/bin"}, {"destination", directory_.File("x")}}),
      AllOf(HasSubstr("/bin"), HasSubstr("list_files")));
  EXPECT_THAT(
      CallForError("download",
                   {{"image", kBusybox}, {"path", "/nope"}, {"destination", directory_.File("x")}}),
      AllOf(HasSubstr("/nope"), HasSubstr("list_files")));
  EXPECT_TRUE(std::filesystem::is_empty(directory_.path()));
  EXPECT_THAT(CallForError("grep", {{"image", kBusybox}, {"pattern", "(["}}), HasSubstr("(["));
  EXPECT_THAT(CallForError("grep", {{"image", kBusybox}, {"pattern", "x"}, {"path", "/nope"}}),
              HasSubstr("/nope"));
}

class WorkspaceOverHttpTest : public testing::Test {
 protected:
  // contree-mcp over HTTP with these more arguments.
  void Start(const std::vector<std::string>& more) {
    std::vector<std::string> command = {Program("standalone/contree-mcp"),
                                        "--local",
                                        "--mode",
                                        "http",
                                        "--http-port",
                                        "0",
                                        "--state-dir",
                                        state_.path()};
    command.insert(command.end(), more.begin(), more.end());
    auto server = ServerProcess::Start(command);
    ASSERT_OK(server);
    server_ = *std::move(server);
    ASSERT_OK_AND_ASSIGN(const std::string url, server_->WaitForLogField("mcp"));
    client_ = std::make_unique<McpHttpClient>(url);
  }
  json Call(const std::string& tool, const json& arguments) {
    const absl::StatusOr<json> result = client_->CallTool(tool, arguments);
    EXPECT_OK(result);
    return result.ok() ? *result : json::object();
  }
  std::string ErrorOf(const std::string& tool, const json& arguments) {
    const json result = Call(tool, arguments);
    EXPECT_EQ(result.value("isError", false), true) << result;
    return result.contains("content") ? result["content"][0]["text"].get<std::string>() : "";
  }

  TempDirectory state_;
  TempDirectory shared_;
  TempDirectory secret_;
  std::unique_ptr<ServerProcess> server_;
  std::unique_ptr<McpHttpClient> client_;
};

TEST_F(WorkspaceOverHttpTest, WithoutADirectoryNothingOfTheMachineIsTouched) {
  Start({});
  EXPECT_THAT(ErrorOf("upload", {{"path", "/etc/passwd"}}),
              AllOf(HasSubstr("--workspace-root"), HasSubstr("content_base64")));
  EXPECT_THAT(
      ErrorOf("download",
              {{"image", kBusybox}, {"path", "/etc/passwd"}, {"destination", shared_.File("x")}}),
      HasSubstr("--workspace-root"));
  EXPECT_TRUE(std::filesystem::is_empty(shared_.path()));
  EXPECT_EQ(Call("upload", {{"content", "x"}}).value("isError", true), false);
}

TEST_F(WorkspaceOverHttpTest, BelowADirectoryFilesTravelAndNothingLeadsOut) {
  std::ofstream(shared_.File("file")) << "shared";
  std::ofstream(secret_.File("file")) << "secret";
  std::filesystem::create_symlink(secret_.File("file"), shared_.File("link"));
  Start({"--workspace-root", shared_.path()});
  EXPECT_EQ(Call("upload", {{"path", shared_.File("file")}})["structuredContent"]["size"], 6);
  EXPECT_EQ(Call("upload", {{"path", "file"}})["structuredContent"]["size"], 6);
  for (const std::string& path :
       {secret_.File("file"), shared_.File("link"), shared_.path() + "/../etc/passwd"}) {
    EXPECT_THAT(ErrorOf("upload", {{"path", path}}), HasSubstr("outside")) << path;
  }
  const auto download = [](const std::string& destination) {
    return json{{"image", kBusybox}, {"path", "/etc/passwd"}, {"destination", destination}};
  };
  EXPECT_EQ(Call("download", download(shared_.File("passwd"))).value("isError", true), false);
  EXPECT_THAT(ReadAll(shared_.File("passwd")), HasSubstr("root:"));
  EXPECT_THAT(ErrorOf("download", download(secret_.File("passwd"))), HasSubstr("outside"));
  EXPECT_FALSE(std::filesystem::exists(secret_.File("passwd")));
}

}  // namespace
}  // namespace contree::testing_harness
