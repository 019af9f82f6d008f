// Other implementations' clients of TURN against plenary-turn-server: `node relays.mjs PROGRAMS TOOLS [CASES]`, as
// main.mjs.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { endAll, Program, server, until } from '../browsers/programs.mjs';

const [programs, tools, wanted = ''] = process.argv.slice(2);
const beside = (name) => path.join(path.dirname(fileURLToPath(import.meta.url)), name);
const modules = path.resolve(tools, 'node');
const USER = ['user', 'secret'];

/** What each of two says: five bytes of text, and 100,000. */
const SAID = [5, 100_000];

/** How the server tells of each. */
const LISTENERS = { udp: /^turn:.*transport=udp$/m, tcp: /^turn:.*transport=tcp$/m, tls: /^turns:.*transport=tcp$/m };

/** What runs each, what it needs, by which transports it reaches a server, and how many allocations it leaves behind. */
const LIBRARIES = [
  {
    name: 'aiortc', needs: path.join(tools, 'aiortc/bin/python'), transports: ['udp', 'tcp', 'tls'], leaves: 0,
    command: (python) => [python, beside('aiortc_pair.py')],
  },
  {
    // It knows no other transport, and never says that it is done.
    name: 'libdatachannel', needs: path.join(modules, 'node_modules/node-datachannel'), transports: ['udp'], leaves: 2,
    command: () => [process.execPath, beside('libdatachannel_pair.mjs'), modules],
  },
  {
    // The system's Python: no other has the system's packages. It has no TLS.
    name: 'libnice', needs: '/usr/bin/python3', transports: ['udp', 'tcp'], leaves: 0,
    command: (python) => [python, beside('libnice_pair.py')],
  },
  {
    name: 'pion', needs: path.join(programs, 'pion-client'), transports: ['udp', 'tcp', 'tls'], leaves: 0,
    command: (program) => [program, 'relayed'],
  },
];

/** The server's figures, of all threads together. */
async function figures(url) {
  const text = await (await fetch(url)).text();
  const sum = (name) => [...text.matchAll(new RegExp(`^plenary_turn_${name}{.*} (\\d+)$`, 'gm'))]
    .reduce((total, [, value]) => total + Number(value), 0);
  return { allocations: sum('allocations'), toPeers: sum('to_peers_bytes_total'), toClients: sum('to_clients_bytes_total') };
}

/** Two connections of one library, each of which has nothing but a relay. */
async function run(library, transport, relay) {
  const [url] = relay.said().match(LISTENERS[transport]);
  const before = await figures(relay.url);
  const [file, ...parameters] = library.command(library.needs);
  const pair = new Program(file, [...parameters, url, ...USER]);
  try {
    const { candidates, heard } = JSON.parse(await pair.line(/^\{/));
    assert.ok(candidates.length >= 2 && candidates.every((it) => it.includes(' typ relay ')), candidates.join('\n'));
    assert.deepEqual(heard, [SAID, SAID]);
    const bytes = 2 * (SAID[0] + SAID[1]);
    await until('all has gone by relays', async () => {
      const { allocations, toPeers, toClients } = await figures(relay.url);
      return allocations - before.allocations === 2 && Math.min(toPeers - before.toPeers, toClients - before.toClients) >= bytes;
    });
  } finally {
    await pair.end();
  }
  await until('the relays are gone', async () =>
    (await figures(relay.url)).allocations === before.allocations + library.leaves);
}

/** Files with a certificate that is its own authority, which clients are told to trust, and its key. */
function identify(folder) {
  const [certificate, key] = ['certificate.pem', 'key.pem'].map((name) => path.join(folder, name));
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const subject = ['-subj', '/CN=relay', '-addext', 'subjectAltName=IP:127.0.0.1'];
  execFileSync('openssl', ['req', '-x509', ...kind, ...subject, '-out', certificate, '-keyout', key], { stdio: 'pipe' });
  process.env.SSL_CERT_FILE = certificate;
  return ['--certificate', certificate, '--key', key];
}

let failures = 0;

async function cases(library, relay) {
  for (const transport of library.transports) {
    const title = `${library.name}: relays by ${transport}`;
    if (!title.includes(wanted)) continue;
    if (!fs.existsSync(library.needs)) {
      console.log(`skipped: ${library.name}: ${library.needs} is not there`);
      return;
    }
    const start = Date.now();
    try {
      await run(library, transport, relay);
      console.log(`ok: ${title} (${((Date.now() - start) / 1000).toFixed(1)} s)`);
    } catch (error) {
      failures += 1;
      console.log(`FAILED: ${title}: ${error.stack}`);
    }
  }
}

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => endAll().finally(() => process.exit(1)));
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'relays-'));
try {
  // Of two threads, so that relays of both reach each other. No peer is allowed but these.
  const listeners = ['--listen', '127.0.0.1:0', '--listen-tls', '127.0.0.1:0', ...identify(folder)];
  const options = ['--user', USER.join(':'), '--threads', '2', '--metrics', '127.0.0.1:0'];
  const relay = await server(programs, 'plenary-turn-server', [...listeners, ...options]);
  for (const library of LIBRARIES) await cases(library, relay);
} finally {
  await endAll();
  fs.rmSync(folder, { recursive: true });
}
process.exitCode = failures === 0 ? 0 : 1;
