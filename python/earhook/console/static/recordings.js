// What was recorded: a list, and one recording with its timeline, its sound and its sidecar.

import { Awaited, Blank, html, Sheet, useEffect, usePolled, useRef, useState } from "./pieces.js";
import { fetchBlob, fetchJson } from "./api.js";
import { Books } from "./books.js";
import { Ladder } from "./ladder.js";
import { Envelope, Story } from "./story.js";
import { TimelineView } from "./timeline_view.js";
import { readWav } from "./wav.js";
import { clock, dayAndTime, lasting, short } from "./words.js";

const POLL_MS = 5000;
const PAGE = 100;
const LONGEST_SECONDS = 3 * 3600; // beyond that, a file is for a player of its own

const asPath = (name) => `/api/v1/recordings/${name.split("/").map(encodeURIComponent).join("/")}`;

export function RecordingsPage({ id, onPick }) {
  const [older, setOlder] = useState([]);
  const { answer, refused } = usePolled(`/api/v1/recordings?limit=${PAGE}`, POLL_MS);
  if (!answer) return html`<main id="main"><${Awaited} refused=${refused} /></main>`;
  const known = new Set(answer.recordings.map((recording) => recording.id));
  const all = [...answer.recordings, ...older.filter((recording) => !known.has(recording.id))];
  const more = async () => {
    const next = await fetchJson(`/api/v1/recordings?limit=${PAGE}&before=${encodeURIComponent(all.at(-1).id)}`);
    setOlder([...older, ...next.recordings]);
  };
  const picked = all.find((recording) => recording.id === id);
  return html`
    <main id="main">
      <div class="page split">
        <${Sheet} title="Recordings">
          ${all.length === 0 && html`<${Blank}>Nothing was recorded yet. A sink of kind <code>recording</code> does it.</${Blank}>`}
          <div class="scroll tall">
            ${all.length > 0 && html`<${List} ...${{ all, id, onPick }} />`}
            ${answer.more && html`<p class="blank"><button onClick=${more}>Older ones</button></p>`}
          </div>
        </${Sheet}>
        ${id ? html`<${Recording} key=${id} id=${id} entry=${picked} />` : html`<${Blank}>Choose a recording to see and hear it.</${Blank}>`}
      </div>
    </main>
  `;
}

const List = ({ all, id, onPick }) => html`
  <table class="pick">
    <thead><tr><th scope="col">Opened</th><th scope="col">Session</th><th scope="col" class="number">Lasted</th><th scope="col">State</th></tr></thead>
    <tbody>${all.map((recording) => html`
      <tr key=${recording.id} aria-selected=${recording.id === id} onClick=${() => onPick(recording.id)}>
        <td><a href="#" onClick=${(event) => { event.preventDefault(); onPick(recording.id); }}>${dayAndTime(recording.opened)}</a></td>
        <td class="mono" title=${recording.session}>${short(recording.session)}</td>
        <td class="number">${recording.state === "recording" ? "–" : clock(recording.seconds)}</td>
        <td><span class=${`reason ${recording.state === "complete" ? "" : recording.state === "recording" ? "" : "warning"}`}>${recording.state}</span></td>
      </tr>`)}
    </tbody>
  </table>
`;

function Recording({ id, entry }) {
  const { answer: sidecar, refused } = usePolled(asPath(id), entry?.state === "recording" ? POLL_MS : 0);
  if (!sidecar) return html`<${Awaited} refused=${refused} />`;
  const rate = sidecar.format?.rate ?? sidecar.call.rate;
  const files = entry?.files ?? [];
  if (sidecar.state === "recording") return html`<${Unfinished} session=${sidecar.call?.session} />`;
  return html`
    <div class="stack">
      <${Sound} sidecar=${sidecar} rate=${rate} files=${files} />
      ${sidecar.books && html`<${Books} facts=${{ rate, written: sidecar.arrived?.written, sinks: { [entry?.sink ?? "recording"]: sidecar.books } }} gaps=${(sidecar.gaps ?? []).map(asGap)} isPaused=${endsPaused(sidecar)} />`}
      <${Ladder} entries=${sidecar.protocol ?? []} empty="No messages: calls that are posted over HTTPS have none." />
    </div>
  `;
}

