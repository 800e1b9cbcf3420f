// The files of two images side by side: what was added, removed and changed from the one to the other.

import { useEffect, useState } from "preact/hooks";
import { FileEntry, loadFiles } from "./api";
import { bytesText, shortId } from "./format";

type Change = "added" | "removed" | "changed";

interface Difference {
  path: string;
  change: Change;
  left?: FileEntry;
  right?: FileEntry;
}

const directoriesAtOnce = 6;
const directoriesInOneGo = 2000;
const differencesShown = 2000;

const isSame = (a: FileEntry, b: FileEntry) =>
  a.type === b.type &&
  a.mode === b.mode &&
  a.uid === b.uid &&
  a.gid === b.gid &&
  a.target === b.target &&
  (a.type === "directory" || (a.size === b.size && a.mtime === b.mtime));

const join = (directory: string, name: string) => (directory === "/" ? "/" + name : directory + "/" + name);

// What differs in one directory, and the directories in it that both have.
async function compareDirectory(left: string, right: string, path: string, signal: AbortSignal) {
  const [before, after] = await Promise.all([loadFiles(left, path, signal), loadFiles(right, path, signal)]);
  const differences: Difference[] = [];
  const further: string[] = [];
  const old = new Map(before.map((entry) => [entry.name, entry]));
  for (const entry of after) {
    const was = old.get(entry.name);
    old.delete(entry.name);
    const at = join(path, entry.name);
    if (!was) differences.push({ path: at, change: "added", right: entry });
    else {
      if (!isSame(was, entry)) differences.push({ path: at, change: "changed", left: was, right: entry });
      if (was.type === "directory" && entry.type === "directory") further.push(at);
    }
  }
  for (const entry of old.values()) differences.push({ path: join(path, entry.name), change: "removed", left: entry });
  return { differences, further };
}

interface Progress {
  differences: Difference[];
  open: string[];
  done: number;
  running: boolean;
  error: string | null;
}

function side(entry: FileEntry | undefined) {
  if (!entry) return <span class="empty">–</span>;
  const parts = [entry.type === "file" ? bytesText(entry.size) : entry.type, entry.mode, `${entry.uid}:${entry.gid}`];
  if (entry.target) parts.push("→ " + entry.target);
  return <>{parts.join(", ")}</>;
}

export function Comparison({ left, right, nameOf }: { left: string; right: string; nameOf: (uuid: string) => string | undefined }) {
  const start: Progress = { differences: [], open: ["/"], done: 0, running: true, error: null };
  const [progress, setProgress] = useState<Progress>(start);
  const [round, setRound] = useState(0);

  useEffect(() => {
    setProgress(start);
    setRound(0);
  }, [left, right]);

  useEffect(() => {
    const abort = new AbortController();
    const run = async () => {
      let { open, done, differences } = round === 0 ? start : progress;
      const stopAt = done + directoriesInOneGo;
      while (open.length > 0 && done < stopAt && !abort.signal.aborted) {
        const batch = open.slice(0, directoriesAtOnce);
        const results = await Promise.all(batch.map((path) => compareDirectory(left, right, path, abort.signal)));
        done += batch.length;
        open = [...results.flatMap((result) => result.further), ...open.slice(directoriesAtOnce)];
        differences = [...differences, ...results.flatMap((result) => result.differences)];
        if (!abort.signal.aborted) setProgress({ differences, open, done, running: open.length > 0 && done < stopAt, error: null });
      }
    };
    run().catch((reason) => !abort.signal.aborted && setProgress((before) => ({ ...before, running: false, error: reason.message })));
    return () => abort.abort();
  }, [left, right, round]);

  const sorted = [...progress.differences].sort((a, b) => a.path.localeCompare(b.path));
  const count = (change: Change) => sorted.filter((difference) => difference.change === change).length;
  return (
    <section class="comparison" aria-labelledby="comparison-title">
      <h2 id="comparison-title">
        From <a href={`#/images/${left}`}>{nameOf(left) ?? shortId(left)}</a> to <a href={`#/images/${right}`}>{nameOf(right) ?? shortId(right)}</a>
      </h2>
      <p role="status">
        {count("added")} added, {count("removed")} removed, {count("changed")} changed;{" "}
        {progress.running ? `${progress.done} directories compared …` : `${progress.done} directories compared`}
        {!progress.running && progress.open.length > 0 && (
          <>
            , {progress.open.length} and what is in them not yet{" "}
            <button type="button" onClick={() => setRound(round + 1)}>
              Go on
            </button>
          </>
        )}
      </p>
      {progress.error && (
        <p class="error" role="alert">
          {progress.error}
        </p>
      )}
      {sorted.length === 0 && !progress.running && !progress.error && <p class="empty">Their files are the same.</p>}
      {sorted.length > 0 && (
        <div class="table" tabIndex={0} role="region" aria-label="Differences">
          <table>
            <thead>
              <tr>
                <th scope="col">Path</th>
                <th scope="col">Change</th>
                <th scope="col">{nameOf(left) ?? shortId(left)}</th>
                <th scope="col">{nameOf(right) ?? shortId(right)}</th>
              </tr>
            </thead>
            <tbody>
              {sorted.slice(0, differencesShown).map((difference) => (
                <tr key={difference.path + difference.change} class={difference.change}>
                  <td class="file-path">{difference.path}</td>
                  <td>{difference.change}</td>
                  <td>{side(difference.left)}</td>
                  <td>{side(difference.right)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {sorted.length > differencesShown && <p class="empty">The first {differencesShown} of {sorted.length}.</p>}
    </section>
  );
}
