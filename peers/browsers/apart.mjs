// Chromium in one network namespace, a server in another, and a bad network between them.

import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import * as chromium from './chromium.mjs';
import { network, server } from './programs.mjs';

/** Why there can be no namespaces here, if so. */
export function noNamespaces() {
  if (!fs.existsSync(chromium.file)) return `${chromium.file} is not there`;
  if (process.getuid() !== 0) return 'needs root';
  if (!fs.existsSync('/dev/net/tun')) return 'needs /dev/net/tun';
  return spawnSync('unshare', ['--net', 'true']).status === 0 ? '' : 'may not make network namespaces';
}

/** 5 % of loss and 50 ms, each way. */
export const LOSSY = ['--loss', '5%', '--delay', '50ms', '--seed', '1'];

/** A firewall that lets no UDP through, 20 ms away. */
export const NO_UDP = ['--no-udp', '--delay', '20ms', '--seed', '1'];

/** Starts both; the network and the server end with all programs. */
export async function apart(programs, name, require, { link: wanted = LOSSY, options = [] } = {}) {
  const url = 'http://10.77.0.2:8080';
  const link = await network(programs, wanted);
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'browsers-'));
  process.once('exit', () => fs.rmSync(folder, { recursive: true }));
  const [left, right] = link.names.map((space) => ['ip', 'netns', 'exec', space]);
  await server(programs, name, ['--http', '10.77.0.2:8080', '--udp', '10.77.0.2:0', ...options], right);
  const executable = path.join(folder, 'chromium');
  fs.writeFileSync(executable, `#!/bin/sh\nexec ${left.join(' ')} ${chromium.file} "$@"\n`, { mode: 0o755 });
  return { url, browser: await chromium.launch(require, { executable, trusted: url }) };
}
