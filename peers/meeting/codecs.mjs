// One slot that shows one codec after the other.

import assert from 'node:assert/strict';

import { enter, observe, until } from './page.mjs';

const TURNS = [
  { name: 'VP8 of Chromium', codec: 'VP8', by: 'chromium' },
  { name: 'VP8 of Firefox', codec: 'VP8', by: 'firefox' },
  { name: 'VP9 of Chromium', codec: 'VP9', by: 'chromium' },
  { name: 'H264 of Chromium', codec: 'H264', by: 'chromium' },
  { name: 'AV1 of Chromium', codec: 'AV1', by: 'chromium' },
];

/** Publishers of all codecs come and leave: each of them is seen in the same slot, as soon as it is told. */
export async function codecs({ chromium, firefox, base }) {
  const browsers = { chromium, firefox };
  const ada = await enter(chromium, base, 'Ada', { camera: false, microphone: false });
  const { url } = await observe(ada);
  const fox = await enter(firefox, url, 'Fox', { camera: false, microphone: false });
  const watchers = [
    { page: ada, who: 'Chromium', turns: TURNS, times: [] },
    { page: fox, who: 'Firefox', turns: TURNS.filter(({ codec }) => codec !== 'H264'), times: [] },
  ];
  for (const { page } of watchers) await watch(page);
  for (const turn of TURNS) {
    const page = await enter(browsers[turn.by], url, turn.name, { camera: false, microphone: false });
    // Firefox draws the pages of hidden tabs once a second.
    for (const watcher of watchers) await watcher.page.bringToFront();
    await publish(page, turn.codec);
    await Promise.all(watchers.map((watcher) => take(watcher, turn)));
    await page.click('#leave');
    await page.close();
    for (const watcher of watchers) {
      await until('the publisher has gone', () => observe(watcher.page), ({ names }) => names.length === watchers.length);
    }
  }
  return watchers.map(({ who, times }) => `${who} shows them after ${times.join(', ')} ms`).join('; ');
}

/** One turn as a watcher sees it, or does not see it, for want of the codec. */
async function take(watcher, turn) {
  const { page, who, turns, times } = watcher;
  const look = () => received(page, turn.name);
  const what = `${turn.name} in ${who}`;
  if (!turns.includes(turn)) {
    const { seen } = await until(`${what} is told to lack`, look, ({ lacking }) => lacking);
    assert.equal(seen, undefined, what);
    return;
  }
  const first = await until(`${what} is seen`, look, ({ seen }) => seen);
  const last = await until(`${what} goes on`, look, (it) => it.framesDecoded > first.framesDecoded + 30);
  const { before = { ...last, framesDecoded: 0, framesReceived: 0, pliCount: 0 } } = watcher;
  times.push(Math.round(first.seen - first.told));
  assert.ok(times.at(-1) <= 500, `${what}: ${times.at(-1)} ms after the word`);
  assert.equal(last.mimeType, `video/${turn.codec}`, what);
  for (const same of ['mid', 'id', 'ssrc']) assert.equal(last[same], before[same], `${what}: ${same}`);
  assert.ok(last.framesDecoded > before.framesDecoded, `${what}: counters went on`);
  const lost = last.framesReceived - last.framesDecoded - (before.framesReceived - before.framesDecoded);
  assert.ok(lost <= 3, `${what}: ${lost} frames were received and not decoded`);
  // A decoder that fails asks for a key frame; so does one that has had nothing for long, once for each pause.
  const asked = [last.pliCount - first.pliCount, last.pliCount - before.pliCount];
  assert.ok(asked[0] === 0 && asked[1] <= 1, `${what}: ${asked} key frames were asked for`);
  const frozen = last.totalFreezesDuration - first.totalFreezesDuration;
  // A machine that is short of cores has shown nothing for 1.1 s, without any fault: what does not recover takes longer.
  assert.ok(frozen < 2, `${what}: ${frozen} s without a frame`);
  watcher.before = last;
}

/** Notes when the server tells that somebody is in a slot, and when the page shows it. */
function watch(page) {
  return page.evaluate(() => {
    const { meeting } = window;
    const turns = window.turns = {};
    const turn = (name) => (turns[name] ??= { lacking: false });
    const named = (is) => [...meeting.participants.values()].find(is)?.name;
    meeting.signaling.on('slot', ({ mid, content }) => {
      if (!content || content.layer === null) return;
      const it = turn(named(({ session }) => session === content.session));
      it.mid = mid;
      it.told ??= performance.now();
    });
    meeting.signaling.on('no-common-codec', ({ track }) => {
      // Its participant may be told after it.
      const note = () => {
        const name = named(({ tracks }) => tracks.some((it) => it.track === track));
        if (name === undefined) setTimeout(note, 50);
        else turn(name).lacking = true;
      };
      note();
    });
    new MutationObserver(() => {
      for (const tile of document.querySelectorAll('.tile.has-picture')) {
        turn(tile.querySelector('.name').textContent).seen ??= performance.now();
      }
    }).observe(meeting.gallery.list, { subtree: true, attributeFilter: ['class'] });
  });
}

/** What a watcher has noted of somebody, and what it says of the only stream that it receives. */
function received(page, name) {
  return page.evaluate(async (who) => {
    const stats = await window.meeting.connection.peer.getStats();
    const streams = [...stats.values()].filter(({ type, kind }) => type === 'inbound-rtp' && kind === 'video');
    if (streams.length > 1) throw new Error(`${streams.length} streams are received`);
    const [{ id, ssrc, codecId, framesDecoded, framesReceived, pliCount, totalFreezesDuration } = {}] = streams;
    const { mimeType } = stats.get(codecId) ?? {};
    return { ...window.turns[who], id, ssrc, mimeType, framesDecoded, framesReceived, pliCount, totalFreezesDuration };
  }, name);
}

/** Publishes the camera as one stream of this codec. */
function publish(page, codec) {
  return page.evaluate(async (wanted) => {
    const { meeting } = window;
    const { peer } = meeting.connection;
    const all = RTCRtpReceiver.getCapabilities('video').codecs;
    const codecs = all.filter(({ mimeType }) => [`video/${wanted}`, 'video/rtx'].includes(mimeType));
    const describe = peer.setLocalDescription.bind(peer);
    peer.setLocalDescription = async () => {
      const ours = peer.getTransceivers().filter(({ sender }) => sender.track?.kind === 'video');
      for (const transceiver of ours) transceiver.setCodecPreferences(codecs);
      await describe();
      if (wanted === 'VP8') return;
      // Chromium sends the first codec of an offer, whatever it has answered.
      for (const { sender } of ours) {
        const parameters = sender.getParameters();
        parameters.encodings[0].codec = parameters.codecs.find(({ mimeType }) => mimeType === `video/${wanted}`);
        await sender.setParameters(parameters);
      }
    };
    const media = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 360 } });
    meeting.camera = meeting.connection.publish(media.getTracks()[0], {});
  }, codec);
}
