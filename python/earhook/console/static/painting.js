// The picture of one call on one time axis: levels of both sides, what happened, what was felt.

import { colour } from "./theme.js";
import { ENVELOPE_GAP, ENVELOPE_SPEAKS } from "./records.js";
import { flagsOf, keysOf, wordsNear } from "./marks.js";
import { storedDecibels } from "./story.js";
import { clock, decibels, moment, plain, SPEAKER } from "./words.js";

const HEIGHT = { ruler: 22, flags: 16, marks: 20, side: 64, mood: 54, foot: 6 };
const TOP = HEIGHT.ruler + HEIGHT.flags + HEIGHT.marks;
const MIDDLE = TOP + HEIGHT.side;
const BOTTOM = MIDDLE + HEIGHT.side;
const MOOD_TOP = BOTTOM + 8;
/** Where time begins: names stand left of it. */
export const LEFT = 76;
const SHADE = 0.6 * HEIGHT.side;
const FLOOR_DB = -60;
const TIP_LINE = 16;
const TICKS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];
const FONT = '11px system-ui, "DejaVu Sans", sans-serif';

/** Of the whole picture. Where nobody tells moods, they have no lane. */
export const heightOf = ({ hasMood }) => (hasMood ? MOOD_TOP + HEIGHT.mood + HEIGHT.foot : BOTTOM + HEIGHT.foot);
const HATCH = {
  dead_air: ["warning", 135], one_way: ["critical", 135], paused: ["muted", 90], discarded: ["muted", 90],
  gap: ["critical", 45], missing: ["critical", 45], malformed: ["critical", 45], overrun: ["critical", 45], music: ["muted", 45], tone: ["muted", 45],
};

/** Draws with a 2D context; knows nothing of what moves or is asked. */
export class Painting {
  constructor(context) {
    this.context = context;
    this.hatches = new Map();
  }

  /** Colours have changed. */
  forget() {
    this.hatches.clear();
  }

  /**
   * @param width of the canvas in CSS pixels
   * @param scene what `Timeline` reads, and its window: {rate, whole, shown, from, hasMood}
   * @param pointer where it hovers, or null
   * @param chosen a moment in seconds that was asked for, or undefined
   */
  paint(width, scene, pointer, chosen) {
    const { context } = this;
    Object.assign(this, { width, scene, pointer, chosen });
    this.height = heightOf(scene);
    context.clearRect(0, 0, width, this.height);
    context.font = FONT;
    context.textBaseline = "middle";
    this.drawRuler();
    context.save();
    context.beginPath();
    context.rect(LEFT, 0, width - LEFT, this.height);
    context.clip();
    this.drawSpans();
    this.drawTalk();
    this.drawEnvelope();
    if (scene.hasMood) this.drawMoods();
    this.drawFlags();
    this.drawMarks();
    this.drawCursors();
    context.restore();
    this.drawNames();
    this.drawTip();
  }

  x(seconds) {
    const { from, shown } = this.scene;
    return LEFT + ((seconds - from) / shown) * (this.width - LEFT);
  }

  /** The two edges of a span on screen, or null if it is outside. */
  edges(start, end) {
    const { rate, whole } = this.scene;
    const left = this.x(start / rate);
    const right = Math.max(left + 1.5, this.x(end === null ? whole : end / rate));
    return right < LEFT || left > this.width ? null : [Math.max(LEFT, left), Math.min(this.width, right)];
  }

  drawRuler() {
    const { context, scene: { from, shown, whole } } = this;
    const step = TICKS.find((tick) => (tick / shown) * (this.width - LEFT) >= 64) ?? 14400;
    for (let at = Math.ceil(from / step) * step; at <= from + shown; at += step) {
      const x = Math.round(this.x(at)) + 0.5;
      const words = step < 1 ? moment(at + 1e-6) : clock(at + 1e-6);
      const isLast = x + 4 + context.measureText(words).width > this.width;
      context.fillStyle = colour(at > whole ? "faint" : "muted");
      context.textAlign = isLast ? "right" : "left";
      context.fillText(words, isLast ? x - 4 : x + 4, HEIGHT.ruler / 2);
      this.line(x, 4, x, BOTTOM, "line");
    }
  }

