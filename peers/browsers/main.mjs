// Real browsers against examples/echo: `node main.mjs PROGRAMS MODULES [CASES]`, with the folder of the built programs,
// the folder that has node_modules, and a part of the names of the cases, of which all are run without it.

import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

import { apart, noNamespaces } from './apart.mjs';
import { CASES, run, survive } from './cases.mjs';
import * as chromium from './chromium.mjs';
import * as firefox from './firefox.mjs';
import { endAll, server } from './programs.mjs';

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

/** A call over a network with loss. */
async function badNetwork() {
  try {
    const { browser, url } = await apart(programs, 'plenary-echo', require);
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
