#ifndef STANDALONE_DOCTOR_ISOLATION_CHECKS_H_
#define STANDALONE_DOCTOR_ISOLATION_CHECKS_H_

// What sandboxes need of this machine's kernel and set-up, tried by use wherever that is possible.
// Those that fork must be called while the process has one thread.

#include <string>

#include "standalone/doctor/check.h"

namespace contree::standalone {

// Enters the very namespaces that the backend would live in. Forks.
Check CheckUserNamespaces();

// Whether this user has a range of ids for them.
Check CheckSubordinateIds();

// Compiles the sandboxes' filter of system calls, and loads one. Forks.
Check CheckSeccomp();

// What would hold runs to their limits: makes a run's cgroup, if it may, and takes it away again.
// Forks.
Check CheckCgroups();

// Whether a sandbox can have a way out to the network: has one answer. Forks.
Check CheckNetwork();

// What --isolation=microvm needs: QEMU with its virtiofsd, and a kernel. Whether a virtual machine
// starts, the backend finds out. `kernel`: as MicrovmOptions has it.
Check CheckVirtualMachines(const std::string& kernel);

// Whether this machine's processor would execute their instructions, or QEMU, many times slower.
Check CheckKvm();

}  // namespace contree::standalone

#endif  // STANDALONE_DOCTOR_ISOLATION_CHECKS_H_
