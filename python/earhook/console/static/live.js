// What is known right now: the feed, kept as plain objects. Pages read `live` and listen to topics.

import { fetchJson, openSocket, token } from "./api.js";
import { FLAG, readRecords, takeEnvelope, takeMeters, takeState } from "./records.js";

/** Something to listen to. */
function topic() {
  const listeners = new Set();
  return {
    listen(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    tell(what) {
      for (const listener of listeners) listener(what);
    },
  };
}

export const topics = {
  link: topic(), // `live.link` has changed
  calls: topic(), // calls came, went, or have other states
  meters: topic(), // levels of watched calls
  totals: topic(),
  opened: topic(), // {events, missed, envelope} of the call whose page is open
};

export const live = {
  /** "connecting", "locked" (a token is needed), "up" or "down". */
  link: "connecting",
  /** The token that was shown last was wrong. */
  wasRefused: false,
  /** The answer of /api/v1/console. */
  offers: null,
  totals: null,
  /** By number. Objects stay the same for as long as the call is known. */
  calls: new Map(),
  find: (session) => [...live.calls.values()].find((call) => call.session === session),
};

const FIRST_WAIT_SECONDS = 0.5;
const LONGEST_WAIT_SECONDS = 10;
const MOST_WATCHED = 512;
const WATCH_MS = 120;

const wishes = { watch: [], open: null, pause: document.hidden };
let socket = null;
let waitSeconds = FIRST_WAIT_SECONDS;
let skewSeconds = 0;
let watched = [];
let watching = 0;

/** The gateway's wall clock, as far as this machine's own can tell it. */
const gatewaySeconds = () => Date.now() / 1000 + skewSeconds;

/** How long a call has lasted. That of a live one runs on by itself. */
export const lasted = (call) =>
  call.flags & FLAG.ended ? call.seconds : Math.max(call.seconds, gatewaySeconds() - call.opened);

/** Connect, and stay connected. */
export async function connect() {
  try {
    live.offers = await fetchJson("/api/v1/console");
  } catch (error) {
    if (error.status === 401) {
      live.wasRefused = token.get() !== null;
      token.forget();
      return change("locked");
    }
    return again();
  }
  skewSeconds = live.offers.time - Date.now() / 1000;
  socket = openSocket("/api/v1/feed");
  socket.onopen = () => {
    waitSeconds = FIRST_WAIT_SECONDS;
    socket.send(JSON.stringify(wishes));
    change("up");
  };
  socket.onmessage = ({ data }) => {
    if (typeof data === "string") takeText(JSON.parse(data));
    else takeRecords(data);
  };
  socket.onclose = ({ code }) => {
    if (code === 4401) token.forget();
    again();
  };
}

/** Show a token, and try again. */
export function signIn(text) {
  token.set(text);
  change("connecting");
  connect();
}

/** Numbers of the calls whose meters are on screen. While one scrolls, only now and then. */
export function watch(numbers) {
  watched = numbers.slice(0, MOST_WATCHED);
  watching ||= setTimeout(() => {
    watching = 0;
    const before = wishes.watch;
    if (watched.length !== before.length || watched.some((number, place) => number !== before[place])) {
      ask({ watch: watched });
    }
  }, WATCH_MS);
}

/** The session whose page is open, or null. */
export const open = (session) => ask({ open: session });

function ask(wish) {
  Object.assign(wishes, wish);
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(wish));
}

function change(link) {
  if (live.link === link) return;
  live.link = link;
  topics.link.tell();
}

function again() {
  change("down");
  setTimeout(connect, waitSeconds * 1000 * (0.7 + 0.6 * Math.random()));
  waitSeconds = Math.min(LONGEST_WAIT_SECONDS, waitSeconds * 1.7);
}

function takeText(message) {
  if (message.type === "calls") {
    if (message.reset) live.calls.clear();
    for (const number of message.removed ?? []) live.calls.delete(number);
    for (const facts of message.added ?? []) live.calls.set(facts.number, newCall(facts));
    topics.calls.tell();
  } else if (message.type === "totals") {
    live.totals = message;
    skewSeconds = message.time - Date.now() / 1000;
    topics.totals.tell();
  } else if (message.type === "events" && message.session === wishes.open) {
    topics.opened.tell({ events: message.events, missed: message.missed, envelope: [] });
  }
}

function newCall(facts) {
  const channel = () => ({
    rms: 0, peak: 0, speaking: false, clipping: false, sentiment: null, talk: null,
    shownRms: 0, shownPeak: 0,
  });
  return {
    ...facts,
    external: channel(), internal: channel(),
    flags: 0, attention: 0, worstHit: 0, hits: 0, interruptions: 0, talkOvers: 0, gaps: 0,
    seconds: 0, lostSeconds: 0, lagSeconds: 0,
  };
}

function takeRecords(message) {
  const envelope = [];
  let [hasMeters, hasStates] = [false, false];
  readRecords(message, {
    meters(view, at) {
      const call = live.calls.get(view.getUint32(at, true));
      if (!call) return;
      takeMeters(call, view, at);
      hasMeters = true;
    },
    states(view, at) {
      const call = live.calls.get(view.getUint32(at, true));
      if (!call) return;
      takeState(call, view, at);
      hasStates = true;
    },
    envelope(view, at) {
      if (live.calls.get(view.getUint32(at, true))?.session === wishes.open)
        envelope.push(takeEnvelope(view, at));
    },
  });
  if (hasMeters) topics.meters.tell();
  if (hasStates) topics.calls.tell();
  if (envelope.length) topics.opened.tell({ events: [], missed: 0, envelope });
}

document.addEventListener("visibilitychange", () => ask({ pause: document.hidden }));
