#include "standalone/self_description.h"

#include <stdlib.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <set>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace contree::standalone {
namespace {

using Words = std::vector<std::string>;

// What an option may be given, where that is a fixed set: CLI11 describes it as {a,b,c}.
Words Choices(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  const size_t begin = type.find('{');
  const size_t end = type.rfind('}');
  if (begin == std::string::npos || end == std::string::npos || end < begin) return {};
  return absl::StrSplit(type.substr(begin + 1, end - begin - 1), ',', absl::SkipEmpty());
}

bool IsFlag(const CLI::Option& option) { return option.get_items_expected_max() == 0; }

// "--name", the first long one; "-n" if there is none; a positional's own name.
std::string MainName(const CLI::Option& option) {
  if (option.get_positional()) return option.get_name(/*positional=*/true);
  if (!option.get_lnames().empty()) return absl::StrCat("--", option.get_lnames()[0]);
  return absl::StrCat("-", option.get_snames()[0]);
}

// "-y", "--yes"; spellings with _ are for old configurations only.
Words Names(const CLI::Option& option) {
  Words names;
  for (const std::string& name : option.get_snames()) names.push_back(absl::StrCat("-", name));
  for (const std::string& name : option.get_lnames()) {
    if (!absl::StrContains(name, '_')) names.push_back(absl::StrCat("--", name));
  }
  return names;
}

std::vector<const CLI::Option*> VisibleOptions(const CLI::App& app) {
  return app.get_options([](const CLI::Option* option) { return !option->get_group().empty(); });
}

std::vector<const CLI::App*> VisibleSubcommands(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App* command) { return !command->get_group().empty(); });
}

std::string Roff(absl::string_view text) {
  const std::string escaped =
      absl::StrReplaceAll(text, {{"\\", "\\e"}, {"-", "\\-"}, {"\n", "\n.br\n"}});
  // A line that begins with a dot or a quote would be a request.
  return absl::StartsWith(escaped, ".") || absl::StartsWith(escaped, "'")
             ? absl::StrCat("\\&", escaped)
             : escaped;
}

// A manual page is for everybody, whoever made it.
std::string WithoutHome(const std::string& path) {
  const char* home = getenv("HOME");
  absl::string_view rest = path;
  if (home == nullptr || home[0] == '\0' || !absl::ConsumePrefix(&rest, home)) return path;
  return absl::StartsWith(rest, "/") ? absl::StrCat("~", rest) : path;
}

std::string ValueName(const CLI::Option& option) {
  const Words choices = Choices(option);
  if (!choices.empty()) return absl::StrJoin(choices, "|");
  return absl::AsciiStrToUpper(
      absl::StrReplaceAll(absl::StripPrefix(MainName(option), "--"), {{"-", "_"}}));
}

void AppendOption(const CLI::Option& option, std::string& page) {
  absl::StrAppend(&page, ".TP\n");
  if (option.get_positional()) {
    absl::StrAppend(&page, ".I ", Roff(MainName(option)), "\n");
  } else {
    const std::string names =
        absl::StrJoin(Names(option), ", ", [](std::string* out, const std::string& name) {
          absl::StrAppend(out, "\\fB", Roff(name), "\\fR");
        });
    absl::StrAppend(&page, names,
                    IsFlag(option) ? "" : absl::StrCat(" \\fI", Roff(ValueName(option)), "\\fR"),
                    "\n");
  }
  absl::StrAppend(&page, Roff(option.get_description()), ".\n");
  if (option.get_positional() && !Choices(option).empty()) {
    absl::StrAppend(&page, "One of ", Roff(absl::StrJoin(Choices(option), ", ")), ".\n");
  }
  if (!option.get_default_str().empty()) {
    absl::StrAppend(&page, "Default: ", Roff(WithoutHome(option.get_default_str())), ".\n");
  }
  if (!option.get_envname().empty()) {
    absl::StrAppend(&page, "Environment: ", Roff(option.get_envname()), ".\n");
  }
}

