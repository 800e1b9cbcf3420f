// The official Inspector, as people run it on a command line, against the real contree-mcp: over stdio and HTTP, as a
// client of the earlier era and of 2026-07-28. `--strict` looks for what clients are known to dislike in schemas.

import assert from "node:assert/strict";
import { test } from "node:test";

import { contreeMcp } from "./contree_mcp.mjs";
import { packageFile, run, temporaryDirectory } from "./programs.mjs";

const server = contreeMcp();
const kInspector = [process.execPath, packageFile("@modelcontextprotocol/inspector/clients/launcher/build/index.js"), "--cli"];

// What its exit codes mean.
const kUnreachable = 4;
const kNoSuccess = 5;

// Runs it and returns its exit code and what it printed. It keeps files below HOME.
async function inspect(t, target, era, args) {
  const where = target === "stdio" ? ["--", ...server.stdio] : ["--transport", "http", "--server-url", target];
  return run([...kInspector, "--protocol-era", era, "--format", "json", ...args, ...where], {
    env: { ...process.env, HOME: temporaryDirectory(t) },
  });
}

async function result(t, target, era, args) {
  const { code, stdout, stderr } = await inspect(t, target, era, args);
  assert.equal(code, 0, stdout + stderr);
  return JSON.parse(stdout).result;
}

for (const era of ["legacy", "modern"]) {
  for (const transport of ["stdio", "HTTP"]) {
    const target = () => (transport === "stdio" ? "stdio" : server.url);
    const name = `${transport}, ${era} era`;

    test(`${name}: no tool's schema is one that clients dislike`, async (t) => {
      const { code, stdout, stderr } = await inspect(t, target(), era, ["--method", "tools/list", "--strict"]);
      assert.equal(code, 0, stderr);
      assert.ok(JSON.parse(stdout).result.tools.some((tool) => tool.name === "run"));
      assert.doesNotMatch(stderr, /error|warning/i);
    });

    test(`${name}: a command runs`, async (t) => {
      const call = ["--method", "tools/call", "--tool-name", "run", "--tool-arg", "command=echo $((6*7))"];
      const { structuredContent } = await result(t, target(), era, [...call, "--tool-arg", "image=tag:busybox:latest"]);
      assert.equal(structuredContent.stdout, "42\n");
    });

    test(`${name}: a resource is read and a prompt made`, async (t) => {
      const guide = await result(t, target(), era, ["--method", "resources/read", "--uri", "contree://guide/errors"]);
      assert.match(guide.contents[0].text, /error/);
      const args = ["--method", "prompts/get", "--prompt-name", "run-shell", "--prompt-args", "command=date"];
      assert.match((await result(t, target(), era, args)).messages[0].content.text, /date/);
    });
  }
}

test("what fails has the exit code for it", async (t) => {
  const call = ["--method", "tools/call", "--tool-name"];
  assert.equal((await inspect(t, server.url, "legacy", [...call, "no_such_tool"])).code, kNoSuccess);
  const wrong = await inspect(t, server.url, "legacy", [...call, "get_image", "--tool-arg", "image=tag:none"]);
  assert.equal(wrong.code, kNoSuccess, wrong.stderr);
  assert.equal((await inspect(t, "http://127.0.0.1:1/mcp", "legacy", ["--method", "tools/list"])).code, kUnreachable);
});
