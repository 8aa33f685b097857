// Bare ws: a listener on Node that answers `open` and counts frames, and nothing else.
//
//     node bare_ws.js [CERTIFICATE KEY]
//
// Prints `listening PORT`, and on SIGTERM `received FRAMES`, then ends.

import { readFileSync } from "node:fs";
import { createServer as createPlainServer } from "node:http";
import { createServer } from "node:https";

import { WebSocketServer } from "ws";

const LIFE_MILLISECONDS = 600_000; // it ends by itself after this long, whatever happens
const BACKLOG = 4096;

const [certificate, key] = process.argv.slice(2);
const server = certificate
  ? createServer({ cert: readFileSync(certificate), key: readFileSync(key) })
  : createPlainServer();
const listener = new WebSocketServer({ server, perMessageDeflate: false });
let frames = 0;

listener.on("connection", (socket) => {
  socket.on("error", () => {}); // calls are reset in the end
  socket.on("message", (payload, isBinary) => {
    if (isBinary) frames += 1;
    else socket.send(JSON.stringify(opened(JSON.parse(payload))));
  });
});

function opened(message) {
  return {
    version: "2",
    id: message.id,
    type: "opened",
    seq: 1,
    clientseq: 1,
    parameters: { media: message.parameters.media.slice(0, 1) },
  };
}

function stop() {
  console.log(`received ${frames}`);
  process.exit(0);
}

process.on("SIGTERM", stop);
setTimeout(stop, LIFE_MILLISECONDS);
server.listen({ port: 0, host: "127.0.0.1", backlog: BACKLOG }, () => {
  console.log(`listening ${server.address().port}`);
});
