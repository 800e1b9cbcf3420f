#ifndef TESTS_CONFORMANCE_FIXTURES_H_
#define TESTS_CONFORMANCE_FIXTURES_H_

// What the official conformance suite expects to find on a server that it judges: tools, resources,
// prompts and completions with names, texts and behaviours that the suite prescribes. They are
// served by the gateway's own registries, router and transports.

#include <vector>

#include "gateway/completions/completion.h"
#include "gateway/prompts/prompt.h"
#include "gateway/resources/resource.h"
#include "gateway/tools/tool.h"

namespace contree::conformance {

std::vector<gateway::Tool> FixtureTools();
std::vector<gateway::Resource> FixtureResources();
std::vector<gateway::ResourceTemplate> FixtureResourceTemplates();
std::vector<gateway::Prompt> FixturePrompts();
std::vector<gateway::Completion> FixtureCompletions();

// A PNG of one red pixel, and a WAV of a few samples of silence: the bytes.
std::string RedPixelPng();
std::string SilenceWav();

}  // namespace contree::conformance

#endif  // TESTS_CONFORMANCE_FIXTURES_H_
