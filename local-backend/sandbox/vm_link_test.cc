#include "local-backend/sandbox/vm_link.h"
#include "gtest/gtest.h"
