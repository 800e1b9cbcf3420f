// The token of a server that asks who calls: kept for this tab alone, sent with each request.

import { useEffect, useState } from "preact/hooks";

const key = "contree-token";
const changed = new EventTarget();
let refused: string | null = null; // why a token is needed; null: it is not, so far

export const hasToken = () => sessionStorage.getItem(key) !== null;

// fetch, as whoever is signed in.
export async function send(url: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  const token = sessionStorage.getItem(key);
  if (token !== null) headers.set("Authorization", `Bearer ${token}`);
  const response = await fetch(url, { ...init, headers });
  // A token that another one replaced meanwhile does not count; nor does a platform that does not take the service's.
  if (response.status === 401 && response.headers.has("WWW-Authenticate") && token === sessionStorage.getItem(key)) {
    setRefused(token === null ? "This server asks who you are." : "The server did not take this token.");
  }
  return response;
}

function setRefused(reason: string | null) {
  refused = reason;
  changed.dispatchEvent(new Event("change"));
}

function signIn(token: string) {
  sessionStorage.setItem(key, token);
  setRefused(null);
}

// Why somebody has to sign in; null: nobody has to.
export function useRefused(): string | null {
  const [reason, setReason] = useState(refused);
  useEffect(() => {
    const update = () => setReason(refused);
    changed.addEventListener("change", update);
    update();
    return () => changed.removeEventListener("change", update);
  }, []);
  return reason;
}

export function SignIn({ reason }: { reason: string }) {
  const [token, setToken] = useState("");
  return (
    <form
      class="sign-in"
      aria-labelledby="sign-in-title"
      onSubmit={(event) => {
        event.preventDefault();
        if (token.trim()) signIn(token.trim());
      }}
    >
      <h2 id="sign-in-title">Sign in</h2>
      <p role="alert">{reason}</p>
      <label>
        Token
        <input type="password" autocomplete="off" spellcheck={false} required value={token} onInput={(event) => setToken(event.currentTarget.value)} />
      </label>
      <button type="submit">Sign in</button>
      <p class="empty">It is kept in this tab and sent to this server only.</p>
    </form>
  );
}

// Ends the session of this tab.
export function SignOut() {
  if (!hasToken()) return null;
  return (
    <button
      type="button"
      onClick={() => {
        sessionStorage.removeItem(key);
        location.reload();
      }}
    >
      Sign out
    </button>
  );
}
