// Listening to a live call: the customer on the left ear, the agent on the right.

import { html, useEffect, useRef, useState } from "./pieces.js";
import { openSocket } from "./api.js";

const HEAD_START_SECONDS = 0.4;
const HEADER_BYTES = 8; // the position
const SIDE = { external: 0, internal: 1 };

/** Plays what one WebSocket of /api/v1/listen brings, piece after piece. */
class Hearing {
  constructor(session, onEnd) {
    this.onEnd = onEnd;
    this.audio = null;
    this.due = 0;
    this.socket = openSocket(`/api/v1/listen/${encodeURIComponent(session)}`);
    this.socket.onmessage = ({ data }) => (typeof data === "string" ? this.hear(JSON.parse(data)) : this.play(data));
    this.socket.onclose = () => this.end("");
    this.socket.onerror = () => this.end("refused");
  }

  hear(message) {
    if (message.type === "format") {
      this.channels = message.channels;
      this.audio = new AudioContext({ sampleRate: message.rate });
    } else if (message.type === "end") this.end("the call has ended");
  }

  play(message) {
    if (!this.audio) return;
    const samples = new DataView(message, HEADER_BYTES);
    const width = this.channels.length;
    const length = Math.floor(samples.byteLength / 2 / width);
    if (!length) return;
    const piece = this.audio.createBuffer(2, length, this.audio.sampleRate);
    for (const [lane, channel] of this.channels.entries()) {
      const out = piece.getChannelData(SIDE[channel] ?? 0);
      for (let at = 0; at < length; at += 1) out[at] = samples.getInt16((at * width + lane) * 2, true) / 32768;
    }
    const source = this.audio.createBufferSource();
    source.buffer = piece;
    source.connect(this.audio.destination);
    // Late, or the first one: begin anew with some audio in hand.
    if (this.due < this.audio.currentTime) this.due = this.audio.currentTime + HEAD_START_SECONDS;
    source.start(this.due);
    this.due += piece.duration;
  }

  end(words) {
    if (this.isOver) return;
    this.isOver = true;
    this.socket.close();
    this.audio?.close();
    this.onEnd(words);
  }
}

export function ListenButton({ session }) {
  const hearing = useRef(null);
  const [state, setState] = useState({ isOn: false, words: "" });
  const stop = () => hearing.current?.end("");
  useEffect(() => stop, [session]);
  const toggle = () => {
    if (state.isOn) return stop();
    hearing.current = new Hearing(session, (words) => setState({ isOn: false, words }));
    setState({ isOn: true, words: "" });
  };
  return html`
    <span class="muted" role="status">${state.isOn ? "listening; this is logged" : state.words}</span>
    <button onClick=${toggle} aria-pressed=${state.isOn} title="Customer left, agent right. Each listening is logged.">
      ${state.isOn ? "■ Stop listening" : "▶ Listen live"}
    </button>
  `;
}
