// A timeline with its buttons, for a live call and for a recording alike.

import { html, Sheet, useEffect, useRef, useState } from "./pieces.js";
import { Timeline } from "./timeline.js";

const WINDOWS = [[15, "15 s"], [60, "1 min"], [300, "5 min"], [Infinity, "all"]];

/**
 * @param scene a function that gives what `Timeline` reads
 * @param handle a ref that gets the `Timeline`
 * @param span seconds shown at first
 */
export function TimelineView({ scene, handle, onChoose, isLive, span = 60, label }) {
  const canvas = useRef(null);
  const [shown, setShown] = useState(span);
  useEffect(() => {
    handle.current = new Timeline(canvas.current, scene, onChoose);
    handle.current.span = shown;
    return () => handle.current.close();
  }, []);
  const choose = (seconds) => {
    setShown(seconds);
    handle.current.zoom(seconds);
  };
  const aside = html`
    ${WINDOWS.map(([seconds, words]) => html`
      <button key=${words} aria-pressed=${shown === seconds} onClick=${() => choose(seconds)}>${words}</button>
    `)}
    ${isLive && html`<button onClick=${() => handle.current.follow()} title="Keep the end of the call in view (End)">now</button>`}
  `;
  return html`
    <${Sheet} title="Timeline" aside=${aside}>
      <div class="timeline"><canvas ref=${canvas} tabindex="0" role="img" aria-label=${label}></canvas></div>
      <${Legend} story=${scene().story} />
    </${Sheet}>
  `;
}

/** What is drawn, and how: [class of its sign, words]. */
const ALWAYS = [
  ["is-level", "level"], ["is-peak", "peak"], ["is-speech", "speaks"], ["is-overlap", "talk-over"], ["is-interruption", "interruption"],
  ["is-dead", "dead air"], ["is-pause", "paused"], ["is-gap", "gap"],
];
/** What not every call can have: the part of the story that must hold something. */
const SOMETIMES = [
  ...[["info", "note"], ["warning", "rule hit"], ["critical", "critical hit"]].map(([severity, words]) => [({ hasMood, hits }) => hasMood || hits.length, `is-flag ${severity}`, words]),
  [({ marks }) => marks.length, "is-key", "key pressed"],
  [({ spans }) => spans.some(({ kind }) => kind === "one_way"), "is-one-way", "one-way audio"],
  [({ spans }) => spans.some(({ kind }) => kind === "music" || kind === "tone"), "is-tone", "music, tone"],
  [({ hasMood }) => hasMood, "is-mood", "mood: lately (line), of a sentence (dot)"],
];

const Legend = ({ story }) => html`
  <p class="legend" aria-hidden="true">
    ${[...ALWAYS, ...SOMETIMES.filter(([isThere]) => isThere(story)).map(([, ...sign]) => sign)].map(([sign, words]) => html`<span class=${sign} key=${words}>${words}</span>`)}
  </p>
`;