  drawNames() {
    const { context, scene: { hasMood } } = this;
    const [mood, reach] = [MOOD_TOP + HEIGHT.mood / 2, HEIGHT.mood / 2 - 6];
    const scale = [["+1", mood - reach], ["0", mood], ["−1", mood + reach]];
    for (const [words, hue, y, align] of [
      [SPEAKER.external, "customer", TOP + HEIGHT.side / 2],
      [SPEAKER.internal, "agent", MIDDLE + HEIGHT.side / 2],
      ...(hasMood ? [["Mood", "muted", mood], ...scale.map(([words, y]) => [words, "muted", y, "right"])] : []),
    ]) {
      context.fillStyle = colour(hue);
      context.textAlign = align ?? "left";
      context.fillText(words, align ? LEFT - 6 : 12, y);
    }
    this.line(0, MIDDLE + 0.5, this.width, MIDDLE + 0.5, "faint");
    if (hasMood) this.line(0, BOTTOM + 4.5, this.width, BOTTOM + 4.5, "line");
  }

  /** What lies behind the levels: pauses, gaps, silence, both at once. */
  drawSpans() {
    const { context, scene: { story, gaps } } = this;
    const all = [...story.spans, ...untold(gaps, story.spans)];
    for (const { kind, channel, start, end } of all) {
      const edges = this.edges(start, end);
      if (!edges) continue;
      const [left, right] = edges;
      const top = channel === "internal" ? MIDDLE : TOP;
      const height = channel && kind !== "talk_over" ? HEIGHT.side : 2 * HEIGHT.side;
      if (kind === "talk_over") {
        context.globalAlpha = 0.28;
        context.fillStyle = colour("overlap");
      } else if (HATCH[kind]) {
        context.globalAlpha = 0.4;
        context.fillStyle = this.hatch(...HATCH[kind]);
      } else continue;
      context.fillRect(left, top, right - left, height);
      context.globalAlpha = 1;
    }
  }

  hatch(hue, angle) {
    const key = `${hue} ${angle}`;
    if (!this.hatches.has(key)) {
      const tile = document.createElement("canvas");
      tile.width = tile.height = 8;
      const pen = tile.getContext("2d");
      pen.strokeStyle = colour(hue);
      pen.lineWidth = 1.5;
      pen.beginPath();
      const strokes = { 90: [[2, 0, 2, 8], [6, 0, 6, 8]], 135: [[-2, 2, 2, -2], [0, 8, 8, 0], [6, 10, 10, 6]], 45: [[-2, 6, 2, 10], [0, 0, 8, 8], [6, -2, 10, 2]] };
      for (const [ax, ay, bx, by] of strokes[angle]) {
        pen.moveTo(ax, ay);
        pen.lineTo(bx, by);
      }
      pen.stroke();
      this.hatches.set(key, this.context.createPattern(tile, "repeat"));
    }
    return this.hatches.get(key);
  }

  drawEnvelope() {
    const { context, scene: { envelope, rate, from, shown } } = this;
    const { pieces } = envelope;
    const first = envelope.at(from * rate);
    const limit = (from + shown) * rate;
    for (const [channel, hue, direction] of [["external", "customer", -1], ["internal", "agent", 1]]) {
      context.fillStyle = colour(hue);
      let column = null; // pieces that fall on one pixel are drawn as their loudest
      for (let place = first; place <= pieces.length; place += 1) {
        const piece = pieces[place];
        const isInside = piece && piece.position < limit;
        const left = isInside ? Math.floor(this.x(piece.position / rate)) : Infinity;
        if (column && left > column.left) {
          this.drawColumn(column, Math.min(left, column.right), direction);
          column = null;
        }
        if (!isInside) break;
        if (piece.flags & ENVELOPE_GAP) continue;
        const right = Math.max(left + 1, Math.ceil(this.x((piece.position + piece.samples) / rate)));
        const speaks = !envelope.knowsSpeech || Boolean(piece.flags & ENVELOPE_SPEAKS[channel]);
        const { peak, rms } = piece[channel];
        if (!column) column = { left, right, peak, rms, speaks };
        else {
          column = { left: column.left, right: Math.max(right, column.right), peak: Math.max(peak, column.peak), rms: Math.max(rms, column.rms), speaks: speaks || column.speaks };
        }
      }
    }
    context.globalAlpha = 1;
  }

