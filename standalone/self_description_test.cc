#include "standalone/self_description.h"

#include <stdio.h>

#include <CLI/CLI.hpp>

#include "common/files/state_directory.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"

namespace contree::standalone {
namespace {

using testing::HasSubstr;
using testing::Not;

class SelfDescriptionTest : public testing::Test {
 protected:
  SelfDescriptionTest() {
    app_.add_option("--mode,--old_mode", mode_, "How it's done")
        ->check(CLI::IsMember({"slow", "fast"}))
        ->envname("THE_MODE")
        ->capture_default_str();
    CLI::App* paint = app_.add_subcommand("paint", "Paint: a wall");
    paint->add_option("COLOUR", colour_, "What colour")
        ->required()
        ->check(CLI::IsMember({"red", "blue"}));
    paint->add_flag("-q,--quick", quick_, "Hurry");
    CLI::App* hidden = app_.add_subcommand("hidden", "Not for people");
    hidden->group("");
  }

  // What bash offers for the words, the last of which is being typed.
  std::string Completed(const std::string& words, int count) {
    const TempDirectory directory;
    EXPECT_OK(WritePrivateFile(directory.File("script"), CompletionScript(app_, "bash")));
    const std::string command = "bash -c 'source " + directory.File("script") + "; COMP_WORDS=(" +
                                words + "); COMP_CWORD=" + std::to_string(count - 1) +
                                "; _contree_mcp; echo \"${COMPREPLY[*]}\"' 2>&1";
    FILE* pipe = popen(command.c_str(), "r");
    char buffer[4096];
    const size_t got = fread(buffer, 1, sizeof buffer, pipe);
    EXPECT_EQ(pclose(pipe), 0);
    return std::string(buffer, got);
  }

  std::string mode_ = "slow";
  std::string colour_;
  bool quick_ = false;
  CLI::App app_{"A program.", "tool"};
};

TEST_F(SelfDescriptionTest, AManualPageHasWhatTheOptionsSay) {
  ASSERT_OK_AND_ASSIGN(const std::string page, ManualPage(app_, ""));
  EXPECT_THAT(page, HasSubstr(".TH TOOL 1"));
  EXPECT_THAT(page, HasSubstr("\\fB\\-\\-mode\\fR \\fIslow|fast\\fR\nHow it's done.\nDefault: "
                              "slow.\nEnvironment: THE_MODE.\n"));
  EXPECT_THAT(page, HasSubstr(".B paint\nPaint: a wall.\n"));
  EXPECT_THAT(page, Not(HasSubstr("hidden")));
  EXPECT_THAT(page, Not(HasSubstr("old_mode")));
  ASSERT_OK_AND_ASSIGN(const std::string paint, ManualPage(app_, "paint"));
  EXPECT_THAT(paint, HasSubstr(".B tool paint\n[\\fIOPTIONS\\fR] \\fICOLOUR\\fR\n"));
  EXPECT_THAT(paint, HasSubstr("One of red, blue."));
  EXPECT_THAT(ManualPage(app_, "hidden"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("there are paint")));
}

TEST_F(SelfDescriptionTest, BashCompletesCommandsOptionsAndValues) {
  EXPECT_EQ(Completed("contree-mcp pa", 2), "paint\n");
  EXPECT_EQ(Completed("contree-mcp paint r", 3), "red\n");
  EXPECT_EQ(Completed("contree-mcp paint --qu", 3), "--quick\n");
  EXPECT_EQ(Completed("contree-mcp paint --mo", 3), "--mode\n");
  EXPECT_EQ(Completed("contree-mcp --mode \"\"", 3), "slow fast\n");
  EXPECT_EQ(Completed("contree-mcp hid", 2), "\n");
}

TEST_F(SelfDescriptionTest, ZshAndFishAreToldTheSame) {
  const std::string zsh = CompletionScript(app_, "zsh");
  EXPECT_THAT(zsh, HasSubstr("'paint:Paint\\: a wall'"));
  EXPECT_THAT(zsh, HasSubstr("'--mode:How it'\\''s done'"));
  EXPECT_THAT(zsh, HasSubstr("(--mode) compadd -- slow fast; return ;;"));
  const std::string fish = CompletionScript(app_, "fish");
  EXPECT_THAT(fish, HasSubstr("-n __fish_use_subcommand -a paint -d 'Paint: a wall'"));
  EXPECT_THAT(fish, HasSubstr("-l mode -x -a 'slow fast'"));
  EXPECT_THAT(fish, HasSubstr("'__fish_seen_subcommand_from paint' -a 'red blue'"));
  EXPECT_THAT(fish, HasSubstr("'__fish_seen_subcommand_from paint' -s q -l quick"));
  EXPECT_THAT(fish, Not(HasSubstr("hidden")));
}

}  // namespace
}  // namespace contree::standalone
