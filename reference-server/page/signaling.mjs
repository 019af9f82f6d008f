// The messages of PROTOCOL.md.

const PROTOCOL = 1;

export class Signaling extends EventTarget {
  /** Connects, and joins. Fails with what the server says, if it is not let in. */
  static async join(meeting, name) {
    const url = new URL('/signaling', location.href);
    url.protocol = url.protocol.replace('http', 'ws');
    const socket = new WebSocket(url);
    await new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onerror = () => reject(new Error('The server can’t be reached.'));
    });
    const signaling = new Signaling(socket);
    const joined = signaling.next('joined');
    signaling.send('join', { protocol: PROTOCOL, meeting, name, client: 'page', features: ['simulcast', 'layers'] });
    const { session, ice_servers: iceServers } = await joined;
    Object.assign(signaling, { session, iceServers });
    return signaling;
  }

  constructor(socket) {
    super();
    this.socket = socket;
    socket.onmessage = ({ data }) => this.#take(JSON.parse(data));
    socket.onclose = () => this.#say('closed', { reason: this.reason ?? 'connection' });
  }

  #take(message) {
    if (message.type === 'ended') this.reason = message.reason;
    this.#say(message.type, message);
  }

  #say(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  /** Calls `action` with each message of this type, or as `closed`. */
  on(type, action) {
    this.addEventListener(type, ({ detail }) => action(detail));
  }

  /** The next message of this type, unless an error or the end comes first. */
  next(type) {
    return new Promise((resolve, reject) => {
      this.addEventListener(type, ({ detail }) => resolve(detail), { once: true });
      this.addEventListener('error', ({ detail }) => reject(Object.assign(new Error(detail.message), detail)), { once: true });
      this.addEventListener('closed', () => reject(new Error('The connection has ended.')), { once: true });
    });
  }

  send(type, fields = {}) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ type, ...fields }));
  }

  close() {
    this.socket.onmessage = null;
    this.send('leave');
    this.socket.close();
  }
}
