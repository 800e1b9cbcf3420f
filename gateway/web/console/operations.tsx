// Operations: the list, and one of them with its output as it comes.

import { useEffect, useRef, useState } from "preact/hooks";
import { Operation, cancelOperation, followOperation, isFinal, loadOperation } from "./api";
import { ageText, bytesText, durationText, shortId, timeText } from "./format";

const outputKept = 512 * 1024; // characters on the page

function outcome(operation: Operation): string {
  if (operation.state !== "SUCCESS") return operation.state.toLowerCase();
  if (operation.timed_out) return "timed out";
  if (operation.signal) return `signal ${operation.signal}`;
  if (operation.exit_code !== undefined && operation.exit_code !== 0) return `exit ${operation.exit_code}`;
  return "success";
}

// Green is only what ended well.
function stateClass(operation: Operation): string {
  if (!isFinal(operation.state)) return "running";
  return operation.state === "SUCCESS" && outcome(operation) !== "success" ? "ended-badly" : operation.state.toLowerCase();
}

function what(operation: Operation): string {
  if (operation.command) return operation.command;
  if (operation.kind === "image_import") return operation.registry_url ? `import of ${operation.registry_url}` : "import of an image";
  return "a command started elsewhere";
}

export function OperationList({ operations, selected, onSelect, now }: { operations: Operation[]; selected: string | null; onSelect: (id: string) => void; now: number }) {
  const running = operations.filter((operation) => !isFinal(operation.state)).length;
  return (
    <section class="operations" aria-labelledby="operations-title">
      <h2 id="operations-title">
        Operations <span class="count">{running === 0 ? "none runs" : `${running} running`}</span>
      </h2>
      {operations.length === 0 && <p class="empty">Nothing was run yet. What agents run appears here by itself.</p>}
      <ul class="operation-list">
        {operations.map((operation) => (
          <li key={operation.operation_id}>
            <a
              href={`#/operations/${operation.operation_id}`}
              aria-current={operation.operation_id === selected ? "true" : undefined}
              onClick={() => onSelect(operation.operation_id)}
            >
              <span class={`state ${stateClass(operation)}`}>{outcome(operation)}</span>
              <span class="command">{what(operation)}</span>
              <span class="age">{ageText(operation.created_at, now)}</span>
            </a>
          </li>
        ))}
      </ul>
    </section>
  );
}

interface Piece {
  stream: "stdout" | "stderr";
  text: string;
}

function append(pieces: Piece[], stream: Piece["stream"], text: string): Piece[] {
  const last = pieces[pieces.length - 1];
  const next = last && last.stream === stream ? [...pieces.slice(0, -1), { stream, text: last.text + text }] : [...pieces, { stream, text }];
  let excess = next.reduce((sum, piece) => sum + piece.text.length, 0) - outputKept;
  while (excess > 0 && next.length > 0) {
    const first = next[0]!;
    if (first.text.length <= excess) next.shift();
    else next[0] = { stream: first.stream, text: first.text.slice(excess) };
    excess -= first.text.length;
  }
  return next;
}

function recorded(operation: Operation): Piece[] {
  const pieces: Piece[] = [];
  for (const stream of ["stdout", "stderr"] as const) {
    const text = operation[stream];
    if (!text) continue;
    const isBase64 = operation[`${stream}_encoding`] === "base64";
    pieces.push({ stream, text: isBase64 ? `(not text; in base64) ${text}` : text });
  }
  return pieces;
}

// For whoever waits: how long it has been going on.
function Elapsed({ since }: { since: string | undefined }) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = window.setInterval(() => setNow(Date.now()), 1000);
    return () => window.clearInterval(timer);
  }, []);
  return <span class="elapsed"> for {ageText(since, now)} </span>;
}

