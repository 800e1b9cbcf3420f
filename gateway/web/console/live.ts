// What the console knows, kept up to date: images and operations by asking often for what is cheap to ask for.

import { useEffect, useState } from "preact/hooks";
import { Image, Operation, Sync, isFinal, loadOperation, loadOperations, loadSyncs, loadTags, loadTree } from "./api";

const operationsInterval = 700; // ms; a run shows within a second
const tagsInterval = 10_000;
const operationsShown = 200;

export interface Live {
  images: Map<string, Image>;
  truncated: boolean;
  operations: Operation[];
  syncs: Sync[];
  error: string | null; // why what is shown may be old
  loaded: boolean;
}

let live: Live = { images: new Map(), truncated: false, operations: [], syncs: [], error: null, loaded: false };
const listeners = new Set<(live: Live) => void>();

function publish(change: Partial<Live>) {
  live = { ...live, ...change };
  for (const listener of listeners) listener(live);
}

const message = (error: unknown) => (error instanceof Error ? error.message : String(error));

async function readTree() {
  const tree = await loadTree();
  publish({ images: new Map(tree.images.map((image) => [image.uuid, image])), truncated: tree.truncated, loaded: true });
}

// Adds what the operation made, without reading the whole tree again.
async function addResult(id: string) {
  const operation = await loadOperation(id);
  const uuid = operation.result_image;
  if (!uuid || live.images.has(uuid)) return;
  const made: Image = { uuid, operation_id: id };
  if (operation.image) made.parent = operation.image;
  if (operation.command) made.command = operation.command;
  if (operation.exit_code) made.exit_code = operation.exit_code;
  if (operation.result_tag) made.tag = operation.result_tag;
  if (operation.principal) made.principal = operation.principal;
  if (operation.layer_bytes) made.layer_bytes = operation.layer_bytes;
  if (operation.created_at) made.created_at = operation.created_at;
  publish({ images: new Map(live.images).set(uuid, made) });
}

const sameOperations = (a: Operation[], b: Operation[]) =>
  a.length === b.length &&
  a.every((operation, i) => operation.operation_id === b[i]!.operation_id && operation.state === b[i]!.state);

async function readOperations() {
  const { operations } = await loadOperations(operationsShown);
  const unknown = operations.filter((operation) => isFinal(operation.state) && operation.result_image && !live.images.has(operation.result_image));
  if (!sameOperations(operations, live.operations) || operations.some((operation) => !isFinal(operation.state)) || live.error) {
    publish({ operations, error: null });
  }
  // After a pause there may be more of them than the list shows.
  if (unknown.length > 20) await readTree();
  else for (const operation of unknown) await addResult(operation.operation_id);
}

async function readSyncs() {
  const { syncs } = await loadSyncs();
  if (JSON.stringify(syncs) !== JSON.stringify(live.syncs)) publish({ syncs });
}

async function readTags() {
  const tagged = await loadTags();
  const tags = new Map(tagged.images.map((image) => [image.uuid, image.tag]));
  if (tagged.images.some((image) => !live.images.has(image.uuid))) return readTree();
  let changed = false;
  const images = new Map(live.images);
  for (const [uuid, image] of images) {
    const tag = tags.get(uuid);
    if (image.tag === tag) continue;
    const { tag: _old, ...rest } = image;
    images.set(uuid, tag === undefined ? rest : { ...rest, tag });
    changed = true;
  }
  if (changed) publish({ images });
}

// Runs `work` again and again, `pause` ms after it ended, while the page is seen.
function repeat(work: () => Promise<void>, pause: number): () => void {
  let timer = 0;
  let running = false;
  let stopped = false;
  const step = async () => {
    if (running || stopped || document.hidden) return;
    running = true;
    try {
      await work();
    } catch (error) {
      publish({ error: message(error) });
    }
    running = false;
    if (!stopped) timer = window.setTimeout(step, pause);
  };
  const seen = () => {
    window.clearTimeout(timer);
    void step();
  };
  document.addEventListener("visibilitychange", seen);
  void step();
  return () => {
    stopped = true;
    window.clearTimeout(timer);
    document.removeEventListener("visibilitychange", seen);
  };
}

async function begin() {
  if (!live.loaded) await readTree();
  await Promise.all([readOperations(), readSyncs()]);
}

export function useLive(): Live {
  const [shown, setShown] = useState(live);
  useEffect(() => {
    listeners.add(setShown);
    const ends = [repeat(begin, operationsInterval), repeat(() => (live.loaded ? readTags() : Promise.resolve()), tagsInterval)];
    return () => {
      listeners.delete(setShown);
      for (const end of ends) end();
    };
  }, []);
  return shown;
}

// The list of operations shows no exit codes; that of one that made an image is known from there.
export function withExitCode(operation: Operation, images: Map<string, Image>): Operation {
  const made = operation.result_image === undefined ? undefined : images.get(operation.result_image);
  const code = made?.operation_id === operation.operation_id ? made.exit_code : undefined;
  return code === undefined || operation.exit_code !== undefined ? operation : { ...operation, exit_code: code };
}