  drawColumn({ left, peak, rms, speaks }, right, direction) {
    const { context } = this;
    const width = right - left - (right - left > 4 ? 1 : 0);
    const tall = (level) => Math.max(0, 1 - storedDecibels(level) / FLOOR_DB) * (HEIGHT.side - 5);
    for (const [level, strength] of [[peak, 0.3], [rms, 0.95]]) {
      const height = Number.isFinite(tall(level)) ? tall(level) : 0;
      context.globalAlpha = strength * (speaks ? 1 : 0.55);
      context.fillRect(left, direction < 0 ? MIDDLE - 2 - height : MIDDLE + 3, width, height);
    }
  }

  /** Who spoke: a line along the middle, and a shade, for there may be no levels. */
  drawTalk() {
    const { context, scene: { story } } = this;
    for (const { kind, channel, start, end } of story.spans) {
      const edges = kind === "speech" && this.edges(start, end);
      if (!edges) continue;
      context.fillStyle = colour(channel === "internal" ? "agent" : "customer");
      const [left, width] = [edges[0], edges[1] - edges[0]];
      context.fillRect(left, channel === "internal" ? MIDDLE + 1 : MIDDLE - 2, width, 2);
      context.globalAlpha = 0.16;
      context.fillRect(left, channel === "internal" ? MIDDLE + 3 : MIDDLE - 2 - SHADE, width, SHADE);
      context.globalAlpha = 1;
    }
  }

  drawMoods() {
    const { context, scene: { story, rate } } = this;
    const middle = MOOD_TOP + HEIGHT.mood / 2;
    const y = (score) => middle - score * (HEIGHT.mood / 2 - 6);
    this.line(LEFT, middle + 0.5, this.width, middle + 0.5, "line");
    for (const [channel, hue] of [["internal", "agent"], ["external", "customer"]]) {
      const moods = story.moods[channel];
      if (!moods.length) continue;
      context.strokeStyle = context.fillStyle = colour(hue);
      context.lineWidth = 1.5;
      context.beginPath();
      context.moveTo(this.x(0), middle);
      for (const { position, rolling } of moods) context.lineTo(this.x(position / rate), y(rolling));
      context.stroke();
      for (const { position, score } of moods) {
        context.beginPath();
        context.arc(this.x(position / rate), y(score), 2.2, 0, 7);
        context.globalAlpha = 0.6;
        context.fill();
        context.globalAlpha = 1;
      }
    }
  }

  /** Rule hits. Flags that would cover each other are one, with their number. */
  drawFlags() {
    const { context, scene: { story, rate } } = this;
    context.textAlign = "left";
    for (const { x: at, members, severity } of flagsOf(story, rate, (seconds) => this.x(seconds))) {
      for (const { hit, x } of members) this.line(Math.round(x) + 0.5, HEIGHT.ruler + 3, Math.round(x) + 0.5, BOTTOM, hueOf(hit.severity));
      if (at < LEFT) continue; // half a flag would tell nothing
      const x = Math.round(at) + 0.5;
      context.fillStyle = colour(hueOf(severity));
      this.shape([[x, HEIGHT.ruler + 2], [x + 11, HEIGHT.ruler + 6.5], [x, HEIGHT.ruler + 11]]);
      if (members.length > 1) context.fillText(members.length, Math.round(members.at(-1).x) + 13, HEIGHT.ruler + 7);
    }
  }

