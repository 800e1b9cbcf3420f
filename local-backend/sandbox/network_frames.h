#ifndef LOCAL_BACKEND_SANDBOX_NETWORK_FRAMES_H_
#define LOCAL_BACKEND_SANDBOX_NETWORK_FRAMES_H_

// Which Ethernet frames of a sandbox may leave it. Without Abseil: it is part of network_stack,
// which is a program of its own. Thread-safe.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace contree {

// IPv4 addresses, in host order, that are out of reach.
class ForbiddenAddresses {
 public:
  // Loopback, 0.0.0.0/8, link-local ones (where clouds tell a machine its secrets), and this
  // machine's own as they are now. Of the nameserver that sandboxes are given, all but its port 53:
  // it stands for one that may be on this machine.
  static ForbiddenAddresses OfThisMachine();
  explicit ForbiddenAddresses(std::vector<uint32_t> own) : own_(std::move(own)) {}

  bool Contains(uint32_t address) const;

 private:
  std::vector<uint32_t> own_;
};

enum class FrameVerdict {
  kPass,
  kIgnore,  // not IPv4 and not ARP, or to many
  kRefuse,  // to a forbidden address; tell the sender with RefusalOf
};

FrameVerdict JudgeFrame(std::string_view frame, const ForbiddenAddresses& forbidden);

// The answer to a frame of verdict kRefuse: ICMP "administratively prohibited", upon which
// connect() fails at once. Empty: none may be sent.
std::string RefusalOf(std::string_view frame);

}  // namespace contree

#endif  // LOCAL_BACKEND_SANDBOX_NETWORK_FRAMES_H_
