// Real browsers in meetings of plenary-server: `node main.mjs PROGRAMS MODULES [CASES] [PICTURES]`, with the folder of the
// built programs, the folder that has node_modules, a part of the names of the cases, and a folder for what they look like.

import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

import { apart, noNamespaces } from '../browsers/apart.mjs';
import * as chromium from '../browsers/chromium.mjs';
import * as firefox from '../browsers/firefox.mjs';
import { endAll, server } from '../browsers/programs.mjs';
import { CASES } from './cases.mjs';

const [programs, modules, wanted = '', pictures] = process.argv.slice(2);
const require = createRequire(path.resolve(modules, 'main.mjs'));

let failures = 0;

/** Keeps a picture of a page, if that is wanted. */
async function keep(page, name) {
  if (pictures) await page.screenshot({ path: path.join(pictures, `${name}.png`) });
}

/** Why a case can't be here, if so. */
function missing({ needs = [], isApart }) {
  const drivers = [chromium, ...[firefox].filter(({ name }) => needs.includes(name))];
  const absent = drivers.find(({ file }) => !fs.existsSync(file));
  if (absent) return `${absent.file} is not there`;
  return isApart ? noNamespaces() : '';
}

/** The browsers of a case, and its server. */
async function start({ needs = [], options: wanted = [], isApart, link }, browsers) {
  const options = typeof wanted === 'function' ? wanted() : wanted;
  if (isApart) {
    const { browser, url } = await apart(programs, 'plenary-server', require, { link, options });
    browsers.chromium = browser;
    return { url };
  }
  const program = await server(programs, 'plenary-server', ['--http', '127.0.0.1:0', ...options]);
  browsers.chromium = await chromium.launch(require);
  if (needs.includes(firefox.name)) browsers.firefox = await firefox.launch(require);
  return program;
}

/** One case, with browsers and a server of its own. */
async function attempt(one) {
  const reason = missing(one);
  if (reason) {
    console.log(`skipped: ${one.name}: ${reason}`);
    return;
  }
  const begun = Date.now();
  const browsers = {};
  try {
    const program = await start(one, browsers);
    const outcome = await one.run({ ...browsers, base: program.url, server: program }, keep);
    const seconds = ((Date.now() - begun) / 1000).toFixed(1);
    console.log(`ok: ${one.name} (${seconds} s)${outcome ? `: ${outcome}` : ''}`);
  } catch (error) {
    failures += 1;
    console.log(`FAILED: ${one.name}: ${error.stack}`);
  } finally {
    await Promise.all(Object.values(browsers).map((browser) => browser.close()));
    await endAll();
  }
}

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => endAll().finally(() => process.exit(1)));
for (const one of CASES.filter(({ name }) => name.includes(wanted))) await attempt(one);
process.exitCode = failures === 0 ? 0 : 1;