  /** Keys and interruptions, in the lane between flags and levels. */
  drawMarks() {
    const { context, scene: { story, rate } } = this;
    const middle = HEIGHT.ruler + HEIGHT.flags + HEIGHT.marks / 2;
    context.textAlign = "center";
    for (const { x, last, words } of keysOf(story, rate, (seconds) => this.x(seconds))) {
      const width = context.measureText(words).width + 8;
      context.fillStyle = colour("raised");
      context.fillRect((x + last - width) / 2, middle - 8, width, 16);
      context.fillStyle = colour("text");
      context.fillText(words, (x + last) / 2, middle + 0.5);
    }
    for (const { kind, start, details } of story.spans) {
      if (kind !== "interruption") continue;
      context.fillStyle = colour("overlap");
      const x = this.x(start / rate);
      const down = details.by === "external" ? -1 : 1;
      this.shape([[x - 4, middle - 3 * down], [x + 4, middle - 3 * down], [x, middle + 4 * down]]);
    }
  }

  drawCursors() {
    const { context, scene: { playhead, rate } } = this;
    if (this.chosen !== undefined) this.line(this.x(this.chosen), 0, this.x(this.chosen), BOTTOM, "accent");
    if (playhead !== undefined && playhead !== null) {
      const x = this.x(playhead / rate);
      context.lineWidth = 2;
      this.line(x, 0, x, this.height, "accent");
    }
    if (this.pointer === null || this.pointer < LEFT) return;
    this.line(this.pointer + 0.5, 0, this.pointer + 0.5, this.height, "muted");
  }

  /** What is under the pointer, in words: the moment, and a line for each mark near it. */
  drawTip() {
    const { context, pointer: x, scene: { from, shown, story, rate } } = this;
    if (x === null || x < LEFT) return;
    const seconds = from + ((x - LEFT) / (this.width - LEFT)) * shown;
    const lines = [this.wordsAt(seconds), ...wordsNear(story, rate, (at) => this.x(at), x)];
    const width = Math.min(this.width, Math.max(...lines.map((line) => context.measureText(line).width)) + 16);
    const beside = x + width + 12 > this.width ? x - width - 8 : x + 8;
    const left = Math.max(0, Math.min(this.width - width, beside));
    context.fillStyle = colour("raised");
    context.fillRect(left, 1, width, lines.length * TIP_LINE + 4);
    context.fillStyle = colour("text");
    context.textAlign = "left";
    for (const [place, line] of lines.entries()) context.fillText(line, left + 8, 11 + place * TIP_LINE, width - 16);
  }

  /** What there is at a moment, in words. */
  wordsAt(seconds) {
    const { rate, envelope, story, gaps } = this.scene;
    const position = seconds * rate;
    const piece = envelope.pieces[envelope.at(position)];
    const words = [moment(seconds)];
    if (piece && piece.position <= position) {
      const levels = piece.flags & ENVELOPE_GAP ? [] : Object.entries(SPEAKER);
      for (const [channel, name] of levels) words.push(`${name} ${decibels(storedDecibels(piece[channel].rms))}`);
    }
    for (const { kind, start, end } of [...story.spans, ...untold(gaps, story.spans)]) {
      const isSaid = kind === "speech" || kind === "interruption";
      if (!isSaid && start <= position && (end ?? Infinity) >= position) words.push(plain(kind));
    }
    return words.join("   ");
  }

  line(ax, ay, bx, by, hue) {
    const { context } = this;
    context.strokeStyle = colour(hue);
    context.beginPath();
    context.moveTo(ax, ay);
    context.lineTo(bx, by);
    context.stroke();
    context.lineWidth = 1;
  }

  shape(points) {
    const { context } = this;
    context.beginPath();
    for (const [x, y] of points) context.lineTo(x, y);
    context.fill();
  }
}

const hueOf = (severity) => (severity === "critical" || severity === "warning" ? severity : "muted");

/** Gaps as spans, without those that an event has told already. */
const untold = (gaps, spans) =>
  gaps
    .map(([start, samples, kind]) => ({ start, end: start + samples, kind: kind in HATCH ? kind : "gap" }))
    .filter((gap) => !spans.some((span) => span.kind === gap.kind && span.start < gap.end && (span.end ?? Infinity) > gap.start));
