// One call as it is told: events become spans, marks, sentences and hits on one axis of positions. Pure.

import { ENVELOPE_SPEAKS } from "./records.js";

/** Kinds of events that cover a span from `start` to `end`. */
const SPANS = new Set(["speech", "talk_over", "interruption", "dead_air_ended", "tone", "music", "clipping", "one_way_ended"]);
/** Kinds that begin a span which another kind ends. */
const BEGINNINGS = { dead_air: "dead_air_ended", one_way: "one_way_ended", paused: "resumed" };
/** Kinds that tell a gap: `start`, `samples` and the reason. */
const GAPS = new Set(["resumed", "discarded", "clock_jumped"]);
/** States of an analysis that goes on. */
export const AT_WORK = new Set(["started", "behind", "caught_up"]);

const SPEAKS = ENVELOPE_SPEAKS.external | ENVELOPE_SPEAKS.internal;

export class Story {
  constructor() {
    this.seen = new Set();
    /** [{kind, channel, start, end, details}], `end` null while it lasts */
    this.spans = [];
    /** [{position, channel, words}]: digits and other moments */
    this.marks = [];
    /** by segment, in order of their start: [{segment, channel, start, end, text, confidence, final, score}] */
    this.sentences = [];
    /** [{position, rule, name, severity, channel, start, end, evidence, action}] */
    this.hits = [];
    /** by channel: [{position, score, rolling}] */
    this.moods = { external: [], internal: [] };
    this.engine = null;
    this.summary = null;
  }

  /** Take an event; one that came before is passed over. */
  take(event) {
    const identity = JSON.stringify([event.type, event.position, event.details]);
    if (this.seen.has(identity)) return;
    this.seen.add(identity);
    const { type, position, details = {} } = event;
    const start = details.start ?? position;
    const end = details.end ?? (details.samples === undefined ? position : start + details.samples);
    if (type === "transcript") this.takeSentence(details, start, end);
    else if (type === "sentiment") this.takeMood(details, end);
    else if (type === "hit") this.hits.push({ ...details, position, start, end });
    else if (type === "dtmf") this.takeDigit(details, start);
    else if (type === "signal") this.summary = details.summary ?? details;
    else if (type === "analysis") this.engine = details;
    else if (type in BEGINNINGS) this.begin(type, start, details);
    else if (this.close(type, details, end)) return;
    else if (GAPS.has(type)) this.takeGap(start, end, details);
    else if (SPANS.has(type)) this.spans.push({ kind: type.replace("_ended", ""), channel: details.channel ?? null, start, end, details });
  }

  /** An event does not know its end yet; a sidecar, written afterwards, does. */
  begin(kind, start, details) {
    this.spans.push({ kind, channel: details.silent ?? null, start, end: details.end ?? null, details });
  }

  /** Whether moods are told at all. */
  get hasMood() {
    return this.engine !== null || Object.values(this.moods).some((moods) => moods.length > 0);
  }

  /** Whether a pause has begun and not ended. */
  get isPaused() {
    return this.spans.some(({ kind, end }) => kind === "paused" && end === null);
  }

  /** By how many seconds what was understood is behind what was spoken: about, for words end before speech does. */
  behindSeconds(rate) {
    if (!AT_WORK.has(this.engine?.state)) return 0;
    const told = this.engine.state === "behind" ? this.engine.behind_seconds ?? 0 : 0;
    const last = (all) => all.reduce((latest, { end }) => Math.max(latest, end ?? 0), 0);
    const spoken = last(this.spans.filter(({ kind }) => kind === "speech"));
    return Math.max(told, (spoken - last(this.sentences)) / rate);
  }

  /** Whether this event ends a span that is open. */
  close(type, details, end) {
    const open = this.spans.findLast(({ kind, end: ending }) => ending === null && BEGINNINGS[kind] === type);
    if (!open) return false;
    open.end = end;
    if (details.start !== undefined) open.start = details.start;
    return true;
  }

