// libdatachannel as a client of examples/echo: `node libdatachannel_client.mjs MODULES URL HOW`; see README.md.

import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import path from 'node:path';

const [modules, url, how] = process.argv.slice(2);
const { Audio, PeerConnection, Video, cleanup } = createRequire(path.resolve(modules, 'main.mjs'))('node-datachannel');

const WANTED = 100;
const PATIENCE = 20_000;
const LONG = Buffer.alloc(100_000, Uint8Array.from({ length: 256 }, (_, at) => at));
const VP8 = 96;
const OPUS = 111;

/** What comes with a number, so that it can be checked without being kept: of any length up to 1,200 bytes. */
function payload(kind, number) {
  const digest = createHash('sha256').update(`${kind} ${number}`).digest();
  return Buffer.alloc(40 + (digest.readUInt16BE(0) % 1160), digest);
}

/** RTP packets of one section, sent as they are, and those that came back. */
class Stream {
  constructor(kind, track, payloadType, ssrc) {
    Object.assign(this, { kind, track, payloadType, ssrc, altered: 0 });
    this.sent = new Set();
    this.returned = new Set();
    this.sources = new Set();
    track.onMessage((packet) => this.take(packet));
  }

  send() {
    const number = this.sent.size;
    if (number >= WANTED || !this.track.isOpen()) return;
    const header = Buffer.alloc(12);
    header.writeUInt8(0x80, 0);
    header.writeUInt8(0x80 | this.payloadType, 1);
    // The numbers come round while packets are under way.
    header.writeUInt16BE((0xffe0 + number) & 0xffff, 2);
    header.writeUInt32BE(number * 960, 4);
    header.writeUInt32BE(this.ssrc, 8);
    const body = payload(this.kind, number);
    this.track.sendMessageBinary(Buffer.concat([header, body]));
    this.sent.add(body.toString('base64'));
  }

  take(packet) {
    const isRtcp = packet.readUInt8(1) >= 192 && packet.readUInt8(1) <= 223;
    if (isRtcp) return;
    // The server writes its MID into an extension, so that the payload is not always at the same place.
    const extension = packet.readUInt8(0) & 0x10 ? 4 + 4 * packet.readUInt16BE(14) : 0;
    this.sources.add(packet.readUInt32BE(8));
    const body = packet.subarray(12 + extension).toString('base64');
    if (this.sent.has(body)) this.returned.add(body);
    else this.altered += 1;
  }

  told() {
    return { returned: this.returned.size, altered: this.altered, sources: [...this.sources] };
  }
}

/** Says something as text, and something as bytes, and notes what is said back. */
class Talk {
  constructor(channel) {
    this.messages = [];
    channel.onOpen(() => {
      channel.sendMessage('hello');
      channel.sendMessageBinary(LONG);
    });
    channel.onMessage((message) => this.messages.push(message));
  }

  told() {
    return this.messages.map((it) => (it === 'hello' || LONG.equals(Buffer.from(it)) ? it.length : 'altered'));
  }
}

async function ask(where, body = '') {
  const response = await fetch(new URL(where, url), { method: 'POST', body });
  if (!response.ok) throw new Error(`${where}: ${response.status} ${await response.text()}`);
  return { text: await response.text(), location: response.headers.get('location') };
}

/** Our description, once it has all candidates. */
function described(connection) {
  return new Promise((resolve) => {
    const look = () => { if (connection.gatheringState() === 'complete') resolve(connection.localDescription().sdp); };
    connection.onGatheringStateChange(look);
    look();
  });
}

async function offer(connection) {
  const video = new Video('video', 'SendRecv');
  video.addVP8Codec(VP8);
  video.addRTXCodec(VP8 + 1, VP8, 90_000);
  video.addSSRC(1_111, 'sender', 'stream', 'video');
  const audio = new Audio('audio', 'SendRecv');
  audio.addOpusCodec(OPUS);
  audio.addSSRC(2_222, 'sender', 'stream', 'audio');
  const streams = [
    new Stream('video', connection.addTrack(video), VP8, 1_111),
    new Stream('audio', connection.addTrack(audio), OPUS, 2_222),
  ];
  const talk = new Talk(connection.createDataChannel('chat'));
  connection.setLocalDescription('offer');
  const ours = await described(connection);
  const { text, location } = await ask('/offer', ours);
  connection.setRemoteDescription(text, 'answer');
  return { streams, talk, call: location, offer: ours, answer: text };
}

/** It says no SSRC in its answer: the server has to learn them. */
async function answer(connection) {
  const streams = [];
  connection.onTrack((track) => {
    const isVideo = track.type() === 'video';
    streams.push(new Stream(track.type(), track, isVideo ? VP8 : OPUS, isVideo ? 3_333 : 4_444));
  });
  const { text, location } = await ask('/call');
  connection.setRemoteDescription(text, 'offer');
  const talk = new Talk(connection.createDataChannel('chat'));
  const ours = await described(connection);
  await ask(`${location}/answer`, ours);
  return { streams, talk, call: location, offer: text, answer: ours };
}

const ended = new Promise((resolve) => {
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, resolve);
});
const connection = new PeerConnection('client', {
  iceServers: [], bindAddress: '127.0.0.1', disableAutoNegotiation: how === 'offer', forceMediaTransport: true,
});
const { streams, talk, ...told } = await (how === 'offer' ? offer : answer)(connection);
const isEnough = () => streams.length === 2 && talk.messages.length === 2 && streams.every(({ returned }) => returned.size >= WANTED);
const last = Date.now() + PATIENCE;
while (!isEnough() && Date.now() < last) {
  for (const stream of streams) stream.send();
  await new Promise((resolve) => { setTimeout(resolve, 10); });
}
for (const stream of streams) told[stream.kind] = stream.told();
told.data = talk.told();
console.log(JSON.stringify({ state: connection.state(), ...told }));
connection.onStateChange((state) => console.log(state));
await ended;
connection.close();
cleanup();
