// Meetings through the server's own relay, and by nothing else.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { enter, hasAll, observe, until } from './page.mjs';

/** Options of a server with TLS, whose certificate is of its own making. Firefox wants a name. */
export const secure = (address, name) => () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'meeting-'));
  process.once('exit', () => fs.rmSync(folder, { recursive: true }));
  const [certificate, key] = ['certificate.pem', 'key.pem'].map((name) => path.join(folder, name));
  const subject = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name}`];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  execFileSync('openssl', ['req', '-x509', ...kind, ...subject, '-out', certificate, '-keyout', key], { stdio: 'pipe' });
  return ['--turn-tls', address, '--turn-certificate', certificate, '--turn-key', key, '--turn-name', name];
};

/** How the page's media goes: the pair that was chosen, once there is one. */
export function way(page) {
  const look = () => page.evaluate(async () => {
    const stats = [...(await window.meeting.connection.peer.getStats()).values()];
    const chosen = stats.find(({ type }) => type === 'transport')?.selectedCandidatePairId;
    const pair = stats.find(({ id, type, selected }) => id === chosen || (type === 'candidate-pair' && selected));
    const { candidateType, relayProtocol } = stats.find(({ id }) => id === pair?.localCandidateId) ?? {};
    return { candidateType, relayProtocol };
  });
  return until('a pair is chosen', look, ({ candidateType }) => candidateType);
}

/** What the server's relay has carried: bytes to peers, and to clients. */
async function carried(base) {
  const text = await (await fetch(new URL('/metrics', base))).text();
  const sum = (name) => [...text.matchAll(new RegExp(`^${name}{.*} (\\d+)$`, 'gm'))].reduce((all, [, it]) => all + Number(it), 0);
  return ['to_peers_bytes_total', 'to_clients_bytes_total', 'allocations'].map((name) => sum(`plenary_turn_${name}`));
}

/** A meeting of both browsers by relays that are reached by one transport. */
export const relayed = (by) => async ({ chromium, firefox, base }) => {
  const ada = await enter(chromium, `${base}?relay=${by}`, 'Ada');
  const { url } = await observe(ada);
  const fox = await enter(firefox, url, 'Fox');
  for (const [page, other] of [[ada, 'Fox'], [fox, 'Ada']]) {
    await until(`${other} is seen`, () => observe(page), (it) => hasAll(it, [other]));
    assert.deepEqual(await way(page), { candidateType: 'relay', relayProtocol: by });
  }
  const [toPeers, toClients, allocations] = await carried(base);
  assert.ok(toPeers > 50_000 && toClients > 20_000, `${toPeers} bytes to peers, ${toClients} to clients`);
  assert.ok(allocations >= 2);
  for (const page of [ada, fox]) await page.click('#leave');
  await until('allocations are given back', () => carried(base), ([, , left]) => left === 0);
  return `${toPeers} bytes to the server, ${toClients} from it`;
};

/** Two behind a firewall that lets no UDP through meet all the same; with TLS alone, too. */
export async function walled({ chromium, base }) {
  const ways = [];
  for (const query of ['', '?relay=tls']) {
    const begun = Date.now();
    const ada = await enter(chromium, `${base}${query}`, 'Ada');
    const grace = await enter(chromium, (await observe(ada)).url, 'Grace');
    for (const [page, other] of [[ada, 'Grace'], [grace, 'Ada']]) {
      await until(`${other} is seen`, () => observe(page), (it) => hasAll(it, [other]));
      const { candidateType, relayProtocol } = await way(page);
      assert.equal(candidateType, 'relay');
      assert.match(relayProtocol, query ? /^tls$/ : /^(tcp|tls)$/);
      ways.push(relayProtocol);
    }
    ways.push(`${Date.now() - begun} ms`);
    for (const page of [ada, grace]) await page.close();
  }
  return ways.join(', ');
}
