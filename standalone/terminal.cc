#include "standalone/terminal.h"

#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <iostream>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace contree::standalone {
namespace {

constexpr size_t kMaxLineBytes = 64 * 1024;

// A line without its end; byte by byte, so that nothing behind it is taken.
absl::StatusOr<std::string> ReadLine() {
  std::string line;
  char c;
  while (true) {
    const ssize_t got = read(STDIN_FILENO, &c, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return absl::ErrnoToStatus(errno, "cannot read standard input");
    if (got == 0 || c == '\n') return line;
    if (line.size() == kMaxLineBytes) {
      return absl::InvalidArgumentError(
          absl::StrCat("the line is longer than ", kMaxLineBytes, " bytes"));
    }
    line.push_back(c);
  }
}

}  // namespace

bool SomebodyIsThere() { return isatty(STDIN_FILENO) == 1; }

bool AskYesOrNo(absl::string_view question) {
  std::cerr << question << " [y/N] " << std::flush;
  const std::string answer =
      absl::AsciiStrToLower(absl::StripAsciiWhitespace(ReadLine().value_or("")));
  return answer == "y" || answer == "yes";
}

absl::StatusOr<std::string> ReadSecret(absl::string_view prompt) {
  termios shown{};
  const bool hide = SomebodyIsThere() && tcgetattr(STDIN_FILENO, &shown) == 0;
  if (hide) {
    termios hidden = shown;
    hidden.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
    // Only now: whoever sees the prompt may type at once, and nothing of it is shown or dropped.
    std::cerr << prompt << std::flush;
  }
  const absl::Cleanup restore = [&] {
    if (!hide) return;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
    std::cerr << std::endl;
  };
  absl::StatusOr<std::string> line = ReadLine();
  if (!line.ok()) return line;
  const absl::string_view secret = absl::StripAsciiWhitespace(*line);
  if (secret.empty()) return absl::InvalidArgumentError("nothing was given");
  return std::string(secret);
}

}  // namespace contree::standalone
