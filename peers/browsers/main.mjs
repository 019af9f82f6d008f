// Real browsers against examples/echo: `node main.mjs PROGRAMS MODULES [CASES]`, with the folder of the built programs,
// the folder that has node_modules, and a part of the names of the cases, of which all are run without it.

import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';

import { CASES, run, survive } from './cases.mjs';
import * as chromium from './chromium.mjs';
import * as firefox from './firefox.mjs';
import { endAll, network, server } from './programs.mjs';

const [programs, modules, wanted = ''] = process.argv.slice(2);
const require = createRequire(path.resolve(modules, 'main.mjs'));
const is = (name) => name.includes(wanted);

let failures = 0;

function told(name, start, outcome) {
  console.log(`ok: ${name} (${((Date.now() - start) / 1000).toFixed(1)} s)${outcome ? `: ${outcome}` : ''}`);
}

/** Does something, and tells what came of it. */
async function attempt(name, action) {
  const start = Date.now();
  try {
    told(name, start, await action());
  } catch (error) {
    failures += 1;
    console.log(`FAILED: ${name}: ${error.stack}`);
  }
}

/** All calls of one browser: one process of it, and a page for each. */
async function calls(driver, servers) {
  const cases = CASES.map((one) => ({ ...one, title: `${driver.name}: ${one.name}` })).filter(({ title }) => is(title));
  if (cases.length === 0) return;
  if (!fs.existsSync(driver.file)) {
    console.log(`skipped: ${driver.name}: ${driver.file} is not there`);
    return;
  }
  const browser = await driver.launch(require);
  try {
    console.log(`${driver.name} ${browser.version}`);
    for (const one of cases) {
      await attempt(one.title, async () => {
        const key = one.options.join(' ');
        servers[key] ??= server(programs, 'plenary-echo', ['--http', '127.0.0.1:0', ...one.options]);
        const page = await browser.open((await servers[key]).url);
        try {
          await run(one, driver.name, page);
        } finally {
          await page.close();
        }
      });
    }
  } finally {
    await browser.close();
  }
}

/** Why there can be no namespaces here, if so. */
function noNamespaces() {
  if (!fs.existsSync(chromium.file)) return `${chromium.file} is not there`;
  if (process.getuid() !== 0) return 'needs root';
  if (!fs.existsSync('/dev/net/tun')) return 'needs /dev/net/tun';
  return spawnSync('unshare', ['--net', 'true']).status === 0 ? '' : 'may not make network namespaces';
}

/** Chromium in one namespace, the server in another, and 5 % of loss and 50 ms each way between them. */
async function badNetwork() {
  const url = 'http://10.77.0.2:8080';
  const link = await network(programs, ['--loss', '5%', '--delay', '50ms', '--seed', '1']);
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'browsers-'));
  process.once('exit', () => fs.rmSync(folder, { recursive: true }));
  try {
    const [left, right] = link.names.map((name) => ['ip', 'netns', 'exec', name]);
    await server(programs, 'plenary-echo', ['--http', '10.77.0.2:8080', '--udp', '10.77.0.2:0'], right);
    const executable = path.join(folder, 'chromium');
    fs.writeFileSync(executable, `#!/bin/sh\nexec ${left.join(' ')} ${chromium.file} "$@"\n`, { mode: 0o755 });
    const browser = await chromium.launch(require, { executable, trusted: url });
    try {
      return await survive(await browser.open(url));
    } finally {
      await browser.close();
    }
  } finally {
    await endAll();
  }
}

async function main() {
  for (const driver of [chromium, firefox]) await calls(driver, {});
  await endAll();
  const name = 'chromium: 5 % loss and 50 ms each way';
  const reason = noNamespaces();
  if (is(name) && reason) console.log(`skipped: ${name}: ${reason}`);
  else if (is(name)) await attempt(name, badNetwork);
}

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => endAll().finally(() => process.exit(1)));
try {
  await main();
} catch (error) {
  failures += 1;
  console.log(`FAILED: ${error.stack}`);
} finally {
  await endAll();
}
process.exitCode = failures === 0 ? 0 : 1;
