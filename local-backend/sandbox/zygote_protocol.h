#ifndef LOCAL_BACKEND_SANDBOX_ZYGOTE_PROTOCOL_H_
#define LOCAL_BACKEND_SANDBOX_ZYGOTE_PROTOCOL_H_

// What the backend and its zygote (zygote_program.cc) say to each other over a SOCK_SEQPACKET
// socket. Both come from one build, so plain structs do.
//
// The zygote begins with a ZygoteReply: error_number 0, or why it cannot work as it was asked to.
// Then each message to it is a ZygoteRequest followed by the NUL-terminated words of a command,
// with descriptors attached in the order of AttachedFirst, and each answer a ZygoteReply. It ends
// when the backend closes the socket.

#include <cstdint>

namespace contree {

// Descriptors that the zygote starts with.
inline constexpr int kZygoteSocket = 3;
inline constexpr int kZygoteFilter = 4;  // the seccomp filter, opened anew for each sandbox
inline constexpr int kZygoteInit = 5;    // the program that becomes process 1

// What its children find open, beside kZygoteInit.
inline constexpr int kSandboxFilter = 40;
inline constexpr int kSandboxControl = 41;  // to the backend
inline constexpr int kSandboxData = 42;     // and what follows: files that came with the request

// Where its children find their root file system, if it has a root directory of its own.
inline constexpr char kZygoteMountPoint[] = "/sandbox";

inline constexpr uint32_t kMaxZygoteMessage = 64 * 1024;

// The descriptors of a request; those of groups follow, then files.
enum AttachedFirst {
  kAttachedRoot,         // the detached mount to attach at the mount point
  kAttachedNetwork,      // the network namespace
  kAttachedControl,      // becomes kSandboxControl
  kAttachedDiagnostics,  // becomes stderr
  kAttachedCount,
};
inline constexpr int kMaxAttachedGroups = 8;
inline constexpr int kMaxAttachedFiles = 4;

struct ZygoteRequest {
  uint32_t argument_count;
  // One descriptor more: the group of version 2 to start in.
  uint32_t has_clone_group;
  // So many more: files of version 1 to write "0" to.
  uint32_t task_file_count;
  // So many more: what becomes kSandboxData and those after it.
  uint32_t data_count;
  // The socket to the backend becomes stdin, and neither filter nor init is passed on.
  uint32_t control_is_stdin;
};

struct ZygoteReply {
  int32_t pid;  // of the backend's new child; -1: there is none
  int32_t error_number;
};

}  // namespace contree

#endif  // LOCAL_BACKEND_SANDBOX_ZYGOTE_PROTOCOL_H_
