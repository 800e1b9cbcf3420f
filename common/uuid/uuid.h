#ifndef COMMON_UUID_UUID_H_
#define COMMON_UUID_UUID_H_

// UUIDs in their canonical lower-case text form (RFC 9562), the only form that the ConTree API
// knows. Thread-safe.

#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace contree {

// Random (version 4), from the kernel's random source: it cannot be guessed.
std::string NewUuidV4();

// Time-ordered (version 7): the text form of a later millisecond sorts after that of an earlier
// one.
std::string NewUuidV7(absl::Time now);

// Whether `text` is 8-4-4-4-12 lower-case hexadecimal digits, of any version.
bool IsUuid(absl::string_view text);

}  // namespace contree

#endif  // COMMON_UUID_UUID_H_
