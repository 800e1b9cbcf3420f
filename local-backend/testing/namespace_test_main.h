#ifndef LOCAL_BACKEND_TESTING_NAMESPACE_TEST_MAIN_H_
#define LOCAL_BACKEND_TESTING_NAMESPACE_TEST_MAIN_H_

// A main for tests that need the user namespace of the backend: enters it before any test (or
// thread) starts.

#include <string>
#include <vector>

#include "local-backend/sandbox/sandbox.h"

namespace contree {

// The state directory of the test program, empty at first, as seen inside the namespace; also the
// working directory.
const std::string& TestStateDirectory();

// A new empty directory in it.
std::string NewTestDirectory();

// A launcher whose mount point is in it. Ends the program where isolation is missing: these tests
// need it.
SandboxLauncher& TestLauncher();

// A layer with busybox and its applets in /bin.
std::string TestBusyboxLayer();

// A run on `layers` with directories of its own.
SandboxSpec TestSpec(const std::vector<std::string>& layers, std::vector<std::string> argv);

}  // namespace contree

#endif  // LOCAL_BACKEND_TESTING_NAMESPACE_TEST_MAIN_H_