std::string Synopsis(const CLI::App& app) {
  std::string synopsis = absl::StrCat(".B ", Roff(app.get_name()), "\n");
  if (const CLI::App* parent = app.get_parent(); parent != nullptr) {
    synopsis =
        absl::StrCat(".B ", Roff(absl::StrCat(parent->get_name(), " ", app.get_name())), "\n");
  }
  absl::StrAppend(&synopsis, "[\\fIOPTIONS\\fR]");
  for (const CLI::Option* option : VisibleOptions(app)) {
    if (!option->get_positional()) continue;
    const bool many = option->get_items_expected_max() > 1;
    const std::string name =
        absl::StrCat("\\fI", Roff(MainName(*option)), "\\fR", many ? "..." : "");
    absl::StrAppend(
        &synopsis, " ",
        option->get_required() ? name : absl::StrCat("[", many ? "\\-\\- " : "", name, "]"));
  }
  if (!VisibleSubcommands(app).empty()) absl::StrAppend(&synopsis, " [\\fICOMMAND\\fR]");
  return absl::StrCat(synopsis, "\n");
}

// What may stand behind a command: its choices, its options and, behind none, the sub-commands.
struct Candidate {
  std::string word;
  std::string description;
};

std::vector<Candidate> Candidates(const CLI::App& app) {
  std::vector<Candidate> candidates;
  for (const CLI::App* command : VisibleSubcommands(app)) {
    candidates.push_back({command->get_name(), command->get_description()});
  }
  for (const CLI::Option* option : VisibleOptions(app)) {
    if (option->get_positional()) {
      for (const std::string& choice : Choices(*option)) {
        candidates.push_back({choice, option->get_description()});
      }
    } else {
      for (const std::string& name : Names(*option)) {
        candidates.push_back({name, option->get_description()});
      }
    }
  }
  return candidates;
}

// Every command: the program itself as "", then its sub-commands by name. What the program takes,
// its sub-commands take as well.
std::vector<std::pair<std::string, std::vector<Candidate>>> CandidatesByCommand(
    const CLI::App& app) {
  std::vector<std::pair<std::string, std::vector<Candidate>>> all = {{"", Candidates(app)}};
  std::vector<Candidate> common;
  for (const Candidate& candidate : Candidates(app)) {
    if (absl::StartsWith(candidate.word, "-")) common.push_back(candidate);
  }
  for (const CLI::App* command : VisibleSubcommands(app)) {
    std::vector<Candidate> candidates = Candidates(*command);
    std::set<std::string> seen;
    for (const Candidate& candidate : candidates) seen.insert(candidate.word);
    for (const Candidate& candidate : common) {
      if (seen.insert(candidate.word).second) candidates.push_back(candidate);
    }
    all.emplace_back(command->get_name(), std::move(candidates));
  }
  return all;
}

// Options that take a value, of all commands.
std::vector<const CLI::Option*> OptionsWithValue(const CLI::App& app) {
  std::vector<const CLI::Option*> options;
  const auto take = [&options](const CLI::App& command) {
    for (const CLI::Option* option : VisibleOptions(command)) {
      if (!option->get_positional() && !IsFlag(*option)) options.push_back(option);
    }
  };
  take(app);
  for (const CLI::App* command : VisibleSubcommands(app)) take(*command);
  return options;
}

Words SubcommandNames(const CLI::App& app) {
  Words names;
  for (const CLI::App* command : VisibleSubcommands(app)) names.push_back(command->get_name());
  return names;
}

std::string ShellQuoted(absl::string_view text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "'\\''"}}), "'");
}

