// A canvas with one call on its time axis: which part of it is seen, and what pointer and keys do to that.

import { heightOf, LEFT, Painting } from "./painting.js";
import { onTheme } from "./theme.js";

const SHORTEST_SPAN_SECONDS = 0.5;

/**
 * @param canvas to draw on
 * @param read a function: {rate, end, story, envelope, gaps, playhead, hasMood}; `end` and `playhead`
 *   are positions, `gaps` are [position, samples, reason]
 */
export class Timeline {
  constructor(canvas, read, onChoose) {
    Object.assign(this, { canvas, read, onChoose });
    this.painting = new Painting(canvas.getContext("2d"));
    this.span = 60; // seconds on screen; Infinity: all of it
    this.from = null; // seconds at the left edge; null: the call's end stays in view
    this.pointer = null;
    this.chosen = undefined; // seconds
    this.asked = 0;
    this.leaveTheme = onTheme(() => {
      this.painting.forget();
      this.wake();
    });
    this.watcher = new ResizeObserver(() => this.resize());
    this.watcher.observe(canvas.parentElement);
    this.listenToPointer();
    canvas.addEventListener("keydown", (event) => this.press(event));
  }

  close() {
    this.watcher.disconnect();
    cancelAnimationFrame(this.asked);
    this.asked = -1;
    this.leaveTheme();
  }

  resize() {
    this.width = this.canvas.parentElement.clientWidth;
    this.fit(heightOf(this.read()));
    this.wake();
  }

  fit(height) {
    const ratio = devicePixelRatio || 1;
    this.height = height;
    this.canvas.width = Math.round(this.width * ratio);
    this.canvas.height = Math.round(height * ratio);
    this.canvas.style.height = `${height}px`;
    this.painting.context.setTransform(ratio, 0, 0, ratio, 0, 0);
  }

  wake() {
    this.asked ||= requestAnimationFrame(() => {
      this.asked = 0;
      this.draw();
    });
  }

  /** Show so many seconds; Infinity is the whole call. */
  zoom(seconds) {
    const { from, shown } = this.window();
    const middle = this.from === null ? null : from + shown / 2;
    this.span = Math.max(SHORTEST_SPAN_SECONDS, seconds);
    if (!Number.isFinite(seconds)) this.from = null;
    else if (middle !== null) this.pan(middle - seconds / 2);
    this.wake();
  }

  /** Put a moment into the middle. */
  lookAt(seconds) {
    const { shown } = this.window();
    this.pan(seconds - shown / 2);
    this.pointer = null;
    this.chosen = seconds;
  }

  follow() {
    this.from = null;
    this.wake();
  }

  pan(from) {
    const { whole, shown } = this.window();
    this.from = from >= whole - shown ? null : Math.max(0, from);
    this.wake();
  }

  window({ rate, end } = this.read()) {
    const whole = end / rate;
    const shown = Number.isFinite(this.span) ? this.span : Math.max(1, whole);
    const from = this.from ?? Math.max(0, whole - shown);
    return { rate, whole, shown, from };
  }

  listenToPointer() {
    const { canvas } = this;
    const secondsAt = (x) => {
      const { from, shown } = this.window();
      return from + ((x - LEFT) / (this.width - LEFT)) * shown;
    };
    let drag = null;
    canvas.addEventListener("pointerdown", (event) => {
      drag = { x: event.offsetX, from: this.window().from, moved: false };
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      this.pointer = event.offsetX;
      if (drag && Math.abs(event.offsetX - drag.x) > 3) {
        drag.moved = true;
        this.pan(drag.from - ((event.offsetX - drag.x) / (this.width - LEFT)) * this.window().shown);
      }
      this.wake();
    });
    canvas.addEventListener("pointerup", (event) => {
      if (drag && !drag.moved) this.onChoose?.(secondsAt(event.offsetX));
      drag = null;
    });
    canvas.addEventListener("pointerleave", () => { this.pointer = null; this.wake(); });
    canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.shiftKey) return;
      event.preventDefault();
      this.zoom(this.window().shown * (event.deltaY + event.deltaX > 0 ? 1.25 : 0.8));
    }, { passive: false });
  }

  press(event) {
    const { from, shown } = this.window();
    if (event.key === "ArrowLeft") this.pan(from - shown / 5);
    else if (event.key === "ArrowRight") this.pan(from + shown / 5);
    else if (event.key === "+" || event.key === "=") this.zoom(shown / 1.5);
    else if (event.key === "-") this.zoom(shown * 1.5);
    else if (event.key === "Home") this.pan(0);
    else if (event.key === "End") this.follow();
    else return;
    event.preventDefault();
  }

  draw() {
    if (!this.width) return;
    const scene = this.read();
    if (heightOf(scene) !== this.height) this.fit(heightOf(scene));
    this.painting.paint(this.width, { ...scene, ...this.window(scene) }, this.pointer, this.chosen);
  }
}
