#ifndef GATEWAY_RESOURCES_RESOURCE_TABLE_H_
#define GATEWAY_RESOURCES_RESOURCE_TABLE_H_

// The lists of all resources and templates, in the order in which clients see them and in which
// URIs are matched.

#include <vector>

#include "gateway/resources/resource.h"

namespace contree::gateway {

std::vector<Resource> ResourceTable();
std::vector<ResourceTemplate> ResourceTemplateTable();

}  // namespace contree::gateway

#endif  // GATEWAY_RESOURCES_RESOURCE_TABLE_H_
