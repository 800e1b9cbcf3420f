#include "common/text/json_text.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/text/utf8.h"

namespace contree {
namespace {

// Answers are mostly long texts inside JSON inside a text. The library's serialiser looks at them
// byte by byte through a decoder; this one copies what stands for itself in runs, and leaves to the
// library what is rare: numbers with a point, and text that is no UTF-8.

constexpr char kHexDigits[] = "0123456789abcdef";

enum class ByteKind : uint8_t { kPlain, kEscaped, kMultibyte };

constexpr std::array<ByteKind, 256> MakeKinds() {
  std::array<ByteKind, 256> kinds = {};
  for (size_t byte = 0; byte < kinds.size(); ++byte) {
    if (byte >= 0x80) {
      kinds[byte] = ByteKind::kMultibyte;
    } else if (byte < 0x20 || byte == '"' || byte == '\\') {
      kinds[byte] = ByteKind::kEscaped;
    } else {
      kinds[byte] = ByteKind::kPlain;
    }
  }
  return kinds;
}
constexpr std::array<ByteKind, 256> kKinds = MakeKinds();

void AppendEscaped(std::string& out, char c) {
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\b':
      out += "\\b";
      return;
    case '\f':
      out += "\\f";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      out += "\\u00";
      out.push_back(kHexDigits[static_cast<uint8_t>(c) >> 4]);
      out.push_back(kHexDigits[static_cast<uint8_t>(c) & 0x0f]);
  }
}

template <typename Json>
std::string DumpByLibrary(const Json& value) {
  return value.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

void AppendString(std::string& out, absl::string_view text) {
  const size_t before = out.size();
  out.push_back('"');
  size_t run = 0;  // what was not copied yet begins there
  size_t at = 0;
  bool is_utf8 = false;  // once it was looked at
  while (at < text.size()) {
    const ByteKind kind = kKinds[static_cast<uint8_t>(text[at])];
    if (kind == ByteKind::kPlain) {
      ++at;
      continue;
    }
    if (kind == ByteKind::kMultibyte) {
      if (!is_utf8 && !IsUtf8(text)) {
        out.resize(before);
        out += DumpByLibrary(nlohmann::json(std::string(text)));
        return;
      }
      is_utf8 = true;
      ++at;
      continue;
    }
    out.append(text.data() + run, at - run);
    AppendEscaped(out, text[at]);
    run = ++at;
  }
  out.append(text.data() + run, at - run);
  out.push_back('"');
}

template <typename Json>
void AppendJson(std::string& out, const Json& value) {
  switch (value.type()) {
    case Json::value_t::object: {
      char separator = '{';
      for (auto member = value.begin(); member != value.end(); ++member) {
        out.push_back(separator);
        separator = ',';
        AppendString(out, member.key());
        out.push_back(':');
        AppendJson(out, *member);
      }
      out += value.empty() ? "{}" : "}";
      return;
    }
    case Json::value_t::array: {
      char separator = '[';
      for (const Json& element : value) {
        out.push_back(separator);
        separator = ',';
        AppendJson(out, element);
      }
      out += value.empty() ? "[]" : "]";
      return;
    }
    case Json::value_t::string:
      AppendString(out, value.template get_ref<const std::string&>());
      return;
    case Json::value_t::boolean:
      out += value.template get<bool>() ? "true" : "false";
      return;
    case Json::value_t::number_integer:
      absl::StrAppend(&out, value.template get<int64_t>());
      return;
    case Json::value_t::number_unsigned:
      absl::StrAppend(&out, value.template get<uint64_t>());
      return;
    default:
      out += DumpByLibrary(value);
  }
}

template <typename Json>
std::string Dump(const Json& value) {
  std::string text;
  AppendJson(text, value);
  return text;
}

}  // namespace

std::string ToJsonText(const nlohmann::json& value) { return Dump(value); }
std::string ToJsonText(const nlohmann::ordered_json& value) { return Dump(value); }

std::string ToJsonString(absl::string_view text) {
  std::string quoted;
  quoted.reserve(text.size() + text.size() / 16 + 2);
  AppendString(quoted, text);
  return quoted;
}

void AppendJsonString(absl::string_view text, std::string* json) { AppendString(*json, text); }

}  // namespace contree
