#include "gateway/sync/ignore_pattern.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"

namespace contree::gateway {
namespace {

using testing::HasSubstr;

bool Excludes(const std::vector<std::string>& patterns, absl::string_view path,
              bool is_directory = false) {
  const auto parsed = IgnorePatterns::Parse(patterns);
  EXPECT_OK(parsed);
  return parsed.ok() && parsed->Excludes(path, is_directory);
}

TEST(IgnorePatternTest, ANameMatchesAtAnyDepthAndNotItsBeginning) {
  EXPECT_TRUE(Excludes({".git"}, ".git", true));
  EXPECT_TRUE(Excludes({".git"}, "a/b/.git"));
  EXPECT_FALSE(Excludes({".git"}, ".gitignore"));
  EXPECT_FALSE(Excludes({".git"}, "a.git"));
}

TEST(IgnorePatternTest, ASlashAtTheEndMeansDirectories) {
  EXPECT_TRUE(Excludes({"build/"}, "a/build", true));
  EXPECT_FALSE(Excludes({"build/"}, "a/build", false));
}

TEST(IgnorePatternTest, ASlashElsewhereMeansFromTheRoot) {
  EXPECT_TRUE(Excludes({"/build"}, "build"));
  EXPECT_FALSE(Excludes({"/build"}, "a/build"));
  EXPECT_TRUE(Excludes({"a/build"}, "a/build"));
  EXPECT_FALSE(Excludes({"a/build"}, "b/a/build"));
}

TEST(IgnorePatternTest, StarsStayWithinANameUnlessDoubled) {
  EXPECT_TRUE(Excludes({"*.o"}, "a/b.o"));
  EXPECT_TRUE(Excludes({"a/*.o"}, "a/b.o"));
  EXPECT_FALSE(Excludes({"a/*.o"}, "a/b/c.o"));
  EXPECT_TRUE(Excludes({"a/**/c.o"}, "a/c.o"));
  EXPECT_TRUE(Excludes({"a/**/c.o"}, "a/b/b/c.o"));
  EXPECT_TRUE(Excludes({"**/c.o"}, "c.o"));
  EXPECT_TRUE(Excludes({"a/**"}, "a/b/c"));
  EXPECT_FALSE(Excludes({"a/**"}, "a", true));
}

TEST(IgnorePatternTest, TheLastMatchDecides) {
  EXPECT_FALSE(Excludes({"*.o", "!keep.o"}, "keep.o"));
  EXPECT_TRUE(Excludes({"*.o", "!keep.o", "keep.*"}, "keep.o"));
  EXPECT_TRUE(Excludes({"!keep.o", "*.o"}, "keep.o"));
}

TEST(IgnorePatternTest, WhatIsBadIsNamedWithItsReason) {
  const auto error = [](const std::string& pattern) {
    const auto parsed = IgnorePatterns::Parse({pattern});
    EXPECT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument) << pattern;
    EXPECT_THAT(std::string(parsed.status().message()), HasSubstr(absl::StrCat("'", pattern, "'")));
    return std::string(parsed.status().message());
  };
  EXPECT_THAT(error("a[bc"), HasSubstr("no ']'"));
  EXPECT_THAT(error("a[\\"), HasSubstr("no ']'"));
  EXPECT_THAT(error("[]"), HasSubstr("no ']'"));
  EXPECT_THAT(error("a\\"), HasSubstr("lone backslash"));
  EXPECT_THAT(error(""), HasSubstr("names nothing"));
  EXPECT_THAT(error("!"), HasSubstr("names nothing"));
  EXPECT_THAT(error("/"), HasSubstr("names nothing"));
  EXPECT_THAT(error("   "), HasSubstr("names nothing"));
  EXPECT_THAT(error("# all objects"), HasSubstr("comment"));
  EXPECT_THAT(error("[[:letter:]]"), HasSubstr("no character class [:letter:]"));
  EXPECT_THAT(error(std::string(5000, 'a')), HasSubstr("4096 bytes"));
}

TEST(IgnorePatternTest, ManyStarsTakeNoLongTime) {
  std::string pattern;
  for (int i = 0; i < 300; ++i) absl::StrAppend(&pattern, "a*");
  const absl::Time start = absl::Now();
  EXPECT_FALSE(Excludes({pattern + "b"}, std::string(4000, 'a')));
  EXPECT_LT(absl::Now() - start, absl::Seconds(10));  // backtracking would take ages
}

// Asks git about a tree of empty files and directories and the same patterns.
class GitOracle {
 public:
  // Of each path everything but its last name is a directory; the last one is a directory where a
  // slash stands behind it.
  explicit GitOracle(std::vector<std::string> paths) : paths_(std::move(paths)) {
    EXPECT_EQ(Run("git init -q . && git config core.ignorecase false"), "");
    std::ofstream input(temp_.File(".git/input"));
    for (const std::string& path : paths_) {
      const std::filesystem::path whole = temp_.File(path);
      std::filesystem::create_directories(whole.parent_path());
      if (path.back() != '/') std::ofstream(whole).close();
      input << path.substr(0, path.find_last_not_of('/') + 1) << '\0';
    }
  }

