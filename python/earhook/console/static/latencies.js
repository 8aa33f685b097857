// Every histogram the gateway keeps, since it started or of the last minute.

import { Awaited, Blank, html, Sheet, useEffect, usePolled, useRef, useState } from "./pieces.js";
import { dropped } from "./books.js";
import { live } from "./live.js";
import { rateOf } from "./sinks.js";
import { colour, onTheme } from "./theme.js";
import { count, lasting, plain } from "./words.js";

const POLL_MS = 2000;
const RECENT_SECONDS = 60;
const CHART_HEIGHT = 140;

export function LatenciesPage() {
  const [isRecent, setRecent] = useState(false);
  const past = useRef([]);
  const { answer, refused } = usePolled("/api/v1/latencies", POLL_MS, ({ histograms }) => {
    const now = performance.now() / 1000;
    past.current.push({ at: now, histograms });
    // The youngest one that is a minute old stays, as what to compare with.
    while (past.current[1]?.at <= now - RECENT_SECONDS) past.current.shift();
  });
  if (!answer) return html`<main id="main"><${Awaited} refused=${refused} /></main>`;
  const before = isRecent ? past.current[0]?.histograms : {};
  const all = Object.entries(answer.histograms)
    .map(([name, histogram]) => [name, isRecent ? since(histogram, before[name]) : histogram]);
  return html`
    <main id="main">
      <div class="strip" role="toolbar" aria-label="Which time">
        <button aria-pressed=${!isRecent} onClick=${() => setRecent(false)}>since the start</button>
        <button aria-pressed=${isRecent} onClick=${() => setRecent(true)}>the last minute</button>
        <span class="muted">${isRecent ? "Counted while this page is open." : ""}</span>
      </div>
      <div class="page charts">
        <${Lags} />
        ${all.map(([name, histogram]) => html`<${Histogram} key=${name} name=${name} histogram=${histogram} />`)}
        ${all.length === 0 && html`<${Blank}>No histogram is kept.</${Blank}>`}
      </div>
    </main>
  `;
}

/** How far every way out is behind, now and within the last minute that this page has seen. */
function Lags() {
  const past = useRef(new Map());
  const { answer } = usePolled("/api/v1/sinks", POLL_MS, ({ sinks }) => {
    const [now, rate] = [performance.now() / 1000, rateOf(live.calls.values())];
    const rows = new Map();
    for (const { name, one } of waysOut(sinks)) {
      const seen = (past.current.get(name)?.seen ?? []).filter(({ at }) => at > now - RECENT_SECONDS);
      seen.push({ at: now, seconds: one.buffered / Math.max(1, one.calls ?? 1) / rate });
      rows.set(name, { seen, lost: dropped(one) / rate });
    }
    past.current = rows;
  });
  if (!answer) return null;
  return html`
    <${Sheet} title="Lag of the ways out" aside=${html`<span class="muted">of a call, on average</span>`}>
      <p class="meaning muted">Audio that is in the gateway and not yet passed on. About a frame, 0.1 to 0.2 s, is how it works; what grows is lost in the end.</p>
      <table class="books" data-lags>
        <thead><tr><th scope="col">Sink, subscriber</th>${["Now", "p50", "Worst", "Dropped"].map((words) => html`<th scope="col" class="number" key=${words}>${words}</th>`)}</tr></thead>
        <tbody>${[...past.current].map(([name, { seen, lost }]) => {
          const sorted = seen.map(({ seconds }) => seconds).sort((one, other) => one - other);
          return html`
            <tr key=${name}><th scope="row">${name}</th>
              <td class="number" data-head="Now">${lasting(seen.at(-1).seconds)}</td>
              <td class="number" data-head="p50">${lasting(sorted[sorted.length >> 1])}</td>
              <td class=${`number ${sorted.at(-1) > 1 ? "warning" : ""}`} data-head="Worst">${lasting(sorted.at(-1))}</td>
              <td class=${`number ${lost ? "critical" : ""}`} data-head="Dropped">${lost ? lasting(lost) : "–"}</td>
            </tr>`;
        })}</tbody>
      </table>
    </${Sheet}>
  `;
}

/** Sinks, and where there are subscribers, each of these instead. */
const waysOut = (sinks) =>
  sinks.flatMap((sink) =>
    sink.subscribers?.length
      ? sink.subscribers.map((reader) => ({ name: `${sink.name}, ${reader.consumer || "unnamed"} ${reader.address}`, one: reader }))
      : [{ name: sink.name, one: { ...sink.books, calls: sink.calls } }],
  );

/** Why a histogram can be empty though there are calls. */
const WHEN = {
  earhook_ingest_delay_seconds: "Nothing measured: calls posted over HTTPS tell it if their sender stamps requests with the time; the AudioHook protocol has no such stamps.",
};

