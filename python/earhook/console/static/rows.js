// The rows of calls: only those on screen exist, and the order rests while one points at it or scrolls.

import { Component } from "./vendor/htm-preact-standalone.module.js";
import { html, moodClass, useEffect, useReducer, useRef, useState } from "./pieces.js";
import { arrange, FILTERS, reasonsOf, wordsOf } from "./attention.js";
import { lasted, live, topics, watch } from "./live.js";
import { Meters } from "./meters.js";
import { CHANNELS, clock, count, lasting, short, signed, SPEAKER } from "./words.js";

const ROW = 30; // as --row in style.css
const HEAD = 28; // as --head
const SPARE_ROWS = 4;
const ARRANGE_MS = 1000;
const POINTING_MS = 2500;

const COLUMNS = [
  { words: "Call" },
  { words: "Customer / agent", meters: true },
  { words: "Lasts", order: "lasted" },
  { words: "Talk", wide: true },
  { words: "Mood", order: "mood", wide: true },
  { words: "Attention", order: "attention" },
  { words: "Hits", order: "hits", wide: true },
  { words: "Lost", order: "lost", wide: true },
  { words: "Lag", order: "lag", wide: true },
  { words: "Conversation", roomy: true },
  { words: "Key", roomy: true },
];

/** Arranged anew once a second, at once when the wish changes, and not while one points at it. */
function useArranged(chosen, pointedAt) {
  const wish = JSON.stringify([chosen.filter, chosen.text, chosen.order]);
  const kept = useRef({ calls: [], wish: null, at: 0 }).current;
  const now = performance.now();
  const isHeld = now - pointedAt.current < POINTING_MS && kept.calls.length > 0;
  const isDue = now - kept.at >= ARRANGE_MS && !isHeld;
  if (kept.wish !== wish || isDue) {
    Object.assign(kept, { calls: arrange(live.calls.values(), chosen), wish, at: now });
  } else if (isHeld) {
    kept.calls = kept.calls.filter((call) => live.calls.has(call.number));
  }
  return { calls: kept.calls, isHeld };
}

/**
 * @param chosen {filter, text, order, session, top}: what to show, which one is marked, and how far
 *   it is scrolled; all of it is kept while other pages are open
 * @param choose called with what changes of it
 */
export function Rows({ chosen, choose, onOpen }) {
  const [box, canvas] = [useRef(null), useRef(null)];
  const pointedAt = useRef(-Infinity);
  const point = (at) => { pointedAt.current = at; };
  const { calls, isHeld } = useArranged(chosen, pointedAt);
  const [height, setHeight] = useState(600);
  const shown = useRef({ calls }).current;
  shown.calls = calls;
  const place = calls.findIndex((call) => call.session === chosen.session);

  useMeters(box, canvas, shown, setHeight);
  useEffect(() => {
    box.current.scrollTop = chosen.top;
    if (document.activeElement === document.body) box.current.focus({ preventScroll: true });
    return () => watch([]);
  }, []);

  const go = (to) => {
    const call = calls[Math.max(0, Math.min(calls.length - 1, to))];
    if (!call) return;
    const top = calls.indexOf(call) * ROW;
    const { scrollTop } = box.current;
    if (top < scrollTop) box.current.scrollTop = top;
    else if (top + ROW > scrollTop + height) box.current.scrollTop = top + ROW - height;
    point(performance.now());
    choose({ session: call.session });
  };
  const onKeyDown = (event) => {
    const page = Math.max(1, Math.floor(height / ROW) - 1);
    const steps = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: page, PageUp: -page, Home: -1e9, End: 1e9 };
    if (event.key === "Enter" && place >= 0) onOpen(chosen.session);
    else if (event.key in steps && !event.ctrlKey && !event.metaKey) go(place + steps[event.key]);
    else return;
    event.preventDefault();
  };

  return html`
    <div class="list">
      <div class="rows" ref=${box} tabindex="0" role="grid" aria-readonly="true"
        aria-label=${`Calls, sorted by ${chosen.order}`} aria-rowcount=${calls.length + 1}
        aria-activedescendant=${place >= 0 ? `call-${calls[place].number}` : undefined}
        onKeyDown=${onKeyDown} onPointerMove=${() => point(performance.now())} onPointerLeave=${() => point(-Infinity)}>
        <${Columns} chosen=${chosen} choose=${choose} />
        <div class="meters" aria-hidden="true"><canvas ref=${canvas}></canvas></div>
        <${Visible} ...${{ box, calls, chosen, height, onOpen, point }} />
        ${calls.length === 0 && html`<${Nobody} />`}
      </div>
    </div>
    <div class="foot">
      <span>${count(calls.length)} shown of ${count(live.calls.size)}${endedWords(calls)}</span>
      <span>${isHeld ? "order rests while you point at it" : ""}</span>
      <span class="fill"></span>
      <span class="keys"><kbd>↑</kbd> <kbd>↓</kbd> choose  <kbd>Enter</kbd> open  <kbd>/</kbd> search  <kbd>?</kbd> all keys</span>
    </div>
  `;
}

function endedWords(calls) {
  const ended = calls.filter(FILTERS.ended.test).length;
  return ended ? `, ${count(ended)} of them ended` : "";
}

/**
 * The rows on screen. Scrolling renders this alone: rows that leave at one end come back at the
 * other, and those that stay are not looked at before the list itself is rendered again.
 */
