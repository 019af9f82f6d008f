// What is done with each browser, and what must come of it.

import assert from 'node:assert/strict';

/** How long a browser on a busy machine may take for anything. */
const PATIENCE = 30_000;

const DTLS_12 = { tls: 'FEFD', version: '1.2' };
const DTLS_13 = { tls: 'FEFC', version: '1.3' };
const GCM_128 = 'SRTP_AEAD_AES_128_GCM';
const GCM_256 = 'SRTP_AEAD_AES_256_GCM';
const CM_80 = 'SRTP_AES128_CM_HMAC_SHA1_80';

/** Options of the server, who offers, and what DTLS has to agree on: in 1.3 the DTLS client's first wish for SRTP. */
export const CASES = [
  { name: 'the page offers', options: [], how: 'offer', dtls: DTLS_12, srtp: GCM_256, then: [talk, restart, talk] },
  { name: 'the page offers, full ICE', options: ['--full'], how: 'offer', dtls: DTLS_12, srtp: GCM_256, then: [more, restart] },
  { name: 'the server offers', options: [], how: 'answer', dtls: DTLS_12, srtp: GCM_256, then: [talk, restart] },
  { name: 'the server offers, full ICE', options: ['--full'], how: 'answer', dtls: DTLS_12, srtp: GCM_256, then: [] },
  {
    name: 'DTLS 1.3', options: ['--dtls', '1.3'], how: 'offer', dtls: DTLS_13,
    srtp: { chromium: CM_80, firefox: GCM_128 }, then: [talk],
  },
  {
    name: 'the browser is the DTLS server', options: ['--active'], how: 'offer', dtls: DTLS_13,
    srtp: { chromium: CM_80, firefox: GCM_128 }, role: 'server', then: [talk],
  },
];

/** One call, from its beginning to its end. */
export async function run({ how, dtls, srtp, role = 'client', then }, browser, page) {
  const before = await connect(page, how);
  const profile = srtp[browser] ?? srtp;
  assert.deepEqual(
    { state: before.transport.dtlsState, role: before.transport.dtlsRole, version: before.transport.tlsVersion },
    { state: 'connected', role, version: dtls.tls },
  );
  assert.equal(before.transport.srtpCipher, profile);
  const status = await page.evaluate(() => window.call.status());
  assert.deepEqual(status.dtls, { version: dtls.version, role: role === 'client' ? 'server' : 'client' });
  assert.equal(status.srtp, profile);
  // A check that is answered late, on a busy machine, has been sent twice and is answered twice.
  const { 'Ice(UnknownTransaction)': _late, ...dropped } = status.dropped;
  assert.deepEqual(dropped, {});
  for (const step of then) await step(page);
  await end(page);
}

/** Begins a call, and waits until picture and sound come back. */
export async function connect(page, how) {
  const look = () => observe(page);
  await page.click(`#${how}`);
  return until('picture and sound come back', look, ({ video, audio }) =>
    video?.framesDecoded > 20 && audio?.totalSamplesReceived > 48_000 && audio?.totalAudioEnergy > 0);
}

/** Messages come back: by the page's own form; then larger ones of bytes, in order and unchanged. */
async function talk(page) {
  const text = `a message of ${Date.now()}, écho`;
  await page.type('#text', text);
  await page.click('#say');
  const look = () => page.evaluate(() => document.getElementById('heard').textContent);
  await until('a message comes back', look, (heard) => heard === text);
  await page.evaluate(() => { document.getElementById('talk').reset(); });
  const sizes = [0, 1, 1200, 100_000, 262_144];
  const unchanged = await page.evaluate(async (sizes) => {
    const sent = sizes.map((size) => new Uint8Array(size).map((_, place) => (place * 31 + size) % 251));
    const heard = [];
    const shown = window.call.onmessage;
    const all = new Promise((resolve) => {
      window.call.onmessage = (data) => { if (heard.push(new Uint8Array(data)) === sent.length) resolve(); };
    });
    sent.forEach((bytes) => window.call.channel.send(bytes));
    await all;
    window.call.onmessage = shown;
    const isSame = (one, other) => one.length === other.length && one.every((byte, place) => byte === other[place]);
    return heard.map((bytes, place) => isSame(bytes, sent[place]));
  }, sizes);
  assert.deepEqual(unchanged, sizes.map(() => true));
  const status = await page.evaluate(() => window.call.status());
  assert.ok(status.dataChannels.messages > sizes.length, JSON.stringify(status.dataChannels));
}

