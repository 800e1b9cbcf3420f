// What the gateway answers below /console/api; see console_api.h there.

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
  return fetch(base + path, { signal: signal ?? null }).then((response) => answer<T>(response));
}

interface ToolResult<T> {
  isError?: boolean;
  structuredContent?: T;
  content?: { text?: string }[];
}

async function callTool<T>(name: string, args: object, signal?: AbortSignal): Promise<T> {
  const response = await fetch(base + "tools/" + name, {
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
  const response = await fetch(`${fileUrl(image, path)}&max=${bytes}`);
  if (!response.ok) await answer(response);
  return new Uint8Array(await response.arrayBuffer());
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
  const source = new EventSource(`${base}operations/${encodeURIComponent(id)}/events`);
  const on = (name: string, take: (data: any) => void) =>
    source.addEventListener(name, (event) => take(JSON.parse((event as MessageEvent).data)));
  on("output", (data) => listener.onOutput(data.stream, Uint8Array.from(atob(data.base64), (c) => c.charCodeAt(0))));
  on("state", (data) => listener.onState(data.state));
  on("completed", (data) => {
    source.close();
    listener.onCompleted(data);
  });
  on("failed", (data) => {
    source.close();
    listener.onFailed(data.message);
  });
  return () => source.close();
}