  takeGap(start, end, details) {
    if (end > start) this.spans.push({ kind: details.reason ?? "gap", channel: null, start, end, details });
  }

  takeDigit({ digit, channel, source }, position) {
    const words = digit ?? "•";
    // The peer says a digit and the ear hears it: one mark.
    const twin = this.marks.find((mark) => mark.digit && mark.source !== source && Math.abs(mark.position - position) < 8000);
    if (!twin) this.marks.push({ position, channel: channel ?? "external", words, digit: true, source });
  }

  takeSentence(details, start, end) {
    const sentence = { ...details, start, end };
    const place = this.sentences.findIndex(({ segment }) => segment === details.segment);
    if (place >= 0 && this.sentences[place].final && details.final === false) return; // it came late
    if (place >= 0) this.sentences[place] = { ...this.sentences[place], ...sentence };
    else {
      const after = this.sentences.findLastIndex((other) => other.start <= start);
      this.sentences.splice(after + 1, 0, sentence);
    }
  }

  takeMood({ segment, channel, score, rolling }, position) {
    const moods = this.moods[channel];
    if (!moods) return;
    moods.push({ position, score, rolling: rolling ?? score });
    const sentence = this.sentences.find((one) => one.segment === segment);
    if (sentence) sentence.score = score;
    else this.sentences.push({ segment, channel, start: position, end: position, text: "", score });
  }
}

const LONG_SECONDS = 10;

/** Where a hit is shown: where its words begin, or, if it covers more than words, where it was clear. */
export const placeOf = ({ start, end }, rate) => (end - start > LONG_SECONDS * rate ? end : start);

/** The envelope of a call: pieces in order of position, without overlap. Levels are dBFS, null where nothing is. */
export class Envelope {
  constructor() {
    this.pieces = [];
    /** Whether anybody says who speaks; only then is it drawn differently. */
    this.knowsSpeech = false;
  }

  get end() {
    const last = this.pieces.at(-1);
    return last ? last.position + last.samples : 0;
  }

  /** Take a piece; it replaces what was there before, and nothing beside it. */
  put(piece) {
    const { pieces } = this;
    this.knowsSpeech ||= Boolean(piece.flags & SPEAKS);
    if (piece.position >= this.end) {
      pieces.push(piece);
      return;
    }
    const [first, end] = [this.at(piece.position), piece.position + piece.samples];
    let last = first;
    while (last < pieces.length && pieces[last].position < end) last += 1;
    const kept = [piece];
    const [head, tail] = [pieces[first], pieces[last - 1]];
    if (last > first && head.position < piece.position) {
      kept.unshift({ ...head, samples: piece.position - head.position });
    }
    if (last > first && tail.position + tail.samples > end) {
      kept.push({ ...tail, position: end, samples: tail.position + tail.samples - end });
    }
    pieces.splice(first, last - first, ...kept);
  }

  /** The place of the first piece that ends after this position. */
  at(position) {
    let [low, high] = [0, this.pieces.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const { position: start, samples } = this.pieces[middle];
      if (start + samples > position) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** All of an answer of /api/v1/calls/<session>; null is what nobody measured. */
  putAll({ step, position, end = Infinity, external, internal }) {
    const number = Math.max(external?.rms?.length ?? 0, internal?.rms?.length ?? 0);
    for (let place = 0; place < number; place += 1) {
      if ([external, internal].every((channel) => (channel?.rms?.[place] ?? null) === null)) continue;
      const level = (channel) => ({ peak: channel?.peak?.[place] ?? 0, rms: channel?.rms?.[place] ?? 0 });
      const start = position + place * step;
      this.put({
        position: start, samples: Math.min(step, end - start), flags: 0,
        external: level(external), internal: level(internal),
      });
    }
  }
}

/** A stored level (2 × dBFS + 255, or 0) as dBFS. */
export const storedDecibels = (level) => (level ? (level - 255) / 2 : -Infinity);
