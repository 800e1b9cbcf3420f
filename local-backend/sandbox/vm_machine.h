#ifndef LOCAL_BACKEND_SANDBOX_VM_MACHINE_H_
#define LOCAL_BACKEND_SANDBOX_VM_MACHINE_H_

// A virtual machine as its relay sees it: QEMU, and virtiofsd, which gives the guest its files. A
// part of the relay (vm_relay.cc), which holds no library of ours: nothing of absl. Used by one
// thread. SIGCHLD is the relay's to hear.

#include <sys/types.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/files/unique_fd.h"

namespace contree {

struct VmCommands {
  // For execve(2): absolute paths, and a null pointer at the end.
  std::vector<char*> files;    // virtiofsd's
  std::vector<char*> machine;  // QEMU's
};

// It ends with the relay, process 1 of its namespaces.
class VmMachine {
 public:
  // Starts both. Null: it cannot; `error` says why.
  static std::unique_ptr<VmMachine> Start(const VmCommands& commands, std::string& error);
  VmMachine(const VmMachine&) = delete;
  VmMachine& operator=(const VmMachine&) = delete;

  // Our end of the serial port, which does not block.
  int serial() const { return serial_.get(); }
  // What both programs and the guest's kernel say; -1 once it has ended.
  int output() const { return output_.get(); }
  // Reads that, and keeps the end of it. It may hold anything.
  void HearOutput();
  const std::string& said() const { return said_; }

  // Whether one of them has ended, which neither does unless something is wrong: "QEMU with exit
  // code 1"; empty: none has. Collects whoever else has ended.
  std::string WhatEnded();

 private:
  VmMachine(pid_t files, pid_t machine, UniqueFd serial, UniqueFd output)
      : files_pid_(files),
        machine_pid_(machine),
        serial_(std::move(serial)),
        output_(std::move(output)) {}

  const pid_t files_pid_;
  const pid_t machine_pid_;
  const UniqueFd serial_;
  UniqueFd output_;
  std::string said_;
};

}  // namespace contree

#endif  // LOCAL_BACKEND_SANDBOX_VM_MACHINE_H_
