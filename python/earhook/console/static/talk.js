// What was said and what is to be thought of it: transcript, rule hits, shares of talk.

import { Blank, html, moodClass, Sheet, useEffect, useRef } from "./pieces.js";
import { placeOf } from "./story.js";
import { CHANNELS, clock, count, decibels, lasting, moment, percent, signed, SPEAKER } from "./words.js";

const HUE = { external: "customer", internal: "agent" };

/** The conversation from top to bottom; it follows the end unless one has scrolled away from it. */
export function Transcript({ story, rate, missed, lookAt }) {
  const box = useRef(null);
  const follows = useRef(true);
  useEffect(() => {
    if (follows.current && box.current) box.current.scrollTop = box.current.scrollHeight;
  });
  const onScroll = ({ target }) => {
    follows.current = target.scrollTop + target.clientHeight > target.scrollHeight - 40;
  };
  const sentences = story.sentences.filter(({ text }) => text);
  const aside = html`<span class="muted">${story.engine ? `${story.engine.engine} ${story.engine.state}` : ""}</span>`;
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

/** Rule hits, the latest first; critical ones are said aloud. */
export function Hits({ story, rate, lookAt }) {
  const hits = story.hits.toReversed();
  const gravest = story.hits.findLast(({ severity }) => severity === "critical");
  return html`
    <${Sheet} title="Rule hits" aside=${html`<span class="muted">${hits.length || ""}</span>`}>
      <p class="unseen" role="alert">${gravest ? `Critical: ${gravest.name ?? gravest.rule}` : ""}</p>
      ${hits.length === 0
        ? html`<${Blank}>No rule was hit.</${Blank}>`
        : html`<ol class="hits scroll">${hits.map((hit) => html`
            <li key=${`${hit.rule} ${hit.position}`}>
              <button class="plain" onClick=${() => lookAt(placeOf(hit, rate))}>${clock(placeOf(hit, rate) / rate)}</button>
              <div>
                <span class=${`reason ${hit.severity}`}>${hit.name ?? hit.rule}</span>
                ${hit.channel && html` <span class=${HUE[hit.channel]}>${SPEAKER[hit.channel]}</span>`}
                ${hit.action && html` <span class="pill warning">${hit.action === "pause" ? "paused the recording" : hit.action}</span>`}
                ${evidenceOf(hit).map((words) => html`<div><q>${words}</q></div>`)}
              </div>
            </li>`)}
          </ol>`}
    </${Sheet}>
  `;
}

const evidenceOf = ({ evidence }) =>
  [evidence ?? []].flat().map((piece) => (typeof piece === "object" ? JSON.stringify(piece) : String(piece)));

/** Who talked how much and how loud. */
export function Talk({ facts, story, call }) {
  const summary = facts.summary?.summary ?? facts.summary ?? story.summary;
  const rows = [
    ["Talk", ({ talk }) => (talk === null ? "–" : percent(talk)), "talk_ratio", percent],
    ["Talk time", ({ talk }, seconds) => (talk === null ? "–" : lasting(talk * seconds)), "talk_seconds", lasting],
    ["Level", null, "rms_dbfs", decibels],
    ["Peak", null, "peak_dbfs", decibels],
    ["Clipped", null, "clipped_samples", count],
  ];
  const said = (channel, [, ofFeed, name, words]) => {
    const figure = summary?.[channel]?.[name] ?? summary?.channels?.[channel]?.[name];
    if (figure !== undefined && figure !== null) return words(figure);
    if (ofFeed && call) return ofFeed(call[channel], call.seconds);
    const level = facts.levels?.[channel];
    if (level && name === "rms_dbfs") return decibels(20 * Math.log10(level.rms / 32768));
    if (level && name === "peak_dbfs") return decibels(20 * Math.log10(level.peak / 32768));
    return "–";
  };
  return html`
    <${Sheet} title="Talk" aside=${!summary && html`<span class="muted">levels of this moment</span>`}>
      <table>
        <thead><tr><th></th>${CHANNELS.map((channel) => html`<th class=${`number ${HUE[channel]}`} scope="col" key=${channel}>${SPEAKER[channel]}</th>`)}</tr></thead>
        <tbody>${rows.map((row) => html`
          <tr key=${row[0]}><th scope="row">${row[0]}</th>${CHANNELS.map((channel) => html`<td class="number" key=${channel}>${said(channel, row)}</td>`)}</tr>`)}
        </tbody>
      </table>
      <dl class="figures">${momentsOf(story, facts.rate, call).map(([words, figure]) => html`<div key=${words}><dt>${words}</dt><dd>${figure}</dd></div>`)}</dl>
    </${Sheet}>
  `;
}

function momentsOf(story, rate, call) {
  const of = (kind) => story.spans.filter((span) => span.kind === kind);
  const longest = Math.max(0, ...of("dead_air").map(({ start, end }) => (end === null ? 0 : end - start)));
  return [
    ["talk-overs", count(call?.talkOvers ?? of("talk_over").length)],
    ["interruptions", count(call?.interruptions ?? of("interruption").length)],
    ["longest dead air", longest ? lasting(longest / rate) : "–"],
    ["digits", count(story.marks.filter(({ digit }) => digit).length)],
  ];
}
