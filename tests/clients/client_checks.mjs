// What every official client has to be able to do with contree-mcp. A client comes as
//
//   callTool(params, options), watch(uri, callback)     as its version of the SDK spells them
//   client                                              the rest, which all versions spell alike

import assert from "node:assert/strict";

export const kBusybox = "tag:busybox:latest";

// What a session of the earlier era can only do where all its requests come to one process.
export const kNeedsOneProcess = [
  "run: cancelling the call cancels the operation",
  "an operation that is watched tells that it has ended",
];

// Collects the messages about one kind of event; `next()` waits for one more.
function channel() {
  const waiting = [];
  const arrived = [];
  return {
    put: (value) => (waiting.length > 0 ? waiting.shift()(value) : arrived.push(value)),
    next: () => (arrived.length > 0 ? arrived.shift() : new Promise((done) => waiting.push(done))),
  };
}

export const checks = {
  async "the tools are those of the golden file"({ client }, golden) {
    const { tools } = await client.listTools();
    assert.deepEqual(
      tools.map((tool) => tool.name),
      golden.tools.map((tool) => tool.name),
    );
    assert.ok(tools.every((tool) => tool.outputSchema !== undefined && tool.annotations !== undefined));
  },

  async "run: its result fits the output schema, which the client checks"({ client, callTool }) {
    await client.listTools();
    const result = await callTool({ name: "run", arguments: { command: "echo hello", image: kBusybox } });
    assert.equal(result.isError ?? false, false);
    assert.equal(result.structuredContent.stdout, "hello\n");
    assert.equal(result.structuredContent.exit_code, 0);
    assert.deepEqual(JSON.parse(result.content[0].text), result.structuredContent);
  },

  async "run: progress grows, and tells the newest line"({ callTool }) {
    const progress = [];
    const command = "for i in 1 2 3; do echo line $i; sleep 0.2; done";
    await callTool({ name: "run", arguments: { command, image: kBusybox } }, { onprogress: (p) => progress.push(p) });
    assert.ok(progress.length >= 3, JSON.stringify(progress));
    for (let i = 1; i < progress.length; ++i) assert.ok(progress[i].progress > progress[i - 1].progress);
    assert.ok(progress.some((p) => p.message.includes("line 3")), JSON.stringify(progress));
  },

  async "run: cancelling the call cancels the operation"({ callTool }) {
    const abort = new AbortController();
    const events = channel();
    const call = callTool(
      { name: "run", arguments: { command: "echo started; sleep 100", image: kBusybox } },
      { signal: abort.signal, onprogress: events.put },
    );
    const failure = assert.rejects(call);
    // The operation's id comes first, then its output.
    let id;
    for (let seen = false; !seen; ) {
      const { message } = await events.next();
      id ??= /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/.exec(message)?.[0];
      seen = message.includes("started");
    }
    assert.ok(id !== undefined, "no progress names the operation");
    abort.abort("enough");
    await failure;
    const waited = await callTool({ name: "wait_operations", arguments: { operation_ids: [id], timeout: 30 } });
    assert.equal(waited.structuredContent.results[id].state, "CANCELLED", JSON.stringify(waited));
  },

  async "what is wrong with a call comes as a result, an unknown tool as an error"({ callTool }) {
    const wrong = await callTool({ name: "run", arguments: { command: "true", image: kBusybox, timeout: 9999 } });
    assert.equal(wrong.isError, true);
    assert.match(wrong.content[0].text, /timeout.*3600/s);
    await assert.rejects(callTool({ name: "no_such_tool", arguments: {} }), { code: -32602 });
  },

  async "resources: lists, a guide, a directory, one that is missing"({ client }) {
    const { resources } = await client.listResources();
    assert.ok(resources.some((resource) => resource.uri === "contree://guide/quickstart"));
    const { resourceTemplates } = await client.listResourceTemplates();
    assert.ok(resourceTemplates.some((t) => t.uriTemplate === "contree://image/{image}/ls/{path}"));
    const guide = await client.readResource({ uri: "contree://guide/quickstart" });
    assert.match(guide.contents[0].text, /run/);
    const root = await client.readResource({ uri: `contree://image/${kBusybox}/ls/.` });
    assert.match(root.contents[0].text, /bin/);
    await assert.rejects(client.readResource({ uri: "contree://guide/nonsense" }), (error) => {
      assert.ok([-32002, -32602].includes(error.code), `${error.code}`);
      return true;
    });
  },

  async "prompts: the list, one with arguments, one without what it needs"({ client }) {
    const { prompts } = await client.listPrompts();
    assert.ok(prompts.some((prompt) => prompt.name === "run-shell"));
    const prompt = await client.getPrompt({ name: "run-shell", arguments: { command: "uname -a" } });
    assert.match(prompt.messages[0].content.text, /uname -a/);
    await assert.rejects(client.getPrompt({ name: "run-shell", arguments: {} }), { code: -32602 });
  },

  async "completion: sections of guides, tags of images"({ client }) {
    const section = await client.complete({
      ref: { type: "ref/resource", uri: "contree://guide/{section}" },
      argument: { name: "section", value: "qu" },
    });
    assert.deepEqual(section.completion.values, ["quickstart"]);
    const image = await client.complete({
      ref: { type: "ref/prompt", name: "run-shell" },
      argument: { name: "image", value: "tag:busy" },
    });
    assert.ok(image.completion.values.some((value) => value.includes("busybox")), JSON.stringify(image));
  },

  async "twenty calls at once, each with its own answer"({ callTool }) {
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, i) => callTool({ name: "run", arguments: { command: `echo ${i}`, image: kBusybox } })),
    );
    assert.deepEqual(
      results.map((result) => result.structuredContent.stdout),
      Array.from({ length: 20 }, (_, i) => `${i}\n`),
    );
  },

  async "an operation that is watched tells that it has ended"({ callTool, watch }) {
    const started = await callTool({ name: "run", arguments: { command: "sleep 1", image: kBusybox, wait: false } });
    const id = started.structuredContent.operation_id;
    const events = channel();
    const end = await watch(`contree://operations/instance/${id}`, events.put);
    await events.next();
    await end();
    const waited = await callTool({ name: "wait_operations", arguments: { operation_ids: [id], timeout: 30 } });
    assert.equal(waited.structuredContent.results[id].state, "SUCCESS");
  },
};
