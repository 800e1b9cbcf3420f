#include "standalone/demo.h"

#include <stdlib.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "common/status/status_context.h"
#include "common/status/status_macros.h"
#include "common/text/utf8.h"
#include "standalone/backend_flags.h"
#include "standalone/mcp_stdio_client.h"

namespace contree::standalone {
namespace {

using nlohmann::json;

constexpr absl::Duration kCallTimeout = absl::Seconds(60);
constexpr absl::Duration kImportTimeout = absl::Minutes(10);
constexpr char kBase[] = "tag:busybox:latest";
constexpr int kProjectFiles = 300;
constexpr char kTag[] = "demo/greeter/busybox:latest";

// Back to the line's beginning, and empty it.
constexpr char kLineAnew[] = "\r\033[K";

std::string Shortened(const std::string& uuid) { return uuid.substr(0, 8); }

// An image of the demo's own making, for the tree at the end.
struct Node {
  std::string uuid;
  std::string what;
  std::vector<Node> children = {};
};

void PrintTree(const Node& node, const std::string& indent, std::ostream& out) {
  for (size_t i = 0; i < node.children.size(); ++i) {
    const bool last = i + 1 == node.children.size();
    const Node& child = node.children[i];
    out << "    " << indent << (last ? "└─ " : "├─ ") << Shortened(child.uuid) << "  " << child.what
        << "\n";
    PrintTree(child, absl::StrCat(indent, last ? "   " : "│  "), out);
  }
}

// A directory of this machine for as long as this lives.
class Scratch {
 public:
  Scratch() {
    std::error_code error;
    path_ = absl::StrCat(std::filesystem::temp_directory_path(error).string(), "/contree-XXXXXX");
    if (mkdtemp(path_.data()) == nullptr) {
      status_ = absl::ErrnoToStatus(errno, absl::StrCat("cannot make a directory like ", path_));
      path_.clear();
    }
  }
  ~Scratch() {
    std::error_code error;
    if (!path_.empty()) std::filesystem::remove_all(path_, error);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  const absl::Status& status() const { return status_; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  absl::Status status_;
};

class Demo {
 public:
  // `is_watched`: `out` is a terminal, where a step can be seen while it runs.
  // `import` is the reference of an image to import; empty: none.
  Demo(McpStdioClient& client, std::string import, std::ostream& out, bool is_watched)
      : client_(client), import_(std::move(import)), out_(out), is_watched_(is_watched) {
    client_.ListenToProgress([this](const std::string& news) { OnProgress(news); });
  }

  absl::Status Run() {
    RETURN_IF_ERROR(Step("Look what is there", [this] { return ListImages(); }));
    if (!import_.empty()) {
      RETURN_IF_ERROR(Step("Import an image from its registry", [this] { return Import(); }));
    }
    RETURN_IF_ERROR(Step("Run a command; nothing of it stays", [this] { return RunDisposable(); }));
    RETURN_IF_ERROR(
        Step("Install something; that makes a new image", [this] { return Install(); }));
    RETURN_IF_ERROR(
        Step("Branch: two experiments at once from that image", [this] { return Branch(); }));
    RETURN_IF_ERROR(
        Step("Read a file of one branch; nothing runs for it", [this] { return ReadOneBranch(); }));
    RETURN_IF_ERROR(Step("Sync a directory, edit one of its files, sync again, run on it",
                         [this] { return SyncAndRun(); }));
    RETURN_IF_ERROR(Step("Roll back: the tag went to the broken branch, and returns",
                         [this] { return RollBack(); }));
    RETURN_IF_ERROR(Step("Destroy everything, fearlessly", [this] { return Destroy(); }));
    if (!imported_.empty()) {
      out_ << "The image that came from a registry\n\n    " << Shortened(imported_) << "  "
           << import_ << "\n\n";
    }
    out_ << "The images that this made\n\n    " << Shortened(base_.uuid) << "  " << base_.what
         << "\n";
    PrintTree(base_, "", out_);
    out_ << "\n";
    return absl::OkStatus();
  }

 private:
  absl::Status Step(const std::string& title, const std::function<absl::Status()>& step) {
    lines_.clear();
    ++step_number_;
    if (is_watched_) ShowRunning(title, "...");
    title_ = title;
    const absl::Time start = absl::Now();
    const absl::Status status = step();
    const double milliseconds = absl::ToDoubleMilliseconds(absl::Now() - start);
    if (is_watched_) out_ << kLineAnew;
    out_ << absl::StrFormat("%d. %-64s %7.1f ms\n", step_number_, title, milliseconds);
    for (const std::string& line : lines_) out_ << "      " << line << "\n";
    out_ << std::endl;
    return Annotate(status, absl::StrCat("step ", step_number_, " (", title, ")"));
  }

  // While a call runs.
  void OnProgress(const std::string& news) {
    if (is_watched_) ShowRunning(title_, news);
    if (is_told_) Say(absl::StrCat("| ", news));
  }

  // On the terminal's line, which the next one replaces.
  void ShowRunning(const std::string& title, const std::string& news) {
    constexpr size_t kMaxNews = 40;  // bytes; a line that wraps would stay
    std::string shown(WithoutCutCharacter(absl::string_view(news).substr(0, kMaxNews)));
    // What a sandbox says cannot steer the terminal.
    for (char& c : shown) {
      if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) c = ' ';
    }
    out_ << kLineAnew << absl::StrFormat("%d. %s  ", step_number_, title) << shown << std::flush;
  }

  void Say(std::string line) { lines_.push_back(std::move(line)); }
  void SayOutput(const std::string& text) {
    for (const auto& line : absl::StrSplit(text, '\n', absl::SkipWhitespace()))
      Say(absl::StrCat("| ", line));
  }

  static absl::Status Check(bool holds, absl::string_view expected, const json& got) {
    if (holds) return absl::OkStatus();
    return absl::InternalError(absl::StrCat("expected ", expected, ", got ", got.dump()));
  }

  // tools/call, whose result must be no error; returns what it says.
  absl::StatusOr<json> Call(const std::string& tool, const json& arguments,
                            absl::Duration timeout = kCallTimeout) {
    ASSIGN_OR_RETURN(const json result, client_.CallTool(tool, arguments, timeout));
    if (result.value("isError", false)) {
      return absl::InternalError(
          absl::StrCat(tool, ": ", result["content"].at(0).value("text", "")));
    }
    return result.at("structuredContent");
  }

  // A command that must end with this exit code.
  absl::StatusOr<json> RunCommand(const std::string& command, const std::string& image,
                                  bool disposable, int exit_code) {
    Say(absl::StrCat("$ ", command));
    ASSIGN_OR_RETURN(
        const json run,
        Call("run", {{"command", command}, {"image", image}, {"disposable", disposable}}));
    RETURN_IF_ERROR(Check(run.at("state") == "SUCCESS" && run.at("exit_code") == exit_code,
                          absl::StrCat("SUCCESS with exit code ", exit_code), run));
    SayOutput(run.at("stdout").get<std::string>());
    return run;
  }

  absl::Status ListImages() {
    ASSIGN_OR_RETURN(const json listed, Call("list_images", {{"tagged", true}, {"limit", 10}}));
    for (const json& image : listed.at("images")) {
      const auto& tag = image.at("tag");
      Say(absl::StrCat(image.at("uuid").get<std::string>(), "  ", tag.get<std::string>()));
    }
    ASSIGN_OR_RETURN(const json base, Call("get_image", {{"image", kBase}}));
    base_ = {.uuid = base.at("uuid"), .what = "busybox:latest"};
    return Check(!base_.uuid.empty(), "an image with the tag busybox:latest", base);
  }

  absl::Status Import() {
    Say(absl::StrCat("import_image ", import_));
    // What takes minutes is followed: in place on a terminal, line by line elsewhere.
    is_told_ = !is_watched_;
    const absl::StatusOr<json> imported = Call(
        "import_image",
        {{"registry_url", import_}, {"i_accept_that_anonymous_access_might_be_rate_limited", true}},
        kImportTimeout);
    is_told_ = false;
    RETURN_IF_ERROR(imported.status());
    RETURN_IF_ERROR(Check(imported->at("state") == "SUCCESS", "SUCCESS", *imported));
    imported_ = imported->at("result_image");
    ASSIGN_OR_RETURN(const json files, Call("list_files", {{"image", imported_}, {"path", "/"}}));
    std::string names;
    for (const json& entry : files.at("files")) {
      absl::StrAppend(&names, names.empty() ? "" : " ", entry.at("name").get<std::string>());
    }
    Say(absl::StrCat("=> image ", imported_, ", with ", names));
    return Check(!names.empty(), "files in the image", files);
  }

  absl::Status RunDisposable() {
    ASSIGN_OR_RETURN(
        const json run,
        RunCommand("echo \"I am $(whoami), process $$ on $(uname -s)\"; touch /etc/trace", kBase,
                   /*disposable=*/true, 0));
    RETURN_IF_ERROR(Check(absl::StrContains(run.at("stdout").get<std::string>(), "I am root"),
                          "to be root", run));
    return Check(!run.contains("result_image") || run.at("result_image").is_null(),
                 "no image of a disposable run", run);
  }

  absl::Status Install() {
    ASSIGN_OR_RETURN(const json run,
                     RunCommand("mkdir -p /usr/local/bin && cd /usr/local/bin && printf "
                                "'#!/bin/sh\\necho \"Hello, ${1:-world}.\"\\n' "
                                "> greet && chmod +x greet && greet",
                                kBase, /*disposable=*/false, 0));
    RETURN_IF_ERROR(
        Check(run.at("filesystem_changed") == true && run.at("result_image") != run.at("image"),
              "a new image", run));
    base_.children = {
        {.uuid = run.at("result_image"), .what = absl::StrCat("greet installed, tag ", kTag)}};
    ASSIGN_OR_RETURN(const json tagged,
                     Call("set_tag", {{"image_uuid", prepared().uuid}, {"tag", kTag}}));
    Say(absl::StrCat("=> image ", prepared().uuid, ", tagged ", kTag));
    return Check(tagged.at("tag") == kTag, "the tag", tagged);
  }

  absl::Status Branch() {
    const std::string experiments[] = {
        "sleep 0.3; sed -i 's/Hello/HELLO/' /usr/local/bin/greet && greet agent",
        "sleep 0.3; echo 'exit 3' > /usr/local/bin/greet; greet agent",
    };
    std::vector<std::string> operations;
    for (const std::string& command : experiments) {
      ASSIGN_OR_RETURN(const json started, Call("run", {{"command", command},
                                                        {"image", absl::StrCat("tag:", kTag)},
                                                        {"disposable", false},
                                                        {"wait", false}}));
      operations.push_back(started.at("operation_id"));
    }
    ASSIGN_OR_RETURN(const json waited, Call("wait_operations", {{"operation_ids", operations}}));
    RETURN_IF_ERROR(Check(waited.at("completed").size() == 2 && waited.at("timed_out") == false,
                          "both to complete", waited));
    for (size_t i = 0; i < operations.size(); ++i) {
      const json& result = waited.at("results").at(operations[i]);
      Say(absl::StrCat("$ ", experiments[i]));
      SayOutput(result.at("stdout").get<std::string>());
      Say(absl::StrCat("=> exit code ", result.at("exit_code").dump(), ", image ",
                       result.at("result_image").get<std::string>()));
    }
    const json& loud = waited.at("results").at(operations[0]);
    const json& broken = waited.at("results").at(operations[1]);
    RETURN_IF_ERROR(Check(loud.at("stdout") == "HELLO, agent.\n" && loud.at("exit_code") == 0,
                          "HELLO, agent.", loud));
    RETURN_IF_ERROR(Check(broken.at("exit_code") == 3, "exit code 3", broken));
    prepared().children = {{.uuid = loud.at("result_image"), .what = "experiment 1: louder"},
                           {.uuid = broken.at("result_image"), .what = "experiment 2: broken"}};
    return Check(loud.at("result_image") != broken.at("result_image"), "two different images",
                 waited);
  }

  absl::Status ReadOneBranch() {
    ASSIGN_OR_RETURN(const json file, Call("read_file", {{"image", prepared().children[0].uuid},
                                                         {"path", "/usr/local/bin/greet"}}));
    SayOutput(file.at("content").get<std::string>());
    return Check(file.at("content") == "#!/bin/sh\necho \"HELLO, ${1:-world}.\"\n",
                 "the louder greet", file);
  }

  absl::Status SyncAndRun() {
    const Scratch project;
    RETURN_IF_ERROR(project.status());
    for (int i = 0; i < kProjectFiles; ++i)
      std::ofstream(absl::StrCat(project.path(), "/part_", i, ".txt")) << "part " << i << "\n";
    const json sync = {{"source", project.path()}, {"destination", "/project"}};
    ASSIGN_OR_RETURN(const json first, Call("rsync", sync));
    Say(absl::StrCat("rsync ", project.path(), ": ", first.at("uploaded_files").dump(),
                     " files uploaded"));
    RETURN_IF_ERROR(
        Check(first.at("files") == kProjectFiles, "all of the files to be carried", first));
    std::ofstream(absl::StrCat(project.path(), "/part_7.txt")) << project.path() << "\n";
    ASSIGN_OR_RETURN(const json second, Call("rsync", sync));
    Say(absl::StrCat("after an edit: ", second.at("uploaded_files").dump(), " file uploaded, ",
                     second.at("reused_files").dump(), " reused"));
    RETURN_IF_ERROR(Check(second.at("uploaded_files") == 1, "one file to be uploaded", second));
    const std::string command = "ls /project | wc -l; cat /project/part_7.txt";
    Say(absl::StrCat("$ ", command));
    ASSIGN_OR_RETURN(const json run,
                     Call("run", {{"command", command},
                                  {"image", absl::StrCat("tag:", kTag)},
                                  {"directory_state_id", second.at("directory_state_id")}}));
    SayOutput(run.at("stdout").get<std::string>());
    return Check(run.at("stdout") == absl::StrCat(kProjectFiles, "\n", project.path(), "\n"),
                 "the files as they are here", run);
  }

  absl::Status RollBack() {
    const std::string by_tag = absl::StrCat("tag:", kTag);
    RETURN_IF_ERROR(
        Call("set_tag", {{"image_uuid", prepared().children[1].uuid}, {"tag", kTag}}).status());
    RETURN_IF_ERROR(RunCommand("greet", by_tag, /*disposable=*/true, 3).status());
    Say("exit code 3; back to the image before it:");
    RETURN_IF_ERROR(Call("set_tag", {{"image_uuid", prepared().uuid}, {"tag", kTag}}).status());
    ASSIGN_OR_RETURN(const json run, RunCommand("greet", by_tag, /*disposable=*/true, 0));
    return Check(run.at("stdout") == "Hello, world.\n", "Hello, world.", run);
  }

  absl::Status Destroy() {
    const std::string command = "rm -rf / 2>/dev/null; echo left: $(ls /)";
    ASSIGN_OR_RETURN(const json run, RunCommand(command, prepared().uuid, /*disposable=*/false, 0));
    prepared().children.push_back({.uuid = run.at("result_image"), .what = "after rm -rf /"});
    ASSIGN_OR_RETURN(
        const json left,
        Call("list_files", {{"image", prepared().children.back().uuid}, {"path", "/"}}));
    for (const json& entry : left.at("files")) {
      RETURN_IF_ERROR(Check(entry.at("name") != "bin" && entry.at("name") != "etc",
                            "neither bin nor etc to be left", left));
    }
    Say("and the image that it ran on:");
    ASSIGN_OR_RETURN(const json after, RunCommand("echo $(ls /) && greet survivor", prepared().uuid,
                                                  /*disposable=*/true, 0));
    return Check(absl::EndsWith(after.at("stdout").get<std::string>(), "Hello, survivor.\n"),
                 "Hello, survivor.", after);
  }

  Node& prepared() { return base_.children.at(0); }

  McpStdioClient& client_;
  const std::string import_;
  std::ostream& out_;
  const bool is_watched_;
  bool is_told_ = false;  // progress belongs to the lines of the step
  std::string imported_;  // the image's uuid
  std::string title_;
  int step_number_ = 0;
  std::vector<std::string> lines_;
  Node base_;
};

}  // namespace

absl::Status RunDemo(const Options& options, std::ostream& out, bool is_watched) {
  const absl::Time start = absl::Now();
  std::vector<std::string> command = {"/proc/self/exe", "--local",        "--mode",
                                      "stdio",          "--state-dir",    options.state_dir,
                                      "--log-level",    options.log_level};
  command.push_back(absl::StrCat("--isolation=", options.isolation));
  for (std::string& flag : BackendFlags(options)) command.push_back(std::move(flag));
  ASSIGN_OR_RETURN(const auto client, McpStdioClient::Start(command));
  ASSIGN_OR_RETURN(const json server, client->Initialize("2025-06-18", kCallTimeout));
  out << "An agent's session with " << server.at("serverInfo").value("name", "") << " "
      << server.at("serverInfo").value("version", "") << ", over MCP on stdio"
      << absl::StrFormat(" (ready after %.1f ms).\n",
                         absl::ToDoubleMilliseconds(absl::Now() - start))
      << "Each command runs isolated, as root, on an immutable image.\n\n";
  try {
    RETURN_IF_ERROR(Demo(*client, options.demo_import, out, is_watched).Run());
  } catch (const json::exception& error) {
    return absl::InternalError(
        absl::StrCat("an answer is not of the documented form: ", error.what()));
  }
  ASSIGN_OR_RETURN(const int exit_code, client->CloseAndWait(absl::Seconds(10)));
  if (exit_code != 0)
    return absl::InternalError(absl::StrCat("the server ended with exit code ", exit_code));
  out << absl::StrFormat("Every result was checked. %.1f s in all.\n",
                         absl::ToDoubleSeconds(absl::Now() - start));
  return absl::OkStatus();
}

}  // namespace contree::standalone