/** What has been added to a histogram. */
function since(histogram, before) {
  if (!before || before.counts.length !== histogram.counts.length) return histogram;
  return {
    ...histogram,
    counts: histogram.counts.map((number, place) => Math.max(0, number - before.counts[place])),
    total: histogram.total - before.total,
  };
}

/** The upper bound below which such a share lies, interpolated within its bucket. */
function quantile({ bounds, counts }, share) {
  const wanted = share * counts.reduce((sum, number) => sum + number, 0);
  if (!wanted) return NaN;
  let seen = 0;
  for (const [place, number] of counts.entries()) {
    if (seen + number >= wanted && number) {
      const low = place ? bounds[place - 1] : 0;
      const high = bounds[place] ?? bounds.at(-1);
      return low + (high - low) * ((wanted - seen) / number);
    }
    seen += number;
  }
  return bounds.at(-1);
}

function Histogram({ name, histogram }) {
  const { counts, bounds, total } = histogram;
  const description = histogram.description.replaceAll("`", "");
  const number = counts.reduce((sum, one) => sum + one, 0);
  const figure = (share) => {
    const seconds = quantile(histogram, share);
    return Number.isNaN(seconds) ? "–" : `${seconds >= bounds.at(-1) ? "> " : ""}${lasting(seconds)}`;
  };
  const figures = [
    ["count", count(number)],
    ["mean", number ? lasting(total / number) : "–"],
    ["p50", figure(0.5)],
    ["p95", figure(0.95)],
    ["p99", figure(0.99)],
  ];
  const title = plain(name.replace(/^earhook_|_seconds$/g, ""));
  const aside = html`<code class="muted">${name}</code>`;
  if (!number) return html`<${Sheet} title=${title} aside=${aside}><p class="meaning muted">${description}</p><${Blank}>${WHEN[name] ?? "Nothing measured."}</${Blank}></${Sheet}>`;
  return html`
    <${Sheet} title=${title} aside=${aside}>
      <p class="meaning muted">${description}</p>
      <dl class="figures" data-histogram=${name}>${figures.map(([words, value]) => html`<div key=${words}><dt>${words}</dt><dd>${value}</dd></div>`)}</dl>
      <${Chart} histogram=${histogram} label=${`${description} ${figures.map((pair) => pair.join(" ")).join(", ")}`} />
    </${Sheet}>
  `;
}

/** Bars of equal width, one for each bucket: bounds of histograms grow by factors. */
function Chart({ histogram, label }) {
  const box = useRef(null);
  const plot = useRef(null);
  const latest = useRef(histogram);
  latest.current = histogram;
  useEffect(() => {
    const make = () => {
      plot.current?.destroy();
      plot.current = new uPlot(optionsFor(latest, box.current.clientWidth), columnsOf(latest.current), box.current);
    };
    make();
    const watcher = new ResizeObserver(() => plot.current.setSize({ width: box.current.clientWidth, height: CHART_HEIGHT }));
    watcher.observe(box.current);
    const leave = onTheme(make);
    return () => {
      leave();
      watcher.disconnect();
      plot.current.destroy();
    };
  }, []);
  useEffect(() => plot.current?.setData(columnsOf(histogram)), [histogram]);
  return html`<div class="chart" ref=${box} role="img" aria-label=${label}></div>`;
}

const columnsOf = ({ counts }) => [counts.map((_, place) => place), counts];

function optionsFor(latest, width) {
  const bound = (place) => {
    const { bounds } = latest.current;
    return place in bounds ? lasting(bounds[place]).replace(" ", "\u202f") : `> ${lasting(bounds.at(-1))}`;
  };
  const axis = { stroke: colour("muted"), grid: { stroke: colour("line"), width: 1 }, ticks: { show: false }, font: "11px system-ui" };
  return {
    width,
    height: CHART_HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    padding: [10, 12, 0, 0],
    scales: {
      x: { time: false, range: (_plot, low, high) => [low - 0.6, high + 0.6] },
      y: { range: (_plot, _low, high) => [0, Math.max(1, high * 1.08)] },
    },
    axes: [
      { ...axis, size: 26, grid: { show: false }, values: (_plot, places) => places.map((place) => (Number.isInteger(place) ? bound(place) : "")), space: 54, incrs: [1, 2, 3, 4, 5, 10] },
      { ...axis, size: 58, values: (_plot, numbers) => numbers.map((number) => (Number.isInteger(number) ? count(number) : "")) },
    ],
    series: [
      {},
      { fill: colour("customer"), stroke: colour("customer"), width: 0, paths: uPlot.paths.bars({ size: [0.82, 60] }), points: { show: false } },
    ],
  };
}
