#include "gateway/resources/resource_table.h"

namespace contree::gateway {

std::vector<Resource> ResourceTable() { return {}; }

std::vector<ResourceTemplate> ResourceTemplateTable() { return {}; }

}  // namespace contree::gateway
