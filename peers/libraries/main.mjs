// Other implementations of WebRTC against examples/echo: `node main.mjs PROGRAMS TOOLS [CASES]`, with the folder of the
// built programs, the folder that the test command installs tools into, and a part of the names of the cases, of which
// all are run without it.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { endAll, Program, server, until } from '../browsers/programs.mjs';

const [programs, tools, wanted = ''] = process.argv.slice(2);
const beside = (name) => path.join(path.dirname(fileURLToPath(import.meta.url)), name);
const modules = path.resolve(tools, 'node');

/** What runs each, what it needs and why that may not be there, and the cases that it can't do. */
const LIBRARIES = [
  {
    name: 'aiortc', needs: path.join(tools, 'aiortc/bin/python'), why: 'its package is not installed', lacks: [],
    command: (python) => [python, beside('aiortc_client.py')], check: checkFrames, end: itEnds,
  },
  {
    name: 'libdatachannel', needs: path.join(modules, 'node_modules/node-datachannel'),
    why: 'its package is not installed',
    // A check that comes before the answer lets its DTLS begin before it knows our fingerprint: it says `unknown CA`.
    lacks: ['offers to full ICE', 'answers, and is the DTLS server'],
    command: () => [process.execPath, beside('libdatachannel_client.mjs'), modules], check: checkPackets, end: weEnd,
  },
  {
    name: 'pion', needs: path.join(programs, 'pion-client'), why: 'needs Go 1.24 or later, and its modules', lacks: [],
    command: (program) => [program], check: checkPackets, end: itEnds,
  },
];

/** Options of the server, who offers, the role in DTLS that the library's description says, and ours. */
const CASES = [
  { name: 'offers, and is the DTLS client', options: [], how: 'offer', setup: 'actpass', role: 'server' },
  { name: 'offers, and is the DTLS server', options: ['--active'], how: 'offer', setup: 'actpass', role: 'client' },
  { name: 'offers to full ICE', options: ['--full'], how: 'offer', setup: 'actpass', role: 'server' },
  { name: 'answers, and is the DTLS client', options: [], how: 'answer', setup: 'active', role: 'server' },
  { name: 'answers, and is the DTLS server', options: [], how: 'answer', setup: 'passive', role: 'client' },
  { name: 'answers full ICE', options: ['--full'], how: 'answer', setup: 'active', role: 'server' },
];

/** One call, from its beginning to its end. */
async function run(library, { how, setup, role, options }, url) {
  const [file, ...parameters] = library.command(library.needs);
  const client = new Program(file, [...parameters, url, how, setup]);
  try {
    const told = JSON.parse(await client.line(/^\{/));
    assert.equal(told.state, 'connected');
    assert.match(how === 'offer' ? told.offer : told.answer, new RegExp(`^a=setup:${setup}\r?$`, 'm'));
    const status = await ask(new URL(told.call, url));
    assert.deepEqual(status.dtls, { version: '1.2', role });
    assert.equal(status.srtp, 'SRTP_AEAD_AES_256_GCM');
    assert.equal(status.ice.state, 'Completed');
    assert.equal(status.ice.lite, !options.includes('--full'));
    assert.deepEqual(status.dropped, {});
    for (const track of status.tracks) {
      assert.equal(track.codec, { audio: 'opus/48000/2', video: 'VP8/90000' }[track.kind]);
      assert.equal(track.received.givenUp, 0);
      library.check(track, told[track.kind]);
    }
    // What was said as text, and as bytes.
    assert.deepEqual(told.data, [5, 100_000]);
    assert.equal(status.dataChannels.messages, 2);
    assert.deepEqual(status.tracks.map(({ kind }) => kind).sort(), ['audio', 'video']);
    await library.end(client, new URL(told.call, url));
  } finally {
    await client.end();
  }
}

/** aiortc: numbers on pictures, and a tone, encoded and decoded. */
function checkFrames({ kind, received }, told) {
  assert.ok(told.frames >= 40 && received.packets >= told.frames, `${kind}: ${JSON.stringify(told)}`);
  if (kind === 'video') assert.deepEqual([told.unreadable, told.rising], [0, true]);
  else assert.ok(Math.abs(told.pitch - 440) < 5, `a pitch of ${told.pitch} Hz`);
}

/** The others: packets, to the byte, from the source that is the server's own. */
function checkPackets({ kind, received, sent }, told) {
  assert.deepEqual(told, { returned: 100, altered: 0, sources: [sent.ssrc] }, kind);
  assert.equal(received.packets, 100);
}

async function ask(call) {
  return (await fetch(call)).json();
}

/** The server learns by DTLS that the library has gone. */
async function itEnds(client, call) {
  await client.end();
  await until('the server says that the peer has gone', async () => (await ask(call)).closed === 'Peer');
}

/** The library learns by DTLS that the server has gone. libdatachannel itself does not always say goodbye. */
async function weEnd(client, call) {
  await fetch(call, { method: 'DELETE' });
  await until('the library says that the server has gone', () => client.said.includes('\nclosed\n'));
  assert.equal((await ask(call)).closed, 'Local');
}

let failures = 0;

/** All calls of one library. */
async function calls(library, servers) {
  const could = CASES.filter(({ name }) => !library.lacks.includes(name));
  const cases = could.map((one) => ({ ...one, title: `${library.name}: ${one.name}` }));
  for (const one of cases.filter(({ title }) => title.includes(wanted))) {
    if (!fs.existsSync(library.needs)) {
      console.log(`skipped: ${library.name}: ${library.why}`);
      return;
    }
    const start = Date.now();
    try {
      servers[one.options] ??= server(programs, 'plenary-echo', ['--http', '127.0.0.1:0', ...one.options]);
      await run(library, one, (await servers[one.options]).url);
      console.log(`ok: ${one.title} (${((Date.now() - start) / 1000).toFixed(1)} s)`);
    } catch (error) {
      failures += 1;
      console.log(`FAILED: ${one.title}: ${error.stack}`);
    }
  }
}

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => endAll().finally(() => process.exit(1)));
try {
  const servers = {};
  for (const library of LIBRARIES) await calls(library, servers);
} finally {
  await endAll();
}
process.exitCode = failures === 0 ? 0 : 1;
