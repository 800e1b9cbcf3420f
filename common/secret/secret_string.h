#ifndef COMMON_SECRET_SECRET_STRING_H_
#define COMMON_SECRET_SECRET_STRING_H_

// A password, token or key in memory: overwritten when it is destroyed, moved from or assigned to,
// and without a way into a stream or a log. Used by one thread at a time.

#include <string>

#include "absl/strings/string_view.h"

namespace contree {

// Overwrites the text, whatever the compiler thinks of it, and leaves it empty. For copies that
// libraries make us hold in plain strings.
void Wipe(std::string& text);

class SecretString {
 public:
  SecretString() = default;
  // Takes the text over and wipes what is left of the argument.
  explicit SecretString(std::string&& text);
  explicit SecretString(absl::string_view text) : text_(text) {}
  SecretString(const SecretString& other) = default;
  SecretString(SecretString&& other) noexcept;
  SecretString& operator=(const SecretString& other);
  SecretString& operator=(SecretString&& other) noexcept;
  ~SecretString() { Wipe(text_); }

  bool empty() const { return text_.empty(); }
  // Valid as long as this is neither changed nor destroyed.
  absl::string_view view() const { return text_; }

  friend bool operator==(const SecretString& a, const SecretString& b) {
    return a.text_ == b.text_;
  }

 private:
  std::string text_;
};

}  // namespace contree

#endif  // COMMON_SECRET_SECRET_STRING_H_
