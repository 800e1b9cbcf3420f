// The official MCP conformance suite: all that a revision requires of a server, against the gateway's transport, router and
// registries over the suite's fixtures; and what needs no fixtures, against the real contree-mcp. Nothing is expected to
// fail.

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { packageFile, program, run, startServer, temporaryDirectory } from "./programs.mjs";

const kSuite = [process.execPath, packageFile("@modelcontextprotocol/conformance/dist/index.js")];
const kNothingExpectedToFail = program("tests/conformance/expected_failures.yml");

// Judges a server by all that a revision requires: the suite's exit code and output, and the checks of each scenario by its
// name.
async function judge(t, url, revision) {
  const results = temporaryDirectory(t);
  const flags = ["--requirements", revision, "--expected-failures", kNothingExpectedToFail, "-o", results];
  const { code, stdout, stderr } = await run([...kSuite, "server", "--url", url, ...flags]);
  const scenarios = {};
  for (const entry of readdirSync(results)) {
    const name = /^server-(.*)-\d{4}-\d\d-\d\dT[\d-]+Z$/.exec(entry)?.[1];
    if (name === undefined) continue;
    const checks = join(results, entry, "checks.json");
    if (existsSync(checks)) scenarios[name] = JSON.parse(readFileSync(checks, "utf8"));
  }
  return { code, output: stdout + stderr, scenarios };
}

// A server that answers too little to be judged gets warnings: none of them either.
function requireSuccess(scenarios, names) {
  for (const name of names) {
    const checks = scenarios[name];
    assert.ok(checks?.length > 0, `${name} was not judged`);
    const bad = checks.filter((check) => ["FAILURE", "WARNING"].includes(check.status));
    const explained = bad.map((check) => `${check.id}: ${check.errorMessage} ${JSON.stringify(check.details)}`);
    assert.deepEqual(explained, [], name);
  }
}

// The server's part of what a revision requires, and what it lists beside that.
async function required(revision) {
  const { code, stdout } = await run([...kSuite, "list", "--requirements", revision]);
  assert.equal(code, 0);
  const server = /Server scenarios[^\n]*\n((?: {2}- .*\n)*)/.exec(stdout)[1];
  return server.match(/[^\s]+$/gm);
}

// What the suite runs beside that and scores not yet, as far as it concerns what is built here.
const kNotYetRequired = {
  "2025-11-25": ["json-schema-2020-12", "server-session-lifecycle"],
  "2026-07-28": ["json-schema-2020-12", "http-header-validation"],
};

// What the suite can judge on a server that has tools, resources and prompts of its own.
const kWithoutFixtures = {
  "2025-11-25": [
    "server-initialize",
    "logging-set-level",
    "ping",
    "tools-list",
    "resources-list",
    "prompts-list",
    "server-sse-multiple-streams",
    "dns-rebinding-protection",
  ],
  "2026-07-28": [
    "tools-list",
    "resources-list",
    "prompts-list",
    "sep-2164-resource-not-found",
    "caching",
    "input-required-result-unsupported-methods",
    "server-sse-multiple-streams",
    "dns-rebinding-protection",
  ],
};

for (const { revision, count } of [
  { revision: "2025-11-25", count: 30 },
  { revision: "2026-07-28", count: 37 },
]) {
  test(`${revision}: all that is required, by the gateway's code over the suite's fixtures`, async (t) => {
    const server = await startServer(t, [program("tests/conformance/conformance_server")], "mcp");
    const { code, output, scenarios } = await judge(t, server.value, revision);
    const names = await required(revision);
    assert.equal(names.length, count);
    requireSuccess(scenarios, [...names, ...kNotYetRequired[revision]]);
    assert.equal(code, 0, output);
  });

  test(`${revision}: what needs no fixtures, by contree-mcp`, async (t) => {
    const flags = ["--local", "--mode", "http", "--http-port", "0", "--state-dir", temporaryDirectory(t)];
    const server = await startServer(t, [program("standalone/contree-mcp"), ...flags], "mcp");
    const { scenarios } = await judge(t, server.value, revision);
    requireSuccess(scenarios, kWithoutFixtures[revision]);
  });
}
