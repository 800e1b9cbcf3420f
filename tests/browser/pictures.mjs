// Takes the pictures of the README from the running system: pictures.mjs CONTREE_MCP DIRECTORY (see script/pictures).

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { launch } from "./browser.mjs";
import { mcpClient } from "./mcp.mjs";
import { startServer } from "./programs.mjs";

const [program, directory] = process.argv.slice(2);
const shape = { viewport: { width: 1200, height: 700 }, deviceScaleFactor: 1 };

// What an agent might do: prepare an environment, try two ways from it, keep the better one.
async function work(server) {
  const run = (image, command, disposable = false) => server.call("run", { image, command, disposable });
  const tag = (image_uuid, name) => server.call("set_tag", { image_uuid, tag: name });
  const prepared = await run("tag:busybox:latest", "mkdir -p /app && echo 'print(6 * 7)' > /app/main.py && echo prepared");
  await tag(prepared.result_image, "common/app/busybox:latest");
  const plain = await run(prepared.result_image, "cd /app && sed -i 's/6/7/' main.py && cat main.py");
  await run(plain.result_image, "cd /app && echo '# tested' >> main.py");
  const broken = await run(prepared.result_image, "cd /app && rm main.py && cat main.py");
  const other = await run(prepared.result_image, "cd /app && mkdir lib && echo 'def answer(): return 42' > lib/answer.py");
  const better = await run(other.result_image, "cd /app && echo 'from lib.answer import answer' > main.py");
  await run(better.result_image, "cd /app && echo 'print(answer())' >> main.py");
  await tag(better.result_image, "app/with-library/busybox:latest");
  await run(better.result_image, "ls -R /app", true);
  return { prepared, better, broken };
}

async function take(browser, name, scheme, prepare) {
  const context = await browser.newContext({ ...shape, colorScheme: scheme });
  const page = await context.newPage();
  await prepare(page);
  await page.screenshot({ path: join(directory, `${name}.png`) });
  await context.close();
}

const ends = [];
const state = mkdtempSync(join(tmpdir(), "pictures-"));
const flags = ["--local", "--state-dir", join(state, "server"), "--mode", "http", "--http-port", "0"];
const browser = await launch();
try {
  const { value: mcp } = await startServer({ after: (end) => ends.push(end) }, [program, ...flags], "mcp");
  const server = { url: new URL("/", mcp).href, ...mcpClient(mcp) };
  const { better } = await work(server);
  await take(browser, "reference", "light", (page) => page.goto(server.url));
  await take(browser, "console", "light", async (page) => {
    await page.goto(server.url + "console");
    const row = page.locator(`#image-${better.result_image}`);
    await row.waitFor();
    await row.click();
    await page.getByText("common/app/busybox:latest").first().waitFor();
    await page.locator(".operation-list li").nth(5).waitFor();
  });
  const said = execFileSync(program, ["demo", "--state-dir", join(state, "demo")], { encoding: "utf8" });
  await take(browser, "demo", "dark", async (page) => {
    await page.setContent("<style>body{background:#151916;color:#e6eae6;margin:24px;font:14px/1.35 'DejaVu Sans Mono',monospace}pre{margin:0;white-space:pre-wrap}</style><pre></pre>");
    await page.locator("pre").evaluate((element, text) => (element.textContent = text), "$ script/run\n" + said.replaceAll(state, "~"));
    const height = await page.evaluate(() => document.documentElement.scrollHeight);
    await page.setViewportSize({ width: shape.viewport.width, height });
  });
} finally {
  await browser.close();
  for (const end of ends) await end();
  rmSync(state, { recursive: true, force: true });
}
