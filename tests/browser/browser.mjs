// Debian's Chromium, and what every page is held to.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { packageFile } from "./programs.mjs";

const axeSource = readFileSync(packageFile("axe-core/axe.min.js"), "utf8");
const pictures = process.env.TEST_UNDECLARED_OUTPUTS_DIR;

export const looks = {
  light: { viewport: { width: 1280, height: 800 }, colorScheme: "light" },
  dark: { viewport: { width: 1280, height: 800 }, colorScheme: "dark" },
  phone: { viewport: { width: 390, height: 844 }, colorScheme: "light", isMobile: true, hasTouch: true },
};

export const launch = () =>
  chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });

// A page that fails its test when it asks another host, breaks its Content-Security-Policy or throws.
export async function openPage(browser, base, look, options = {}) {
  const context = await browser.newContext({ ...look, ...options });
  const page = await context.newPage();
  page.faults = [];
  page.on("pageerror", (error) => page.faults.push(`threw ${error.message}`));
  page.on("console", (message) => message.type() === "error" && page.faults.push(`said ${message.text()}`));
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.origin !== new URL(base).origin && url.protocol !== "data:") page.faults.push(`asked ${url.href}`);
  });
  return page;
}

export async function closePage(page) {
  assert.deepEqual(page.faults, []);
  await page.context().close();
}

export async function picture(page, name) {
  if (pictures) await page.screenshot({ path: join(pictures, `${name}.png`) });
}

export async function assertAccessible(page) {
  await page.evaluate(axeSource);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  assert.deepEqual(
    serious.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 160) + " " + (node.any[0]?.message ?? "")).join(" | ")}`),
    [],
  );
}
