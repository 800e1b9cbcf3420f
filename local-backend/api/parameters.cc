#include "local-backend/api/parameters.h"

#include <cmath>
#include <limits>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "common/status/status_macros.h"

namespace contree {
namespace {

constexpr int kMaxLimit = 1000;

}  // namespace

absl::StatusOr<int> IntParameter(const HttpExchange& exchange, const std::string& name,
                                 int otherwise, int least, int most) {
  const std::optional<std::string> text = exchange.Query(name);
  if (!text.has_value()) return otherwise;
  int value;
  if (!absl::SimpleAtoi(*text, &value) || value < least || value > most) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, " must be between ", least, " and ", most));
  }
  return value;
}

absl::StatusOr<Page> PageParameters(const HttpExchange& exchange) {
  Page page;
  ASSIGN_OR_RETURN(page.limit, IntParameter(exchange, "limit", page.limit, 1, kMaxLimit));
  ASSIGN_OR_RETURN(page.offset,
                   IntParameter(exchange, "offset", 0, 0, std::numeric_limits<int>::max()));
  return page;
}

absl::StatusOr<bool> FlagParameter(const HttpExchange& exchange, const std::string& name) {
  const std::optional<std::string> text = exchange.Query(name);
  if (!text.has_value() || *text == "0" || absl::EqualsIgnoreCase(*text, "false")) return false;
  if (text->empty() || *text == "1" || absl::EqualsIgnoreCase(*text, "true")) return true;
  return absl::InvalidArgumentError(absl::StrCat(name, " must be 0 or 1"));
}

absl::StatusOr<absl::Time> ParseApiTime(absl::string_view text, absl::Time now) {
  const absl::Status wrong =
      absl::InvalidArgumentError(absl::StrCat("\"", text,
                                              "\" is no time: give ISO 8601 (2026-01-31T12:00:00Z) "
                                              "or an age such as 90s, 15m, 2h, 3d, 1w"));
  absl::Duration unit = absl::Seconds(1);
  absl::string_view number = text;
  if (!text.empty()) {
    switch (text.back()) {
      case 's':
        unit = absl::Seconds(1);
        break;
      case 'm':
        unit = absl::Minutes(1);
        break;
      case 'h':
        unit = absl::Hours(1);
        break;
      case 'd':
        unit = absl::Hours(24);
        break;
      case 'w':
        unit = absl::Hours(24 * 7);
        break;
      default:
        unit = absl::ZeroDuration();
    }
    if (unit == absl::ZeroDuration()) {
      unit = absl::Seconds(1);
    } else {
      number.remove_suffix(1);
    }
  }
  double age;
  if (absl::SimpleAtod(number, &age) && std::isfinite(age)) {
    if (age < 0) return wrong;
    return now - age * unit;
  }
  // A "+" of a zone that was not escaped in the query arrives as a space.
  std::string iso = absl::StrReplaceAll(text, {{"z", "Z"}, {"t", "T"}});
  if (iso.size() > 19 && iso[iso.size() - 6] == ' ') iso[iso.size() - 6] = '+';
  absl::Time time;
  std::string error;
  for (const char* format : {absl::RFC3339_full, "%Y-%m-%d%ET%H:%M:%E*S", "%Y-%m-%d %H:%M:%E*S%Ez",
                             "%Y-%m-%d %H:%M:%E*S", "%Y-%m-%d"}) {
    if (absl::ParseTime(format, iso, &time, &error)) return time;
  }
  return wrong;
}

absl::StatusOr<absl::Time> TimeParameter(const HttpExchange& exchange, const std::string& name,
                                         absl::Time otherwise) {
  const std::optional<std::string> text = exchange.Query(name);
  if (!text.has_value() || text->empty()) return otherwise;
  absl::StatusOr<absl::Time> time = ParseApiTime(*text, absl::Now());
  if (!time.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": ", time.status().message()));
  }
  return time;
}

}  // namespace contree
