// Two connections of libdatachannel, by relays only: `node libdatachannel_pair.mjs MODULES URL USER PASSWORD`; see README.md.

import { createRequire } from 'node:module';
import path from 'node:path';

const [modules, url, username, password] = process.argv.slice(2);
const { PeerConnection, cleanup } = createRequire(path.resolve(modules, 'main.mjs'))('node-datachannel');

const PATIENCE = 20_000;
const LONG = Buffer.alloc(100_000, Uint8Array.from({ length: 256 }, (_, at) => at));

/** Says something as text, and something as bytes, and notes the lengths of what is said. */
function talk(channel, heard) {
  channel.onMessage((message) => {
    const isSaid = message === 'hello' || LONG.equals(Buffer.from(message));
    heard.push(isSaid ? message.length ?? message.byteLength : 'altered');
  });
  const say = () => {
    channel.sendMessage('hello');
    channel.sendMessageBinary(LONG);
  };
  if (channel.isOpen()) say();
  else channel.onOpen(say);
}

const ended = new Promise((resolve) => {
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, resolve);
});
const [, hostname, port] = url.match(/^turn:(.*):(\d+)\?transport=udp$/);
// It sends checks from its own sockets too. Relays do not let them in, as these have not the address of a relay.
const iceServers = [{ hostname, port: Number(port), username, password, relayType: 'TurnUdp' }];
const configuration = { iceServers, iceTransportPolicy: 'relay', bindAddress: '127.0.0.2' };
const pair = ['offerer', 'answerer'].map((name) => new PeerConnection(name, configuration));
const candidates = [];
const heard = [[], []];
for (const [at, connection] of pair.entries()) {
  const other = pair[1 - at];
  connection.onLocalDescription((sdp, type) => other.setRemoteDescription(sdp, type));
  connection.onLocalCandidate((candidate, mid) => {
    candidates.push(candidate);
    other.addRemoteCandidate(candidate, mid);
  });
}
pair[1].onDataChannel((channel) => talk(channel, heard[1]));
talk(pair[0].createDataChannel('chat'), heard[0]);
for (const last = Date.now() + PATIENCE; heard.some(({ length }) => length < 2) && Date.now() < last;) {
  await new Promise((resolve) => { setTimeout(resolve, 10); });
}
console.log(JSON.stringify({ candidates, heard }));
await ended;
for (const connection of pair) connection.close();
cleanup();
