// The frame: which page is open, what is wrong with the gateway, keys for everything.

import { render } from "./vendor/htm-preact-standalone.module.js";
import { html, useEffect, useRef, useState, useTopic } from "./pieces.js";
import { connect, live, signIn, topics } from "./live.js";
import { CallPage } from "./call.js";
import { LatenciesPage } from "./latencies.js";
import { ListPage, search } from "./list.js";
import { RecordingsPage } from "./recordings.js";
import { rateOf, SinksPage } from "./sinks.js";
import { toggleTheme } from "./theme.js";
import { count, lasting, percent, short } from "./words.js";

const PAGES = [
  { path: "", words: "Calls", key: "1" },
  { path: "latencies", words: "Latencies", key: "2" },
  { path: "sinks", words: "Sinks", key: "3" },
  { path: "recordings", words: "Recordings", key: "4" },
];
const KEYS = [
  ["1 2 3 4", "calls, latencies, sinks, recordings"],
  ["↑ ↓ or j k", "choose a call; Page Up, Page Down, Home, End"],
  ["Enter", "open the chosen call"],
  ["Esc", "back to the list"],
  ["/", "search calls; ↓ or Enter goes to what was found, Esc to all rows"],
  ["← → + −", "move and zoom a timeline that has the focus; End follows the call"],
  ["t", "dark or light"],
  ["?", "these keys"],
];
const go = (path) => { location.hash = `#/${path}`; };
const openCall = (session) => go(`calls/${encodeURIComponent(session)}`);