std::string BashScript(const CLI::App& app) {
  std::string script = absl::StrCat(
      "# bash completion, made by: contree-mcp completion bash\n"
      "_contree_mcp() {\n"
      "  local current=${COMP_WORDS[COMP_CWORD]} command='' words='' i\n"
      "  COMPREPLY=()\n"
      "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
      "    case ${COMP_WORDS[i]} in\n"
      "      ",
      absl::StrJoin(SubcommandNames(app), " | "),
      ") command=${COMP_WORDS[i]}; break ;;\n"
      "    esac\n"
      "  done\n"
      "  case ${COMP_WORDS[COMP_CWORD - 1]} in\n");
  for (const CLI::Option* option : OptionsWithValue(app)) {
    const Words choices = Choices(*option);
    absl::StrAppend(&script, "    ", absl::StrJoin(Names(*option), " | "), ") ");
    if (!choices.empty()) {
      absl::StrAppend(&script, "mapfile -t COMPREPLY < <(compgen -W ",
                      ShellQuoted(absl::StrJoin(choices, " ")), " -- \"$current\"); ");
    }
    absl::StrAppend(&script, "return ;;\n");
  }
  absl::StrAppend(&script, "  esac\n  case $command in\n");
  for (const auto& [command, candidates] : CandidatesByCommand(app)) {
    const std::string words = absl::StrJoin(
        candidates, " ",
        [](std::string* out, const Candidate& candidate) { absl::StrAppend(out, candidate.word); });
    absl::StrAppend(&script, "    ", command.empty() ? "''" : command,
                    ") words=", ShellQuoted(words), " ;;\n");
  }
  absl::StrAppend(&script,
                  "  esac\n"
                  "  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
                  "}\n"
                  "complete -o default -F _contree_mcp contree-mcp\n");
  return script;
}

std::string ZshScript(const CLI::App& app) {
  std::string script = absl::StrCat(
      "#compdef contree-mcp\n"
      "# zsh completion, made by: contree-mcp completion zsh\n"
      "_contree_mcp() {\n"
      "  local command='' word\n"
      "  local -a candidates\n"
      "  for word in ${words[2,CURRENT-1]}; do\n"
      "    case $word in\n"
      "      (",
      absl::StrJoin(SubcommandNames(app), "|"),
      ") command=$word; break ;;\n"
      "    esac\n"
      "  done\n"
      "  case ${words[CURRENT-1]} in\n");
  for (const CLI::Option* option : OptionsWithValue(app)) {
    const Words choices = Choices(*option);
    absl::StrAppend(
        &script, "    (", absl::StrJoin(Names(*option), "|"), ") ",
        choices.empty() ? "_files" : absl::StrCat("compadd -- ", absl::StrJoin(choices, " ")),
        "; return ;;\n");
  }
  absl::StrAppend(&script, "  esac\n  case $command in\n");
  for (const auto& [command, candidates] : CandidatesByCommand(app)) {
    absl::StrAppend(&script, "    (", command.empty() ? "''" : command, ") candidates=(\n");
    for (const Candidate& candidate : candidates) {
      absl::StrAppend(
          &script, "      ",
          ShellQuoted(absl::StrCat(candidate.word, ":",
                                   absl::StrReplaceAll(candidate.description, {{":", "\\:"}}))),
          "\n");
    }
    absl::StrAppend(&script, "    ) ;;\n");
  }
  absl::StrAppend(&script,
                  "  esac\n"
                  "  _describe 'contree-mcp' candidates\n"
                  "}\n"
                  "compdef _contree_mcp contree-mcp\n");
  return script;
}

std::string FishOption(const CLI::Option& option, const std::string& condition) {
  std::string line = absl::StrCat("complete -c contree-mcp", condition);
  if (option.get_positional()) {
    absl::StrAppend(&line, " -a ", ShellQuoted(absl::StrJoin(Choices(option), " ")));
  } else {
    for (const std::string& name : option.get_snames()) absl::StrAppend(&line, " -s ", name);
    for (const std::string& name : option.get_lnames()) {
      if (!absl::StrContains(name, '_')) absl::StrAppend(&line, " -l ", name);
    }
    const Words choices = Choices(option);
    if (!choices.empty()) {
      absl::StrAppend(&line, " -x -a ", ShellQuoted(absl::StrJoin(choices, " ")));
    } else if (!IsFlag(option)) {
      absl::StrAppend(&line, " -r -F");
    }
  }
  return absl::StrCat(line, " -d ", ShellQuoted(option.get_description()), "\n");
}

