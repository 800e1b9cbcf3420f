#ifndef STANDALONE_DOCTOR_ISOLATION_CHECKS_H_
#define STANDALONE_DOCTOR_ISOLATION_CHECKS_H_

// What sandboxes need of this machine's kernel and set-up, tried by use wherever that is possible.
// Those that fork must be called while the process has one thread.

#include "standalone/doctor/check.h"

namespace contree::standalone {

// Enters the very namespaces that the backend would live in. Forks.
Check CheckUserNamespaces();

// Whether this user has a range of ids for them.
Check CheckSubordinateIds();

// Compiles the sandboxes' filter of system calls, and loads one. Forks.
Check CheckSeccomp();

// Which limits a run could be given: makes a cgroup, if it may, and takes it away again.
Check CheckCgroups();

// Whether a sandbox could have a network of its own: starts one, with pasta.
Check CheckNetwork();

}  // namespace contree::standalone

#endif  // STANDALONE_DOCTOR_ISOLATION_CHECKS_H_
