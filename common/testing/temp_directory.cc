#include "common/testing/temp_directory.h"

#include <stdlib.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <system_error>

namespace contree {

TempDirectory::TempDirectory() : path_("/tmp/contree-test-XXXXXX") {
  if (mkdtemp(path_.data()) == nullptr) {
    std::cerr << "mkdtemp " << path_ << ": " << std::strerror(errno) << std::endl;
    std::abort();
  }
}

TempDirectory::~TempDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace contree