function Visible({ box, calls, chosen, height, onOpen, point }) {
  const [, again] = useReducer((turn) => turn + 1, 0);
  const revision = useRef({ number: 0 }).current;
  const scrolled = useRef(false);
  if (!scrolled.current) revision.number += 1;
  scrolled.current = false;

  const first = Math.max(0, Math.floor(chosen.top / ROW) - SPARE_ROWS);
  const slots = Math.ceil(height / ROW) + 2 * SPARE_ROWS + 1;
  // Each slot is a piece of the document that never moves in it: it shows every slots-th row.
  const rowOf = (slot) => first + ((((slot - first) % slots) + slots) % slots);
  useEffect(() => watch(calls.slice(first, first + slots).map((call) => call.number)));
  useEffect(() => {
    const scroll = () => {
      chosen.top = box.current.scrollTop;
      point(performance.now());
      scrolled.current = true;
      again();
    };
    box.current.addEventListener("scroll", scroll, { passive: true });
  }, []);

  return html`
    <div style=${{ height: calls.length * ROW, position: "relative" }} role="rowgroup">
      ${Array.from({ length: slots }, (_, slot) => {
        const row = rowOf(slot);
        const call = calls[row];
        return call && html`
          <${Row} key=${slot} call=${call} row=${row} revision=${revision.number}
            isSelected=${call.session === chosen.session} onOpen=${onOpen} />
        `;
      })}
    </div>
  `;
}

/** Keeps the canvas over its column, and drawing. */
function useMeters(box, canvas, shown, setHeight) {
  useEffect(() => {
    const meters = new Meters(canvas.current, ROW, function* () {
      const top = box.current.scrollTop;
      const from = Math.max(0, Math.floor(top / ROW));
      const to = Math.min(shown.calls.length, Math.ceil((top + box.current.clientHeight - HEAD) / ROW));
      for (let place = from; place < to; place += 1) yield [shown.calls[place], place * ROW - top];
    });
    const fit = () => {
      const column = box.current.querySelector("[data-meters]");
      const seen = box.current.clientHeight - HEAD;
      const { left, width } = column.getBoundingClientRect();
      canvas.current.style.left = `${left - box.current.getBoundingClientRect().left}px`;
      meters.resize(width, seen);
      setHeight(seen);
    };
    const watcher = new ResizeObserver(fit);
    watcher.observe(box.current);
    const wake = () => meters.wake();
    box.current.addEventListener("scroll", wake, { passive: true });
    const leave = [topics.meters.listen(wake), topics.calls.listen(wake)];
    return () => {
      watcher.disconnect();
      meters.close();
      for (const one of leave) one();
    };
  }, []);
}

const Columns = ({ chosen, choose }) => html`
  <div class="columns" role="row" aria-rowindex="1">
    ${COLUMNS.map(({ words, order, wide, roomy, meters }) => html`
      <span role="columnheader" key=${words} class=${wide ? "wide" : roomy ? "wide roomy" : ""} data-meters=${meters}
        aria-sort=${order && chosen.order === order ? "descending" : undefined}>
        ${order ? html`<button onClick=${() => choose({ order })}>${words}</button>` : words}
      </span>
    `)}
  </div>
`;

class Row extends Component {
  shouldComponentUpdate({ call, row, revision, isSelected }) {
    const old = this.props;
    return call !== old.call || row !== old.row || revision !== old.revision || isSelected !== old.isSelected;
  }

  render({ call, row, isSelected, onOpen }) {
    const [reason, ...others] = reasonsOf(call);
    const said = CHANNELS.map((channel) => `${SPEAKER[channel]} ${call[channel].speaking ? "speaks" : "silent"}`);
    return html`
      <div class="call" role="row" id=${`call-${call.number}`} aria-rowindex=${row + 2} aria-selected=${isSelected}
        data-session=${call.session} style=${{ transform: `translateY(${row * ROW}px)` }}
        onClick=${() => onOpen(call.session)}>
        <span role="gridcell" title=${call.session}><span class="mono">${short(call.session)}</span> <span class="muted caller">${call.caller ?? ""}</span></span>
        <span role="gridcell"><span class="unseen">${said.join(", ")}</span></span>
        <span role="gridcell" class="lasts">${clock(lasted(call))}</span>
        <span role="gridcell" class="wide"><${Share} call=${call} /></span>
        <span role="gridcell" class=${`wide score ${moodClass(call.external.sentiment)}`}>${call.external.sentiment === null ? "" : signed(call.external.sentiment, 2)}</span>
        <span role="gridcell" title=${wordsOf(call)}><span class=${`reason ${reason.grade} ${reason.grade ? "" : "muted"}`}>${reason.words}</span>${others.length > 0 && html`<span class="muted"> · ${others.map(({ words }) => words).join(" · ")}</span>`}</span>
        <span role="gridcell" class="wide muted">${call.hits || ""}</span>
        <span role="gridcell" class=${`wide ${call.lostSeconds ? "critical" : "muted"}`}>${call.lostSeconds ? lasting(call.lostSeconds) : ""}</span>
        <span role="gridcell" class=${`wide ${call.lagSeconds > 1 ? "warning" : "muted"}`}>${call.lagSeconds ? lasting(call.lagSeconds) : ""}</span>
        <span role="gridcell" class="wide roomy mono muted" title=${call.conversation}>${short(call.conversation)}</span>
        <span role="gridcell" class="wide roomy muted">${call.key}</span>
      </div>
    `;
  }
}

function Share({ call: { external, internal } }) {
  if (external.talk === null || internal.talk === null) return null;
  const words = `${SPEAKER.external} ${Math.round(external.talk * 100)} %, ${SPEAKER.internal} ${Math.round(internal.talk * 100)} %`;
  return html`
    <span class="share" role="img" aria-label=${words} title=${words}>
      <i style=${{ width: `${external.talk * 100}%` }}></i><i style=${{ width: `${internal.talk * 100}%` }}></i>
    </span>
  `;
}

function Nobody() {
  const words = live.calls.size
    ? "No call is like that right now."
    : "No calls. The next one appears here by itself.";
  return html`<p class="blank">${words}</p>`;
}
