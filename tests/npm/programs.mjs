// Programs of this tree as children of a test: found by their path in it, ended with the test.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

// program("standalone/contree-mcp"): where Bazel put it. Tests start at the top of the tree.
const top = process.cwd();
export function program(path) {
  return resolve(top, path);
}

// A directory that is removed after the test.
export function temporaryDirectory(t) {
  const directory = mkdtempSync(join(process.env.TEST_TMPDIR ?? tmpdir(), "d-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

// Starts a server of ours and waits for the line of its log that has `field`. The server is asked to end after the test;
// one that ends in any other way than with exit code 0 fails it.
export async function startServer(t, command, field) {
  const [path, ...args] = command;
  const child = spawn(path, args, { stdio: ["ignore", "inherit", "pipe"] });
  const ended = once(child, "exit");
  let log = "";
  t.after(async () => {
    child.kill("SIGTERM");
    const [code, signal] = await ended;
    if (code !== 0) throw new Error(`${path} ended with ${signal ?? `exit code ${code}`}:\n${log}`);
  });
  for await (const line of createInterface({ input: child.stderr })) {
    log += `${line}\n`;
    let entry = {};
    try {
      entry = JSON.parse(line);
    } catch {
      // Not every line is a log entry.
    }
    if (entry[field] !== undefined) {
      child.stderr.on("data", (data) => (log += data));
      child.stderr.resume();
      return { child, value: entry[field], log: () => log };
    }
  }
  throw new Error(`${path} said no ${field}:\n${log}`);
}

// Runs a command to its end and returns {code, stdout, stderr}.
export async function run(command, options = {}) {
  const [path, ...args] = command;
  const child = spawn(path, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (data) => (stdout += data));
  child.stderr.on("data", (data) => (stderr += data));
  const [code] = await once(child, "close");
  return { code, stdout, stderr };
}

// The file of a package that is installed beside the test.
export function packageFile(path) {
  return new URL(`node_modules/${path}`, import.meta.url).pathname;
}
