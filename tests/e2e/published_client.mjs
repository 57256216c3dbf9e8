// A client that does as the published one in JavaScript does: it connects again after every close that no notice
// `session_ended` came before. It prints what it receives, a line each, and sends the lines of its input.
//
//     node --experimental-websocket published_client.mjs 'ws://127.0.0.1:8080/ws?user_id=…'
import { createInterface } from "node:readline";

const AGAIN = 100; // milliseconds
const input = createInterface({ input: process.stdin });
let socket;
let ended = false;

function open() {
  socket = new WebSocket(process.argv[2]);
  socket.onopen = () => console.log("open");
  socket.onmessage = ({ data }) => {
    const { type, content } = JSON.parse(data);
    if (typeof content !== "object") throw new TypeError(`content of ${type}`);
    ended ||= content.event === "session_ended";
    console.log(content.event ?? content.text);
  };
  socket.onerror = () => {};
  socket.onclose = () => {
    console.log("closed");
    if (ended) input.close();
    else setTimeout(open, AGAIN);
  };
}

input.on("line", (line) => socket.send(line));
input.on("close", () => process.exit());
open();
