// Meetings through the server's own relay, and by nothing else.

import assert from 'node:assert/strict';

import { enter, hasAll, observe, until } from './page.mjs';

/** How the page's media goes: the pair that was chosen. */
export function way(page) {
  return page.evaluate(async () => {
    const stats = [...(await window.meeting.connection.peer.getStats()).values()];
    const pair = stats.find(({ type, nominated, state }) => type === 'candidate-pair' && nominated && state === 'succeeded');
    const { candidateType, relayProtocol } = stats.find(({ id }) => id === pair?.localCandidateId) ?? {};
    return { candidateType, relayProtocol };
  });
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
