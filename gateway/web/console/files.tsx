// The files of one image: directories, and files as text, bytes or pictures.

import { useEffect, useState } from "preact/hooks";
import { FileEntry, fileUrl, loadFileStart, loadFiles, loadPicture, needsFetching, pictureUrl, saveFile } from "./api";
import { bytesText, hexText, shortId, textOf, timeText } from "./format";

const previewBytes = 256 * 1024;
const hexBytes = 16 * 1024;
const pictureName = /\.(png|jpe?g|gif|webp|bmp)$/i;

const kinds = ["directory", "symlink", "file"];
export function inOrder(entries: FileEntry[]): FileEntry[] {
  const rank = (entry: FileEntry) => (entry.type === "directory" ? 0 : 1);
  return [...entries].sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
}

const filesHref = (image: string, path: string) => `#/files/${image}${path.split("/").map(encodeURIComponent).join("/")}`;
const join = (directory: string, name: string) => (directory === "/" ? "/" + name : directory + "/" + name);

function DownloadLink({ image, path, onError }: { image: string; path: string; onError: (message: string) => void }) {
  if (!needsFetching()) return <a href={fileUrl(image, path)}>Download</a>;
  return (
    <button type="button" class="link" onClick={() => saveFile(image, path).catch((reason) => onError(reason.message))}>
      Download
    </button>
  );
}

function Picture({ image, entry, onError }: { image: string; entry: FileEntry; onError: (message: string) => void }) {
  const [url, setUrl] = useState(needsFetching() ? null : pictureUrl(image, entry.path));
  useEffect(() => {
    if (!needsFetching()) return setUrl(pictureUrl(image, entry.path));
    const abort = new AbortController();
    let made: string | null = null;
    setUrl(null);
    loadPicture(image, entry.path, abort.signal).then(
      (blob) => {
        if (!abort.signal.aborted) setUrl((made = URL.createObjectURL(blob)));
      },
      (reason) => !abort.signal.aborted && onError(reason.message),
    );
    return () => {
      abort.abort();
      if (made !== null) URL.revokeObjectURL(made);
    };
  }, [image, entry.path]);
  return url === null ? null : <img src={url} alt={`The picture ${entry.name}`} />;
}

function Preview({ image, entry }: { image: string; entry: FileEntry }) {
  const [shown, setShown] = useState<{ text?: string; hex?: string; error?: string } | null>(null);
  const isPicture = pictureName.test(entry.name);
  useEffect(() => {
    let gone = false;
    setShown(null);
    if (isPicture) return;
    loadFileStart(image, entry.path, previewBytes).then(
      (bytes) => {
        if (gone) return;
        const text = textOf(bytes);
        setShown(text === null ? { hex: hexText(bytes.subarray(0, hexBytes)) } : { text });
      },
      (reason) => !gone && setShown({ error: reason.message }),
    );
    return () => {
      gone = true;
    };
  }, [image, entry.path]);
  const limit = shown?.hex === undefined ? previewBytes : hexBytes;
  return (
    <div class="preview">
      <h3>{entry.name}</h3>
      <p>
        {bytesText(entry.size)}, mode {entry.mode}, owner {entry.uid}:{entry.gid}
        {entry.mtime ? `, ${timeText(entry.mtime)}` : ""} · <DownloadLink image={image} path={entry.path} onError={(error) => setShown({ error })} />
      </p>
      {isPicture && <Picture image={image} entry={entry} onError={(error) => setShown({ error })} />}
      {shown?.error && (
        <p class="error" role="alert">
          {shown.error}
        </p>
      )}
      {shown?.text !== undefined && <pre class="content" tabIndex={0} aria-label={`Text of ${entry.name}`}>{shown.text}</pre>}
      {shown?.hex !== undefined && <pre class="content hex" tabIndex={0} aria-label={`Bytes of ${entry.name}`}>{shown.hex}</pre>}
      {!isPicture && entry.size > limit && shown !== null && !shown.error && <p class="empty">The first {bytesText(limit)} of it. Download it to see all.</p>}
    </div>
  );
}

export function FileBrowser({ image, path, name }: { image: string; path: string; name: string | undefined }) {
  const [entries, setEntries] = useState<FileEntry[] | null>(null);
  const [opened, setOpened] = useState<FileEntry | null>(null);
  const [error, setError] = useState<string | null>(null);
  useEffect(() => {
    const abort = new AbortController();
    setEntries(null);
    setOpened(null);
    setError(null);
    loadFiles(image, path, abort.signal).then(
      (found) => setEntries(inOrder(found)),
      (reason) => !abort.signal.aborted && setError(reason.message),
    );
    return () => abort.abort();
  }, [image, path]);

  const parts = path.split("/").filter(Boolean);
  return (
    <section class="files" aria-labelledby="files-title">
      <h2 id="files-title">
        Files of <a href={`#/images/${image}`}>{name ?? shortId(image)}</a>
      </h2>
      <nav aria-label="Path" class="path">
        <a href={filesHref(image, "/")}>/</a>
        {parts.map((part, i) => (
          <>
            {i > 0 && "/"}
            <a href={filesHref(image, "/" + parts.slice(0, i + 1).join("/"))} aria-current={i === parts.length - 1 ? "page" : undefined}>
              {part}
            </a>
          </>
        ))}
      </nav>
      {error && (
        <p class="error" role="alert">
          {error}
        </p>
      )}
      <div class="browse">
        {entries && (
          <div class="table" tabIndex={0} role="region" aria-label="Directory">
            <table>
              <thead>
                <tr>
                  <th scope="col">Name</th>
                  <th scope="col" class="number">
                    Size
                  </th>
                  <th scope="col">Mode</th>
                  <th scope="col">Owner</th>
                  <th scope="col">Changed</th>
                </tr>
              </thead>
              <tbody>
                {entries.map((entry) => (
                  <tr key={entry.path} class={opened?.path === entry.path ? "selected" : ""}>
                    <td>
                      {entry.type === "directory" ? (
                        <a href={filesHref(image, join(path, entry.name))}>{entry.name}/</a>
                      ) : entry.type === "file" ? (
                        <button type="button" class="link" onClick={() => setOpened(entry)}>
                          {entry.name}
                        </button>
                      ) : (
                        <span>
                          {entry.name} {entry.target ? `→ ${entry.target}` : kinds.includes(entry.type) ? "" : `(${entry.type})`}
                        </span>
                      )}
                    </td>
                    <td class="number">{entry.type === "file" ? bytesText(entry.size) : ""}</td>
                    <td>{entry.mode}</td>
                    <td>
                      {entry.uid}:{entry.gid}
                    </td>
                    <td>{timeText(entry.mtime)}</td>
                  </tr>
                ))}
                {entries.length === 0 && (
                  <tr>
                    <td colSpan={5} class="empty">
                      This directory is empty.
                    </td>
                  </tr>
                )}
              </tbody>
            </table>
          </div>
        )}
        {opened && <Preview image={image} entry={opened} />}
      </div>
    </section>
  );
}
