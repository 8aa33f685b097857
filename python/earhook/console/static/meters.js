// Both levels of every call on screen, drawn on one canvas above the rows.

import { colour, onTheme } from "./theme.js";
import { FLAG } from "./records.js";

const LOWEST_DB = -60;
const STORED_OFFSET = 127; // levels travel as dBFS + 127
const BAR = 6;
const FALL_PER_SECOND = 3.2; // of the whole scale: quick up, slower down, as meters of old

const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;

/**
 * Draws while something moves and rests otherwise.
 *
 * @param canvas lies over the column of meters, as high as what is seen of the list
 * @param visible a function: [[call, y of its row's top on the canvas], …]
 */
export class Meters {
  constructor(canvas, rowHeight, visible) {
    this.canvas = canvas;
    this.rowHeight = rowHeight;
    this.visible = visible;
    this.context = canvas.getContext("2d");
    this.asked = 0;
    this.before = 0;
    this.leaveTheme = onTheme(() => this.wake());
  }

  /** Take a size in CSS pixels. */
  resize(width, height) {
    const ratio = devicePixelRatio || 1;
    Object.assign(this, { width, height });
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    Object.assign(this.canvas.style, { width: `${width}px`, height: `${height}px` });
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.wake();
  }

  /** Something has changed. */
  wake() {
    if (this.asked) return;
    this.before = performance.now();
    this.asked = requestAnimationFrame((now) => this.draw(now));
  }

  close() {
    cancelAnimationFrame(this.asked);
    this.asked = -1;
    this.leaveTheme();
  }

  draw(now) {
    this.asked = 0;
    const fall = isStill ? 1 : (FALL_PER_SECOND * Math.min(100, now - this.before)) / 1000;
    this.before = now;
    const { context, width, height, rowHeight } = this;
    context.clearRect(0, 0, width, height);
    let moves = false;
    for (const [call, top] of this.visible()) {
      const middle = top + rowHeight / 2;
      if (call.flags & FLAG.paused) {
        this.pause(middle);
        continue;
      }
      moves = this.bar(call, call.external, middle - BAR - 1, "customer", fall) || moves;
      moves = this.bar(call, call.internal, middle + 1, "agent", fall) || moves;
    }
    if (moves) {
      this.asked = requestAnimationFrame((later) => this.draw(later));
    }
  }

  /** Nothing is heard, and nothing should be. */
  pause(middle) {
    const { context } = this;
    context.fillStyle = colour("faint");
    for (let x = 0; x < this.width; x += 6) context.fillRect(x, middle - BAR - 1, 1.5, 2 * BAR + 2);
  }

  /** One channel. Says whether it still moves. */
  bar(call, channel, y, hue, fall) {
    const { context, width } = this;
    const silent = call.flags & FLAG.ended;
    const rms = silent ? 0 : share(channel.rms);
    const peak = silent ? 0 : share(channel.peak);
    channel.shownRms = towards(channel.shownRms, rms, fall);
    channel.shownPeak = towards(channel.shownPeak, peak, fall / 3);
    context.fillStyle = colour("raised");
    context.fillRect(0, y, width, BAR);
    context.fillStyle = colour(hue);
    context.globalAlpha = channel.speaking ? 1 : 0.45;
    context.fillRect(0, y, channel.shownRms * width, BAR);
    context.globalAlpha = 0.8;
    if (channel.shownPeak > 0.01) context.fillRect(channel.shownPeak * width - 1.5, y, 1.5, BAR);
    context.globalAlpha = 1;
    if (channel.clipping && !silent) {
      context.fillStyle = colour("critical");
      context.fillRect(width - 4, y, 4, BAR);
    }
    return channel.shownRms !== rms || channel.shownPeak !== peak;
  }
}

function share(level) {
  if (!level) return 0;
  return Math.max(0, Math.min(1, (level - STORED_OFFSET - LOWEST_DB) / -LOWEST_DB));
}

function towards(shown, wanted, fall) {
  return wanted >= shown ? wanted : Math.max(wanted, shown - fall);
}