/** Nothing is known of it before it is finished, but in the call itself. */
const Unfinished = ({ session }) => html`
  <${Sheet} title="Recording">
    <${Blank}>This is being recorded. It can be seen and heard when the call is over; until then,${" "}
      <a href=${`#/calls/${encodeURIComponent(session)}`}><u>the live call</u></a> has its timeline and its messages.</${Blank}>
  </${Sheet}>
`;

/** The timeline of a recording, and its player: one clock for both. */
function Sound({ sidecar, rate, files }) {
  const kept = useRef(null);
  kept.current ??= { story: tellStory(sidecar), envelope: new Envelope(), playhead: null };
  const [timeline, player] = [useRef(null), useRef(null)];
  const [place, setPlace] = useState(0);
  const [words, setWords] = useState("");
  const file = files[place];
  const begins = sidecar.parts?.[place]?.position ?? 0;

  useEffect(() => {
    if (!file) return undefined;
    if (file.samples / rate < LONGEST_SECONDS) return loadSound(file, begins, kept.current, player, timeline, setWords);
    setWords(`${lasting(file.samples / rate)} are too much for a browser: play the file itself.`);
    return undefined;
  }, [file?.name]);
  const scene = () => ({
    rate, ...kept.current, hasMood: false, end: endOf(sidecar, kept.current, rate), gaps: (sidecar.gaps ?? []).map(asGap),
  });
  const seek = (seconds) => {
    if (player.current) player.current.currentTime = Math.max(0, seconds - begins / rate);
  };
  const onTime = ({ target }) => {
    kept.current.playhead = begins + target.currentTime * rate;
    timeline.current?.wake();
  };
  return html`
    <${TimelineView} scene=${scene} handle=${timeline} onChoose=${seek} span=${Infinity} label="Levels of both sides of the recording over time" />
    <${Sheet} title="Listen" aside=${files.length > 1 && files.map((one, at) => html`
      <button key=${one.name} aria-pressed=${at === place} onClick=${() => setPlace(at)}>${`part ${at + 1}, ${clock(one.samples / rate)}`}</button>`)}>
      ${words || !file
        ? html`<p class="blank">${words || "No finished file: it is still being recorded, or never was."}</p>`
        : html`<audio controls ref=${player} onTimeUpdate=${onTime} onSeeking=${onTime} aria-label="Recording: customer left, agent right"></audio>`}
    </${Sheet}>
  `;
}

/** Fetch a file, give it to the player and draw it. Returns what lets go of it. */
function loadSound(file, begins, kept, player, timeline, setWords) {
  const ending = new AbortController();
  let address = "";
  const load = async () => {
    const blob = await fetchBlob(asPath(file.name), ending.signal);
    address = URL.createObjectURL(blob);
    if (ending.signal.aborted) return URL.revokeObjectURL(address);
    if (player.current) player.current.src = address;
    const { envelope } = await readWav(blob);
    for (const piece of envelope.pieces) kept.envelope.put({ ...piece, position: piece.position + begins });
    timeline.current?.wake();
  };
  load().catch((error) => error.name === "AbortError" || setWords(error.message));
  return () => {
    ending.abort();
    URL.revokeObjectURL(address);
  };
}

const asGap = (gap) => (Array.isArray(gap) ? gap : [gap.position, gap.samples, gap.reason]);

/** A sidecar holds nothing personal: spans of signal and the summary, no words. */
function tellStory(sidecar) {
  const story = new Story();
  for (const span of sidecar.signal?.spans ?? []) {
    const { type, kind, ...details } = span;
    story.take({ type: type ?? kind, position: details.end ?? details.start, details });
  }
  if (endsPaused(sidecar)) story.take({ type: "paused", position: sidecar.position, details: {} });
  return story;
}

/** Whether the call was closed in a pause: it is no gap, for nothing came after it. */
const endsPaused = ({ protocol, position }) =>
  Number.isFinite(position) && (protocol ?? []).findLast(([, , kind]) => kind === "paused" || kind === "resumed")?.[2] === "paused";

function endOf(sidecar, { envelope }, rate) {
  const closed = endsPaused(sidecar) ? (sidecar.arrived?.duration_seconds ?? 0) * rate : 0;
  return Math.max(sidecar.position ?? 0, envelope.end, closed);
}
