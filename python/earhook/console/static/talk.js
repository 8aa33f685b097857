// What was said and what is to be thought of it: transcript, rule hits, shares of talk.

import { Blank, html, moodClass, Sheet, useEffect, useRef } from "./pieces.js";
import { AT_WORK, placeOf } from "./story.js";
import { CHANNELS, clock, count, decibels, lasting, moment, percent, signed, SPEAKER } from "./words.js";

const BEHIND_SECONDS = 5;
const HUE = { external: "customer", internal: "agent" };

/** A box that follows its end unless one has scrolled away from it: [its ref, its onScroll]. */
function useEnd(isWanted) {
  const box = useRef(null);
  const follows = useRef(true);
  useEffect(() => {
    if (isWanted && follows.current && box.current) box.current.scrollTop = box.current.scrollHeight;
  });
  return [box, ({ target }) => {
    follows.current = target.scrollTop + target.clientHeight > target.scrollHeight - 40;
  }];
}

/** The conversation from top to bottom; it follows the end. */
export function Transcript({ story, rate, missed, lookAt }) {
  const [box, onScroll] = useEnd(true);
  const sentences = story.sentences.filter(({ text }) => text);
  const aside = html`<${Late} story=${story} rate=${rate} /><span class="muted">${story.engine ? `${story.engine.engine} ${AT_WORK.has(story.engine.state) ? "at work" : story.engine.state}` : ""}</span>`;
  return html`
    <${Sheet} title="Transcript" aside=${aside}>
      ${missed > 0 && html`<p class="notice">${count(missed)} older events are no longer kept.</p>`}
      ${sentences.length === 0
        ? html`<${Blank}>Nothing transcribed. <code>earhook analyze</code> adds transcripts, moods and rule hits.</${Blank}>`
        : html`
          <ol class="transcript scroll" ref=${box} onScroll=${onScroll} role="log" aria-label="Transcript" tabindex="0">
            ${sentences.map((sentence) => html`<${Sentence} key=${sentence.segment} ...${{ sentence, story, rate, lookAt }} />`)}
          </ol>`}
    </${Sheet}>
  `;
}

/** What of the call is not in the transcript: left out for good, or not yet there. */
function Late({ story, rate }) {
  const left = story.engine?.dropped_seconds ?? 0;
  const behind = story.behindSeconds(rate);
  const words = [
    ...(behind >= BEHIND_SECONDS ? [`about ${Math.round(behind)} s behind`] : []),
    ...(left > 0 ? [`${lasting(left)} of audio left out`] : []),
  ];
  return words.length > 0 && html`<span class="warning" role="status" title="The analysis was too slow, or had to leave audio out to keep up.">${words.join(", ")}</span>`;
}

function Sentence({ sentence, story, rate, lookAt }) {
  const { channel, start, end, text, final, score } = sentence;
  const hits = story.hits.filter((hit) => hit.channel === channel && hit.start >= start && hit.end <= end);
  return html`
    <li class=${final === false ? "interim" : ""}>
      <button onClick=${() => lookAt(start)} aria-label=${`Show ${moment(start / rate)} on the timeline`}>${clock(start / rate)}</button>
      <b class=${HUE[channel]}>${SPEAKER[channel]}</b>
      <span>${text}</span>
      <span class=${`score ${moodClass(score)}`} title="Mood of this sentence, −1 to 1">${score ? signed(score, 2) : ""}</span>
      ${hits.map((hit) => html`<span class=${`hit ${hit.severity}`} key=${hit.rule}>▸ ${hit.name ?? hit.rule}</span>`)}
    </li>
  `;
}

/** Rule hits in the order of their places in the call; critical ones are said aloud. */
export function Hits({ story, rate, lookAt, isLive }) {
  const [box, onScroll] = useEnd(isLive);
  const hits = story.hits.toSorted((one, other) => placeOf(one, rate) - placeOf(other, rate));
  const gravest = story.hits.findLast(({ severity }) => severity === "critical");
  return html`
    <${Sheet} title="Rule hits" aside=${html`<span class="muted">${hits.length || ""}</span>`}>
      <p class="unseen" role="alert">${gravest ? `Critical: ${gravest.name ?? gravest.rule}` : ""}</p>
      ${hits.length === 0
        ? html`<${Blank}>No rule was hit.</${Blank}>`
        : html`<ol class="hits scroll" ref=${box} onScroll=${onScroll} tabindex="0" aria-label="Rule hits in the order of the call">${hits.map((hit) => html`
            <li key=${`${hit.rule} ${hit.position}`}>
              <button class="plain" onClick=${() => lookAt(placeOf(hit, rate))}>${clock(placeOf(hit, rate) / rate)}</button>
              <div>
                <span class=${`reason ${hit.severity}`}>${hit.name ?? hit.rule}</span>
                ${hit.channel && html` <span class=${HUE[hit.channel]}>${SPEAKER[hit.channel]}</span>`}
                ${hit.action && html` <span class="pill warning">${hit.action === "pause" ? "paused the recording" : hit.action}</span>`}
                ${evidenceOf(hit).map((words) => html`<div>${isSpoken(words, story) ? html`<q>${words}</q>` : html`<span class="muted">${words}</span>`}</div>`)}
              </div>
            </li>`)}
          </ol>`}
    </${Sheet}>
  `;
}