export function OperationView({ id, onImage }: { id: string; onImage: (uuid: string) => void }) {
  const [operation, setOperation] = useState<Operation | null>(null);
  const [pieces, setPieces] = useState<Piece[]>([]);
  const [error, setError] = useState<string | null>(null);
  const [cancelling, setCancelling] = useState(false);
  const output = useRef<HTMLPreElement>(null);

  useEffect(() => {
    let gone = false;
    let end = () => {};
    setOperation(null);
    setPieces([]);
    setError(null);
    setCancelling(false);
    loadOperation(id).then(
      (found) => {
        if (gone) return;
        setOperation(found);
        if (isFinal(found.state)) return setPieces(recorded(found));
        const decoders = { stdout: new TextDecoder(), stderr: new TextDecoder() };
        end = followOperation(id, {
          onOutput: (stream, bytes) => {
            const text = decoders[stream].decode(bytes, { stream: true });
            setPieces((before) => append(before, stream, text));
          },
          onState: (state) => setOperation((before) => before && { ...before, state }),
          onCompleted: (record) => {
            setOperation(record);
            // An event stream may begin late; the record is whole.
            setPieces((before) => (before.length === 0 ? recorded(record) : before));
          },
          onFailed: setError,
        });
      },
      (reason) => !gone && setError(reason.message),
    );
    return () => {
      gone = true;
      end();
    };
  }, [id]);

  // The end stays in view for whoever has not scrolled away from it.
  const atEnd = useRef(true);
  useEffect(() => {
    if (output.current && atEnd.current) output.current.scrollTop = output.current.scrollHeight;
  }, [pieces]);

  const cancel = () => {
    setCancelling(true);
    cancelOperation(id).catch((reason) => {
      setCancelling(false);
      setError(reason.message);
    });
  };

  return (
    <section class="operation" aria-labelledby="operation-title">
      <h2 id="operation-title">Operation {shortId(id)}</h2>
      {error && (
        <p class="error" role="alert">
          {error}
        </p>
      )}
      {operation && (
        <>
          <pre class="what" tabIndex={0}>{what(operation)}</pre>
          <dl class="facts">
            <dt>State</dt>
            <dd>
              <span role="status" class={`state ${stateClass(operation)}`}>{outcome(operation)}</span>
              {!isFinal(operation.state) && <Elapsed since={operation.created_at} />}
              {!isFinal(operation.state) && (
                <button type="button" class="danger" disabled={cancelling} onClick={cancel}>
                  {cancelling ? "Cancelling…" : "Cancel"}
                </button>
              )}
            </dd>
            {operation.error && (
              <>
                <dt>Error</dt>
                <dd>{operation.error}</dd>
              </>
            )}
            <dt>Started</dt>
            <dd>
              {timeText(operation.created_at)}
              {operation.principal && ` by ${operation.principal}`}
            </dd>
            {isFinal(operation.state) && (
              <>
                <dt>Took</dt>
                <dd>{durationText(operation.duration_seconds)}</dd>
              </>
            )}
            {operation.resources?.max_rss_bytes ? (
              <>
                <dt>Memory</dt>
                <dd>{bytesText(operation.resources.max_rss_bytes)} at most</dd>
              </>
            ) : null}
            {operation.image && (
              <>
                <dt>Image</dt>
                <dd>
                  <ImageLink uuid={operation.image} onImage={onImage} />
                </dd>
              </>
            )}
            {operation.result_image && operation.result_image !== operation.image && (
              <>
                <dt>Made</dt>
                <dd>
                  <ImageLink uuid={operation.result_image} onImage={onImage} />
                </dd>
              </>
            )}
          </dl>
          <h3>Output</h3>
          <pre
            class="output"
            tabIndex={0}
            aria-label="Output"
            ref={output}
            onScroll={(event) => {
              const element = event.currentTarget;
              atEnd.current = element.scrollHeight - element.scrollTop - element.clientHeight < 24;
            }}
          >
            {pieces.map((piece, i) => (
              <span key={i} class={piece.stream}>
                {piece.text}
              </span>
            ))}
            {pieces.length === 0 && <span class="empty">{isFinal(operation.state) ? "It wrote nothing." : "Nothing yet."}</span>}
          </pre>
          {(operation.stdout_truncated || operation.stderr_truncated) && <p class="empty">More was written than is kept.</p>}
        </>
      )}
    </section>
  );
}

export function ImageLink({ uuid, onImage }: { uuid: string; onImage: (uuid: string) => void }) {
  return (
    <a href={`#/images/${uuid}`} onClick={() => onImage(uuid)}>
      {shortId(uuid)}
    </a>
  );
}
