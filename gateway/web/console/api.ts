// What the gateway answers below /console/api; see console_api.h there.

import { hasToken, send } from "./sign_in";

export interface Image {
  uuid: string;
  tag?: string;
  created_at?: string;
  operation_id?: string;
  parent?: string;
  command?: string;
  exit_code?: number;
  registry_url?: string;
  layer_bytes?: number;
  principal?: string; // who started what made it
  is_gone?: boolean; // not listed any more, but others were made from it
}

export interface Operation {
  operation_id: string;
  kind: string;
  state: string;
  command?: string;
  registry_url?: string;
  error?: string;
  image?: string;
  result_image?: string;
  result_tag?: string;
  exit_code?: number;
  signal?: number;
  timed_out?: boolean;
  created_at?: string;
  duration_seconds?: number;
  layer_bytes?: number;
  principal?: string;
  stdout?: string;
  stderr?: string;
  stdout_encoding?: string;
  stderr_encoding?: string;
  stdout_truncated?: boolean;
  stderr_truncated?: boolean;
  resources?: Record<string, number>;
}

export interface Sync {
  number: number;
  state: string;
  source: string;
  destination: string;
  created_at: string;
  principal?: string;
  files_to_read: number;
  files_read: number;
  files_to_upload: number;
  files_uploaded: number;
  bytes_to_upload: number;
  bytes_uploaded: number;
  duration_seconds?: number;
  error?: string;
  directory_state_id?: string;
  files?: number;
  bytes?: number;
}

export interface FileEntry {
  name: string;
  path: string;
  type: string;
  size: number;
  mode: string;
  uid: number;
  gid: number;
  mtime?: string;
  target?: string;
}

export interface Identity {
  api_url?: string;
  version?: string;
  token_expiration?: string;
  permissions?: Record<string, boolean>;
  limits?: Record<string, number>;
  operations?: Record<string, number>;
}

const base = "/console/api/";

async function answer<T>(response: Response): Promise<T> {
  const body = await response.json().catch(() => null);
  if (!response.ok) throw new Error(body?.error?.message ?? `the server answered ${response.status}`);
  return body as T;
}

function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return send(base + path, { signal: signal ?? null }).then((response) => answer<T>(response));
}

interface ToolResult<T> {
  isError?: boolean;
  structuredContent?: T;
  content?: { text?: string }[];
}

async function callTool<T>(name: string, args: object, signal?: AbortSignal): Promise<T> {
  const response = await send(base + "tools/" + name, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Contree-Console": "1" },
    body: JSON.stringify(args),
    signal: signal ?? null,
  });
  const result = await answer<ToolResult<T>>(response);
  if (result.isError || !result.structuredContent) {
    throw new Error(result.content?.[0]?.text ?? `${name} failed`);
  }
  return result.structuredContent;
}

export const isFinal = (state: string) => state === "SUCCESS" || state === "FAILED" || state === "CANCELLED";

export const loadTree = () => get<{ images: Image[]; truncated: boolean }>("tree");
export const loadOperations = (limit: number) => get<{ operations: Operation[] }>(`operations?limit=${limit}`);
export const loadSyncs = () => get<{ syncs: Sync[] }>("syncs");
export const loadOperation = (id: string) => get<Operation>("operations/" + encodeURIComponent(id));
export const cancelOperation = (id: string) => callTool<{ cancelled: boolean }>("cancel_operation", { operation_id: id });
export const loadTags = () => callTool<{ images: Image[] }>("list_images", { tagged: true, limit: 1000 });
export const loadFiles = (image: string, path: string, signal?: AbortSignal) =>
  callTool<{ files: FileEntry[] }>("list_files", { image, path }, signal).then((result) => result.files);
export const loadIdentity = () => callTool<Identity>("whoami", {});

const query = (fields: Record<string, string>) => new URLSearchParams(fields).toString();
export const fileUrl = (image: string, path: string) => `${base}file?${query({ image, path })}`;
export const pictureUrl = (image: string, path: string) => fileUrl(image, path) + "&inline";

export async function loadFileStart(image: string, path: string, bytes: number): Promise<Uint8Array> {
  const response = await send(`${fileUrl(image, path)}&max=${bytes}`);
  if (!response.ok) await answer(response);
  return new Uint8Array(await response.arrayBuffer());
}

// Links and pictures carry no token: where one is needed, the page fetches what they show.
export const needsFetching = hasToken;

async function loadBlob(url: string, signal?: AbortSignal): Promise<Blob> {
  const response = await send(url, { signal: signal ?? null });
  if (!response.ok) await answer(response);
  return response.blob();
}

export const loadPicture = (image: string, path: string, signal?: AbortSignal) => loadBlob(pictureUrl(image, path), signal);

export async function saveFile(image: string, path: string) {
  const url = URL.createObjectURL(await loadBlob(fileUrl(image, path)));
  const link = document.createElement("a");
  link.href = url;
  link.download = path.slice(path.lastIndexOf("/") + 1) || "file";
  link.click();
  window.setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

const reconnectAfter = 3000; // ms

class Refused extends Error {}

// Server-sent events with a token, which an EventSource cannot send.
async function readEvents(url: string, hear: (name: string, data: any) => void, signal: AbortSignal) {
  const response = await send(url, { signal, headers: { Accept: "text/event-stream" } });
  if (!response.ok || !response.body) {
    throw new Refused(await answer(response).then(() => "the server sent nothing", (reason) => reason.message));
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const events = text.split("\n\n");
    text = events.pop()!;
    for (const event of events) {
      const field = (start: string) => event.split("\n").find((line) => line.startsWith(start))?.slice(start.length);
      const name = field("event: ");
      const data = field("data: ");
      if (name !== undefined && data !== undefined) hear(name, JSON.parse(data));
    }
  }
}

// What a running operation says, as it says it. Returns what ends the listening.
export function followOperation(
  id: string,
  listener: {
    onOutput: (stream: "stdout" | "stderr", bytes: Uint8Array) => void;
    onState: (state: string) => void;
    onCompleted: (operation: Operation) => void;
    onFailed: (message: string) => void;
  },
): () => void {
  const abort = new AbortController();
  const hear = (name: string, data: any) => {
    if (name === "output") listener.onOutput(data.stream, Uint8Array.from(atob(data.base64), (c) => c.charCodeAt(0)));
    if (name === "state") listener.onState(data.state);
    if (name !== "completed" && name !== "failed") return;
    abort.abort();
    if (name === "completed") listener.onCompleted(data);
    else listener.onFailed(data.message);
  };
  void (async () => {
    while (!abort.signal.aborted) {
      try {
        await readEvents(`${base}operations/${encodeURIComponent(id)}/events`, hear, abort.signal);
      } catch (reason) {
        if (reason instanceof Refused) return listener.onFailed(reason.message);
      }
      // It broke: from the beginning once more, as an EventSource does.
      if (!abort.signal.aborted) await new Promise((resolve) => window.setTimeout(resolve, reconnectAfter));
    }
  })();
  return () => abort.abort();
}
