#ifndef LOCAL_BACKEND_TESTING_NAMESPACE_TEST_MAIN_H_
#define LOCAL_BACKEND_TESTING_NAMESPACE_TEST_MAIN_H_

// A main for tests that need the user namespace of the backend: enters it before any test (or
// thread) starts. Started by root with --as-ordinary-user, it becomes an ordinary user first, who
// has subordinate ids as far as this process can see.

#include <string>
#include <vector>

#include "local-backend/sandbox/run_cgroups.h"
#include "local-backend/sandbox/sandbox.h"

namespace contree {

// The state directory of the test program, empty at first, as seen inside the namespace; also the
// working directory.
const std::string& TestStateDirectory();

// A layer with nodes of the host's devices, where root could make them before it entered: memory,
// disk and tun.
const std::string& TestDeviceNodes();

// A new empty directory in it.
std::string NewTestDirectory();

// What TestLauncher's runs may take.
inline constexpr RunLimits kTestLimits = {.memory_bytes = 256 << 20, .processes = 400};

// A launcher whose mount point is in it, with kTestLimits. Ends the program where isolation is
// missing: these tests need it.
SandboxLauncher& TestLauncher();

// What holds its runs to their limits; null where this machine has no cgroups for us.
CgroupTree* TestCgroups();

// A layer with busybox and its applets in /bin.
std::string TestBusyboxLayer();

// A run on `layers` with directories of its own.
SandboxSpec TestSpec(const std::vector<std::string>& layers, std::vector<std::string> argv);

}  // namespace contree

#endif  // LOCAL_BACKEND_TESTING_NAMESPACE_TEST_MAIN_H_