  const std::vector<std::string>& paths() const { return paths_; }

  // The paths that git leaves out, without slashes behind them.
  std::set<std::string> Ignored(const std::vector<std::string>& patterns) {
    std::ofstream ignore(temp_.File(".git/info/exclude"));
    for (const std::string& pattern : patterns) ignore << pattern << "\n";
    ignore.close();
    const std::string out =
        Run("git check-ignore --no-index -z --stdin <.git/input || test $? = 1");
    std::set<std::string> ignored;
    for (absl::string_view path : absl::StrSplit(out, '\0', absl::SkipEmpty()))
      ignored.emplace(path);
    return ignored;
  }

 private:
  std::string Run(const std::string& command) {
    const std::string whole = absl::StrCat(
        "cd ", temp_.path(), " && export HOME=$PWD GIT_CONFIG_NOSYSTEM=1 && ", command);
    FILE* pipe = popen(whole.c_str(), "r");
    std::string out;
    char buffer[4096];
    size_t size = 0;
    while ((size = fread(buffer, 1, sizeof buffer, pipe)) > 0) out.append(buffer, size);
    EXPECT_EQ(pclose(pipe), 0) << command;
    return out;
  }

  const std::vector<std::string> paths_;
  TempDirectory temp_;
};

// What a walk would leave out: an excluded directory is not entered.
std::set<std::string> LeftOut(const IgnorePatterns& patterns,
                              const std::vector<std::string>& paths) {
  std::set<std::string> left_out;
  for (const std::string& given : paths) {
    const bool is_directory = given.back() == '/';
    const std::string path = is_directory ? given.substr(0, given.size() - 1) : given;
    bool excluded = patterns.Excludes(path, is_directory);
    for (size_t slash = path.find('/'); slash != std::string::npos;
         slash = path.find('/', slash + 1)) {
      excluded |= patterns.Excludes(path.substr(0, slash), true);
    }
    if (excluded) left_out.insert(path);
  }
  return left_out;
}

TEST(IgnorePatternTest, AgreesWithGit) {
  if (std::system("git --version >/dev/null 2>&1") != 0) {
    GTEST_SKIP() << "git is not installed: nothing to compare with";
  }
  // Paths of up to three names, each as a file and as a directory.
  const std::vector<std::string> names = {"a",   "b",   "ab", "a.o",      ".o", "foo", "foo.o",
                                          "a-b", "a]b", "A",  "a b",      "z",  "[a]", "a\\b",
                                          "!a",  "#a",  "a ", "\xc3\xa9", "9",  "_"};
  std::vector<std::string> files_1, files_2, files_3, directories;
  for (const std::string& one : names) {
    files_1.push_back(one);
    directories.push_back(one + "/");
    for (const char* const two : {"a", "foo", "a.o", "b"}) {
      const std::string both = absl::StrCat(one, "/", two);
      files_2.push_back(both);
      directories.push_back(both + "/");
      for (const char* const three : {"a", "foo.o", "foo"}) {
        files_3.push_back(absl::StrCat(both, "/", three));
        directories.push_back(absl::StrCat(both, "/", three, "/"));
      }
    }
  }
  // A name is a file in one tree and a directory in another one.
  GitOracle oracles[] = {GitOracle(files_1), GitOracle(files_2), GitOracle(files_3),
                         GitOracle(directories)};
  const std::vector<std::vector<std::string>> cases = {
      {"a"},
      {"a/"},
      {"/a"},
      {"/a/"},
      {"a/foo"},
      {"/a/foo"},
      {"a/foo/"},
      {"*.o"},
      {"*"},
      {"/*"},
      {"**"},
      {"/**"},
      {"**/"},
      {"*/"},
      {"a/*"},
      {"a/**"},
      {"a/**/"},
      {"**/foo"},
      {"**/a/foo"},
      {"a/**/foo"},
      {"a/**/**/foo"},
      {"a**"},
      {"a**b"},
      {"a/**b"},
      {"a/b**/foo"},
      {"***"},
      {"a/***"},
      {"***/foo"},
      {"?"},
      {"??"},
      {"a?b"},
      {"a/?"},
      {"[ab]"},
      {"[!a]"},
      {"[^a]"},
      {"[a-c]"},
      {"[c-a]"},
      {"[]a]"},
      {"[]-a]"},
      {"[a-]"},
      {"[!]a]"},
      {"a[]]b"},
      {"a[-]b"},
      {"[[:alpha:]]"},
      {"[[:digit:][:upper:]]"},
      {"[![:alpha:]]"},
      {"[[:alpha:]"},
      {"[[:a]"},
      {"[[]a]"},
      {"[a-\\]]"},
      {"[\\a]"},
      {"[\\]]"},
      {"a[/]foo"},
      {"a[!b]foo"},
      {"a?foo"},
      {"\\a"},
      {"\\!a"},
      {"\\#a"},
      {"a\\ b"},
      {"a\\ "},
      {"a "},
      {"a   "},
      {"a\\\\b"},
      {"\\*.o"},
      {"\xc3\xa9"},
      {"\xc3?"},
      {"[\xc3]?"},
      {"*.o", "!a.o"},
      {"*", "!a"},
      {"*", "!*/", "!*.o"},
      {"a/", "!a/foo"},
      {"a/*", "!a/foo"},
      {"/*", "!/a", "/a/*", "!/a/foo"},
      {"foo", "!a/foo", "a/foo/a"},
      {"!a", "a"},
      {"*.o", "!/a/*.o"},
      {"a/a/foo"},
      {"a//foo"},
      {"//a"},
      {"a//"},
      {"./a"},
      {"a/."},
      {"[a-zA-Z0-9_]"},
      {"a.?"},
      {"*a*"},
      {"*a*o"},
      {"f*o*"},
      {"**o"},
      {"o**"},
      {"**/**/a"},
      {"**/*.o"},
      {"/**/foo"},
      {"a/*/foo"},
      {"*/foo"},
      {"*/*/foo"},
      {"?/foo"},
      {"**/?"},
      {"foo/**/a"},
      {"!*"},
      {"**/b/**"},
      {"[!b]/foo"},
  };
  for (const std::vector<std::string>& patterns : cases) {
    const auto parsed = IgnorePatterns::Parse(patterns);
    for (GitOracle& git : oracles) {
      // What we refuse, git takes for patterns that match nothing.
      const std::set<std::string> ours =
          parsed.ok() ? LeftOut(*parsed, git.paths()) : std::set<std::string>();
      EXPECT_EQ(ours, git.Ignored(patterns)) << patterns.back();
    }
  }
}

}  // namespace
}  // namespace contree::gateway