function useRoute() {
  const read = () => location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  const [route, setRoute] = useState(read);
  useEffect(() => {
    const follow = () => setRoute(read());
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  return route;
}

function App() {
  const [page, ...rest] = useRoute();
  const keys = useRef(null);
  useTopic(topics.link);
  useKeys(keys);
  if (live.link === "locked") return html`<${Door} />`;
  return html`
    <${Bar} page=${page} onKeys=${() => keys.current.showModal()} />
    <${Alarm} title=${titleOf(page, rest)} />
    ${page === "" && html`<${ListPage} onOpen=${openCall} />`}
    ${page === "calls" && html`<${CallPage} session=${rest[0] ?? ""} key=${rest[0]} />`}
    ${page === "latencies" && html`<${LatenciesPage} />`}
    ${page === "sinks" && html`<${SinksPage} />`}
    ${page === "recordings" && html`<${RecordingsPage} id=${rest.join("/")} onPick=${(id) => go(`recordings/${id.split("/").map(encodeURIComponent).join("/")}`)} />`}
    <${Keys} box=${keys} />
  `;
}

function titleOf(page, rest) {
  const words = page === "calls" ? `call ${short(rest[0])}` : PAGES.find(({ path }) => path === page)?.words;
  return `${words ?? "?"} · Earhook`;
}

function useKeys(keys) {
  useEffect(() => {
    const press = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const isTyping = event.target.matches?.("input, textarea, select");
      if (event.key === "Escape") {
        if (isTyping) event.target.blur();
        else if (!keys.current?.open && location.hash.startsWith("#/calls/")) go("");
        return;
      }
      if (isTyping || keys.current?.open) return;
      const page = PAGES.find(({ key }) => key === event.key);
      if (page) go(page.path);
      else if (event.key === "t") toggleTheme();
      else if (event.key === "?") keys.current?.showModal();
      else if (event.key === "/") {
        go("");
        search();
        event.preventDefault();
      }
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
}

function Bar({ page, onKeys }) {
  useTopic(topics.totals, 500);
  const here = page === "calls" ? "" : page;
  return html`
    <header class="bar">
      <a class="name" href="#/" aria-label="Earhook"><${Mark} /><span>Earhook</span></a>
      <nav aria-label="Pages">
        ${PAGES.map(({ path, words }) => html`
          <a href=${`#/${path}`} key=${path} aria-current=${here === path ? "page" : undefined}>${words}</a>
        `)}
      </nav>
      <span class="fill"></span>
      <${Health} />
      <button class="plain" onClick=${toggleTheme} aria-label="Dark or light" title="Dark or light (t)">◐</button>
      <button class="plain keys-button" onClick=${onKeys} aria-label="Keys" title="Keys (?)">?</button>
    </header>
  `;
}

const Mark = () => html`
  <svg width="22" height="22" viewBox="0 0 32 32" aria-hidden="true" fill="none" stroke-width="3.2" stroke-linecap="round">
    <path class="customer" stroke="currentColor" d="M5 13v6M11 8v15M17 4v12" />
    <path class="agent" stroke="currentColor" d="M17 16v12M22 10v12M27 14v5" />
  </svg>
`;

function Health() {
  const { totals, link, offers } = live;
  if (link !== "up") return html`<span class="pill warning" role="status">${link === "down" ? "connection lost, trying again" : "connecting"}</span>`;
  const failing = totals?.failing ?? [];
  const unheard = totals?.unheard_workers ?? [];
  return html`
    ${unheard.length > 0 && html`<span class="pill warning" role="status">no answer from worker ${unheard.join(", ")}</span>`}
    ${failing.length > 0 && html`
      <span class="pill critical" role="status" title=${`New calls are refused or an output is in trouble: ${failing.map((name) => `${name} ${totals.failing_details?.[name] ?? ""}`).join("; ")}`}>
        not ready: ${failing.map((name) => failureWords(name, totals.failing_details?.[name])).join(", ")}
      </span>`}
    ${!failing.length && !unheard.length && html`<span class="pill" role="status" title=${`Earhook ${offers.version}`}>ready</span>`}
  `;
}

/** What a check of readiness that fails means. Of what is short, its detail is "0.12, limit 0.10". */
function failureWords(name, detail) {
  const amount = Number(/^([\d.]+), limit/.exec(detail ?? "")?.[1] ?? NaN);
  const share = percent(amount);
  const strains = {
    "loop-lag": `the event loop is ${lasting(amount)} late`,
    cpu: `the CPU is busy to ${share}`,
    memory: `${share} of the memory is used`,
    "open-files": `${share} of the files are in use`,
  };
  return Number.isFinite(amount) && strains[name] ? `new calls are refused, ${strains[name]}` : name;
}

/** Red, said aloud, and in the title of the tab: audio is being lost now. */
function Alarm({ title }) {
  useTopic(topics.totals);
  const { totals } = live;
  const isDropping = live.link === "up" && totals?.dropping.length > 0;
  useEffect(() => { document.title = `${isDropping ? "⚠ dropping audio · " : ""}${title}`; }, [isDropping, title]);
  if (!isDropping) return html`<div role="alert"></div>`;
  const lossy = totals.sinks.filter((sink) => totals.dropping.includes(sink.name));
  const rate = rateOf(live.calls.values());
  const where = lossy.map((sink) => `${sink.name} lost ${lasting(sink.dropping / rate)} of audio in 5 s`);
  if (totals.dropping.includes("calls")) where.unshift("on the way in, before any sink had it");
  return html`
    <div role="alert">
      <div class="alarm">
        <strong>Audio is being dropped</strong>
        <span>${where.join(" · ")}${totals.dropping_calls ? ` · ${count(totals.dropping_calls)} ${totals.dropping_calls === 1 ? "call" : "calls"}` : ""}</span>
        <a href="#/sinks">Look at the sinks</a>
      </div>
    </div>
  `;
}

/** A token is needed. */
function Door() {
  const [text, setText] = useState("");
  const enter = (event) => {
    event.preventDefault();
    if (text) signIn(text.trim());
  };
  return html`
    <main>
      <form class="sheet door" onSubmit=${enter}>
        <h1>Earhook</h1>
        <p class="muted">This gateway asks for the token of <code>[admin]</code>. It is kept for this tab only.</p>
        <p class="critical" role="alert">${live.wasRefused ? "That token was not accepted." : ""}</p>
        <input type="password" autocomplete="off" aria-label="Token" placeholder="Token" autofocus
          onInput=${(event) => setText(event.target.value)} />
        <button>Enter</button>
      </form>
    </main>
  `;
}

const Keys = ({ box }) => html`
  <dialog ref=${box} aria-label="Keys">
    <h2>Keys</h2>
    <dl>${KEYS.map(([key, words]) => html`<dt key=${key}><kbd>${key}</kbd></dt><dd>${words}</dd>`)}</dl>
    <form method="dialog"><button>Close</button></form>
  </dialog>
`;

render(html`<${App} />`, document.getElementById("app"));
connect();