std::string FishScript(const CLI::App& app) {
  std::string script =
      "# fish completion, made by: contree-mcp completion fish\n"
      "complete -c contree-mcp -f\n";
  for (const CLI::App* command : VisibleSubcommands(app)) {
    absl::StrAppend(&script, "complete -c contree-mcp -n __fish_use_subcommand -a ",
                    command->get_name(), " -d ", ShellQuoted(command->get_description()), "\n");
  }
  for (const CLI::Option* option : VisibleOptions(app))
    absl::StrAppend(&script, FishOption(*option, ""));
  for (const CLI::App* command : VisibleSubcommands(app)) {
    const std::string condition = absl::StrCat(
        " -n ", ShellQuoted(absl::StrCat("__fish_seen_subcommand_from ", command->get_name())));
    for (const CLI::Option* option : VisibleOptions(*command)) {
      if (option->get_positional() && Choices(*option).empty()) continue;
      if (MainName(*option) == "--help") continue;  // the program's own says it
      absl::StrAppend(&script, FishOption(*option, condition));
    }
  }
  return script;
}

}  // namespace

absl::StatusOr<std::string> ManualPage(const CLI::App& app, absl::string_view subcommand) {
  const CLI::App* described = &app;
  if (!subcommand.empty()) {
    const std::vector<const CLI::App*> commands = VisibleSubcommands(app);
    const auto found = std::find_if(
        commands.begin(), commands.end(),
        [subcommand](const CLI::App* command) { return command->get_name() == subcommand; });
    if (found == commands.end()) {
      return absl::InvalidArgumentError(absl::StrCat("there is no sub-command '", subcommand,
                                                     "'; there are ",
                                                     absl::StrJoin(SubcommandNames(app), ", ")));
    }
    described = *found;
  }
  const std::string name =
      subcommand.empty() ? app.get_name() : absl::StrCat(app.get_name(), "-", subcommand);
  const std::string description = described->get_description();
  const std::string summary =
      subcommand.empty() ? std::string("sandboxes for AI agents, over MCP") : description;
  std::string page =
      absl::StrCat(".\\\" Made by: contree-mcp manual ", subcommand, "\n.TH ",
                   absl::AsciiStrToUpper(Roff(name)), " 1 \"\" \"contree\\-mcp\"\n.SH NAME\n",
                   Roff(name), " \\- ", Roff(summary), "\n.SH SYNOPSIS\n", Synopsis(*described));
  if (subcommand.empty()) {
    absl::StrAppend(&page, ".SH DESCRIPTION\n", Roff(description), "\n.SH COMMANDS\n",
                    "Without one, contree\\-mcp serves MCP.\n");
    for (const CLI::App* command : VisibleSubcommands(app)) {
      absl::StrAppend(&page, ".TP\n.B ", Roff(command->get_name()), "\n",
                      Roff(command->get_description()), ".\n");
    }
  }
  absl::StrAppend(&page, ".SH OPTIONS\n");
  for (const CLI::Option* option : VisibleOptions(*described)) AppendOption(*option, page);
  absl::StrAppend(&page, ".SH SEE ALSO\n");
  if (subcommand.empty()) {
    absl::StrAppend(&page,
                    absl::StrJoin(SubcommandNames(app), ",\n",
                                  [](std::string* out, const std::string& command) {
                                    absl::StrAppend(out, ".BR contree\\-mcp\\-", Roff(command),
                                                    " (1)");
                                  }),
                    "\n");
  } else {
    absl::StrAppend(&page, ".BR contree\\-mcp (1)\nhas the options that every command takes.\n");
  }
  return page;
}

std::string CompletionScript(const CLI::App& app, absl::string_view shell) {
  if (shell == "zsh") return ZshScript(app);
  if (shell == "fish") return FishScript(app);
  return BashScript(app);
}

}  // namespace contree::standalone
