// The page: a live view of the pipeline above an MQTT test client. Both servers are found beside the page itself, so
// the page also works below a path of a reverse proxy.

import "../style.css";
import { LiveView } from "./live-view.js";
import { MqttView } from "./mqtt-view.js";

function socketUrl(path) {
  const url = new URL(path, document.baseURI);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

const views = [new LiveView(socketUrl("ws")), new MqttView(socketUrl("mqtt"))];
for (const view of views) view.start();

// The network is back, or somebody looks again: no need to wait for the end of the back-off.
const hurry = () => views.forEach((view) => view.hurry());
window.addEventListener("online", hurry);
document.addEventListener("visibilitychange", () => document.hidden || hurry());
