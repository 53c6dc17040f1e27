// The live feed: a WebSocket at /ws that comes back by itself.
//
// Every message holds the whole state, so nothing has to be asked for again after a loss. A browser does not see the
// WebSocket's own pings; that the server is gone is noticed when the connection closes or a new one cannot be opened.

import { parseFeedMessage } from "./feed-message.js";
import { Reconnector } from "./reconnector.js";

const OPEN_TIMEOUT_MS = 10_000;

// message(state) gets what parseFeedMessage() returns; changed() is called when link has a new state.
export class Feed {
  constructor({ url, message, changed }) {
    this.url = url;
    this.message = message;
    this.socket = null;
    this.isDoubtful = false;
    this.link = new Reconnector({ open: () => this.#open(), changed });
  }

  start() {
    this.link.start();
  }

  #open() {
    const socket = new WebSocket(this.url);
    this.socket = socket;
    const timeout = setTimeout(() => socket.close(), OPEN_TIMEOUT_MS);
    socket.onopen = () => {
      clearTimeout(timeout);
      this.link.opened();
    };
    socket.onclose = ({ reason }) => {
      clearTimeout(timeout);
      this.link.lost(reason);
    };
    socket.onmessage = ({ data }) => this.#receive(data);
  }

  // A message that cannot be understood is left out; the first of a row is written to the console.
  #receive(data) {
    let state;
    try {
      state = parseFeedMessage(data);
    } catch (error) {
      if (!this.isDoubtful) console.warn("live feed: message left out:", error);
      this.isDoubtful = true;
      return;
    }
    this.isDoubtful = false;
    this.message(state);
  }
}