/** Another picture in the same call: it gets a section and a source of its own. */
async function more(page) {
  await page.evaluate(async () => {
    const canvas = document.createElement('canvas');
    const context = canvas.getContext('2d');
    setInterval(() => { context.fillRect(Math.random() * 300, Math.random() * 150, 9, 9); }, 50);
    const stream = canvas.captureStream(15);
    window.call.connection.addTrack(stream.getVideoTracks()[0], stream);
    await window.call.offerAgain();
  });
  const { frames } = await until('two pictures come back', () => observe(page), ({ frames }) =>
    frames?.length === 2 && frames.every(([, decoded]) => decoded > 10));
  assert.notEqual(frames[0][0], frames[1][0]);
}

/** ICE restarts, and media goes on: it neither stops nor begins anew. */
async function restart(page) {
  const look = () => observe(page);
  const before = await look();
  await page.click('#restart');
  const after = await until('a new ICE generation is in use', look, ({ transport, pair, local, video }) =>
    transport.iceLocalUsernameFragment !== before.transport.iceLocalUsernameFragment &&
    local?.usernameFragment === transport.iceLocalUsernameFragment && transport.dtlsState === 'connected' && pair?.nominated && video?.framesDecoded > before.video.framesDecoded + 20);
  assert.equal(after.video.ssrc, before.video.ssrc);
  assert.equal(after.video.keyFramesDecoded, before.video.keyFramesDecoded, 'no frame was missed');
  const status = await page.evaluate(() => window.call.status());
  assert.equal(status.ice.state, 'Completed');
  assert.notEqual(status.ice.ufrag, before.ufrag);
  assert.equal(status.ice.ufrag, after.ufrag);
}

/** The server learns of the end: by DTLS, or by HTTP. */
async function end(page) {
  const path = await page.evaluate(() => window.call.path);
  await page.click('#end');
  const look = () => page.evaluate(async (path) => (await fetch(path)).json(), path);
  await until('the server says that the call is over', look, ({ closed }) => closed !== null);
}

/** Over a network with loss: what is lost is repaired in both directions. */
export async function survive(page) {
  const look = () => observe(page);
  const before = await connect(page, 'offer');
  const after = await until('losses are repaired while frames go on', look, ({ video, sent, at }) =>
    at - before.at > 10_000 && video.framesDecoded > before.video.framesDecoded + 100 &&
    video.nackCount > 0 && video.retransmittedPacketsReceived > 0 && sent.retransmittedPacketsSent > 0);
  const status = await page.evaluate(() => window.call.status());
  const track = status.tracks.find(({ kind }) => kind === 'video');
  assert.ok(track.received.repaired > 0 && track.sent.retransmitted > 0, JSON.stringify(track));
  assert.ok(status.roundTripMs > 95, `a round trip of ${status.roundTripMs} ms`);
  const seconds = (after.at - before.at) / 1000;
  await end(page);
  const frames = after.video.framesDecoded - before.video.framesDecoded;
  return `${(frames / seconds).toFixed(1)} frames a second, ${after.video.freezeCount} freezes, ` +
    `repaired up ${track.received.repaired}, down ${after.video.retransmittedPacketsReceived}, ` +
    `round trip ${status.roundTripMs.toFixed(0)} ms`;
}

/** What the page sees of its call. */
function observe(page) {
  return page.evaluate(async () => {
    const connection = window.call?.connection;
    if (!connection) return { at: Date.now(), said: document.getElementById('status').textContent };
    const all = [...(await connection.getStats()).values()].map((entry) => ({ ...entry }));
    const find = (type, kind) => all.find((entry) => entry.type === type && (!kind || entry.kind === kind));
    const transport = find('transport');
    const pair = all.find(({ id }) => id === transport?.selectedCandidatePairId);
    return {
      at: Date.now(),
      state: connection.connectionState,
      transport,
      pair,
      local: all.find(({ id }) => id === pair?.localCandidateId),
      audio: find('inbound-rtp', 'audio'),
      video: find('inbound-rtp', 'video'),
      frames: all.filter(({ type, kind }) => type === 'inbound-rtp' && kind === 'video')
        .map(({ ssrc, framesDecoded }) => [ssrc, framesDecoded]),
      sent: find('outbound-rtp', 'video'),
      ufrag: connection.remoteDescription?.sdp.match(/a=ice-ufrag:(\S+)/)[1],
    };
  });
}

/** Looks again and again until it is as it should be; else the last look is told. */
async function until(what, look, isSo) {
  const last = Date.now() + PATIENCE;
  for (;;) {
    const seen = await look();
    if (isSo(seen)) return seen;
    if (Date.now() > last) throw new Error(`${what}: not within ${PATIENCE} ms. Last seen: ${JSON.stringify(seen)}`);
    await new Promise((resolve) => { setTimeout(resolve, 100); });
  }
}
