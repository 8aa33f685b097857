// Everything this page asks of the gateway, and the token that opens it.

const TOKEN_KEY = "earhook.token";
const PROTOCOL = "earhook.console.v1";

/** The gateway said no, or nothing. `status` is 0 where it could not be reached. */
export class Refused extends Error {
  constructor(status, words) {
    super(words);
    this.status = status;
  }
}

/** Kept for this tab only; it never becomes part of an address. */
export const token = {
  get: () => sessionStorage.getItem(TOKEN_KEY),
  set: (text) => sessionStorage.setItem(TOKEN_KEY, text),
  forget: () => sessionStorage.removeItem(TOKEN_KEY),
};

async function ask(path, signal) {
  const shown = token.get();
  const headers = shown ? { Authorization: `Bearer ${shown}` } : {};
  let answer;
  try {
    answer = await fetch(path, { headers, signal, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "the gateway does not answer");
  }
  if (!answer.ok) throw new Refused(answer.status, (await answer.text()).slice(0, 300).trim());
  return answer;
}

/** A JSON answer of the API. */
export const fetchJson = async (path, signal) => (await ask(path, signal)).json();

/** A file whole: <audio> cannot send a token itself, so it plays what was fetched before. */
export const fetchBlob = async (path, signal) => (await ask(path, signal)).blob();

/** A WebSocket. A browser cannot give it headers, so the token travels as a second subprotocol. */
export function openSocket(path) {
  const shown = token.get();
  const protocols = [PROTOCOL, ...(shown ? [`earhook.token.${base64url(shown)}`] : [])];
  const socket = new WebSocket(new URL(path, location.href.replace(/^http/, "ws")), protocols);
  socket.binaryType = "arraybuffer";
  return socket;
}

function base64url(text) {
  const bytes = String.fromCharCode(...new TextEncoder().encode(text));
  return btoa(bytes).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}