const evidenceOf = ({ evidence }) =>
  [evidence ?? []].flat().map((piece) => (typeof piece === "object" ? JSON.stringify(piece) : String(piece)));

/** Evidence is words of the call, or figures and what a rule says of it. */
const isSpoken = (words, { sentences }) => {
  const wanted = words.toLowerCase();
  return sentences.some(({ text }) => text?.toLowerCase().includes(wanted));
};

const LINES = [
  ["Talk", "talk_ratio", percent],
  ["Talk time", "talk_seconds", lasting],
  ["Level", "rms_dbfs", decibels],
  ["Peak", "peak_dbfs", decibels],
  ["Clipped", "clipped_samples", (samples) => `${count(samples)} ${samples === 1 ? "sample" : "samples"}`],
];

/** Who talked how much and how loud: of the call so far or of all of it, and at this moment. */
export function Talk({ facts, story, call }) {
  const figures = facts.summary?.summary ?? facts.summary ?? story.summary ?? facts.signal?.so_far;
  const isLive = facts.state !== "ended";
  const said = (channel, [, name, words]) => {
    const figure = figures?.channels?.[channel]?.[name] ?? (call && fromFeed(call, channel)[name]);
    return figure === undefined || figure === null ? "–" : words(figure);
  };
  const aside = html`<span class="muted">${figures ? (isLive ? "the call so far" : "the whole call") : "not measured"}</span>`;
  return html`
    <${Sheet} title="Talk" aside=${aside}>
      <table>
        <thead><tr><th></th>${CHANNELS.map((channel) => html`<th class=${`number ${HUE[channel]}`} scope="col" key=${channel}>${SPEAKER[channel]}</th>`)}</tr></thead>
        <tbody>
          ${LINES.map((line) => html`
            <tr key=${line[0]}><th scope="row">${line[0]}</th>${CHANNELS.map((channel) => html`<td class="number" key=${channel}>${said(channel, line)}</td>`)}</tr>`)}
          ${isLive && html`<tr class="moment"><th scope="row">Level now</th>${CHANNELS.map((channel) => html`<td class="number muted" key=${channel}>${levelNow(facts, channel)}</td>`)}</tr>`}
        </tbody>
      </table>
      <dl class="figures">${momentsOf(story, facts.rate, call, figures).map(([words, figure]) => html`<div key=${words}><dt>${words}</dt><dd>${figure}</dd></div>`)}</dl>
    </${Sheet}>
  `;
}

const fromFeed = (call, channel) => {
  const { talk } = call[channel];
  return talk === null ? {} : { talk_ratio: talk, talk_seconds: talk * call.seconds };
};

function levelNow({ signal, levels }, channel) {
  const measured = signal?.now?.levels?.[channel]?.rms_dbfs;
  if (measured !== undefined) return decibels(measured);
  const level = levels?.[channel];
  return level ? decibels(20 * Math.log10(level.rms / 32768)) : "–";
}

function momentsOf(story, rate, call, figures) {
  const of = (kind) => story.spans.filter((span) => span.kind === kind);
  const longest = Math.max(0, ...of("dead_air").map(({ start, end }) => (end === null ? 0 : end - start))) / rate;
  const silence = figures?.longest_dead_air_seconds ?? longest;
  const cuts = figures?.interruptions && Object.values(figures.interruptions).reduce((sum, number) => sum + number, 0);
  return [
    ["talk-overs", count(call?.talkOvers ?? of("talk_over").length)],
    ["interruptions", count(cuts ?? call?.interruptions ?? of("interruption").length)],
    ["longest dead air", silence ? lasting(silence) : "–"],
    ["keys", count(story.marks.filter(({ digit }) => digit).length)],
  ];
}
