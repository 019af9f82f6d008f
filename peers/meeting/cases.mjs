// Meetings, and what must come of them.

import assert from 'node:assert/strict';
import dgram from 'node:dgram';

import { NO_UDP } from '../browsers/apart.mjs';
import { codecs } from './codecs.mjs';
import { goodbye } from './goodbye.mjs';
import { enter, hasAll, observe, paint, until, watchColours } from './page.mjs';
import { relayed, secure, walled } from './relays.mjs';
import * as strangers from './strangers.mjs';

/** What both browsers know first, so that only who wants it has another. */
const ALL = 'opus,vp8,h264,vp9,av1';

export const CASES = [
  { name: 'two Chromium at 720p, layers by hand', run: two },
  { name: 'a Firefox at 720p, layers by hand', needs: ['firefox'], run: fox },
  { name: 'leave and rejoin', run: rejoin },
  { name: 'who leaves hears it on the path of the media', needs: ['firefox'], run: goodbye },
  { name: 'nobody under the name of another', needs: ['firefox'], run: names },
  { name: 'camera and microphone off and on', run: mute },
  { name: 'camera and microphone forbidden, and taken away', run: strangers.devices },
  { name: 'a picture hidden and shown', run: strangers.hidden },
  { name: 'codes that are none', run: strangers.codes },
  { name: 'names with markup and without end', run: strangers.called },
  { name: 'three Chromium and a Firefox at 360p', needs: ['firefox'], run: four },
  { name: 'one slot, all codecs in turn', needs: ['firefox'], options: ['--codecs', ALL], run: codecs },
  { name: 'more who speak than there are slots at first', run: crowd },
  { name: 'by relay over UDP', needs: ['firefox'], run: relayed('udp') },
  { name: 'by relay over TCP', needs: ['firefox'], run: relayed('tcp') },
  { name: 'by relay over TLS', needs: ['firefox'], options: secure('127.0.0.1:0', 'localhost'), run: relayed('tls') },
  { name: 'behind a firewall without UDP', isApart: true, link: NO_UDP, options: secure('10.77.0.2:443', '10.77.0.2'), run: walled },
  { name: 'hostile neighbours', run: hostile },
  { name: '5 % loss and 50 ms each way', isApart: true, run: lossy },
];

/** Of a camera of 720p, and what the page calls them. */
const LAYERS = { low: ['q', 320], medium: ['h', 640], high: ['f', 1280] };

/** How long Chromium may take until its estimate of the bandwidth allows them all: it begins with 300 kbit/s. */
const CLIMB_PATIENCE = 90_000;

/** By how many kB the server may grow under attack: less than one of the messages that it refuses has. */
const GROWTH_MAX = 8_000;

/** All have joined one meeting, and decode each other. */
async function together(people) {
  const pages = [];
  let url;
  for (const { browser, base, name, ...choice } of people) {
    pages.push(await enter(browser, url ?? base, name, choice));
    url ??= (await observe(pages[0])).url;
  }
  for (const [index, page] of pages.entries()) {
    const others = people.filter((_, other) => other !== index).map(({ name }) => name);
    const seen = await until(`${people[index].name} sees all`, () => observe(page), (it) => hasAll(it, others));
    assert.deepEqual(seen.names, people.map(({ name }) => name).sort());
  }
  return { pages, url };
}

/** The same again: frames and sound have gone on. */
async function goesOn(page, others) {
  const before = await observe(page);
  return until('the call goes on', () => observe(page), (it) => hasAll(it, others, before));
}

async function two({ chromium, base }, keep) {
  const people = ['Ada', 'Grace'].map((name) => ({ browser: chromium, base, name, size: '1280x720' }));
  const { pages: [ada, grace] } = await together(people);
  await keep(ada, 'two');
  const times = await Promise.all([climb(ada, grace, 'Ada'), climb(grace, ada, 'Grace')]);
  await turnOver(ada);
  await until('low is the other one', () => observe(grace), ({ others: { Ada: { video } } }) =>
    video.layer === 2 && video.frameWidth === 320);
  for (const choice of ['high', 'low']) times.push((await switched(grace, 'Ada', choice, LAYERS[choice][1])).time);
  return `a layer is seen ${times.flat().join(', ')} ms after its first packet`;
}

async function fox({ chromium, firefox, base }) {
  const sender = await enter(firefox, base, 'Fox', { size: '1280x720' });
  const watcher = await enter(chromium, (await observe(sender)).url, 'Ada', { camera: false });
  await until('Ada sees Fox', () => observe(watcher), (it) => hasAll(it, ['Fox']));
  return `a layer is seen ${(await climb(sender, watcher, 'Fox')).join(', ')} ms after its first packet`;
}

/** The encoding that was the smallest is the largest from now on, and the other way round. */
function turnOver(page) {
  return page.evaluate(async () => {
    const { sender } = window.meeting.camera;
    const parameters = sender.getParameters();
    parameters.encodings.forEach((encoding, index) => { encoding.scaleResolutionDownBy = 2 ** index; });
    await sender.setParameters(parameters);
  });
}

/** One sends three layers, and the other goes up and down through them: how long each took. */
async function climb(sender, watcher, name) {
  const sends = (seen) => Object.values(LAYERS).every(([rid, width]) =>
    seen.sent.some((it) => it.rid === rid && it.frameWidth === width && it.framesEncoded > 20));
  await until(`${name} sends three layers`, () => observe(sender), sends, CLIMB_PATIENCE);
  const times = [];
  for (const choice of ['medium', 'high', 'low', 'high', 'medium', 'low']) {
    times.push(await switched(watcher, name, choice, LAYERS[choice][1]));
  }
  const told = times.map(({ time, usual }) => `${time} (${usual})`);
  assert.ok(times.every(({ time, usual }) => time < 500 + usual), `from the first packet to the picture: ${told} ms`);
  return times.map(({ time }) => time);
}

/**
 * Chooses with the menu of a tile. The answer is how long after its first packet its first frame is shown: after
 * the server's word, or after the frame came, whichever was first. `usual` is how long the frame before it waited to be shown:
 * where the processor is busy, all of them do.
 */
function switched(page, name, choice, width) {
  return page.evaluate(async ([who, chosen, wide, patience]) => {
    const { meeting } = window;
    const [session] = [...meeting.participants.values()].filter((it) => it.name === who).map((it) => it.session);
    const tile = meeting.gallery.tiles.get(session);
    const told = [];
    meeting.signaling.on('slot', ({ content }) => {
      if (content?.track === tile.track && content.layer !== null) told.push([performance.now(), content.timestamp]);
    });
    let usual = 0;
    const shown = new Promise((resolve) => {
      const look = (now, frame) => {
        if (frame.width === wide) return resolve([now, frame]);
        usual = Math.round(now - frame.receiveTime);
        return tile.video.requestVideoFrameCallback(look);
      };
      tile.video.requestVideoFrameCallback(look);
    });
    tile.select.value = chosen;
    tile.select.dispatchEvent(new Event('change'));
    const late = new Promise((_, reject) => { setTimeout(() => reject(new Error(`${chosen} is late`)), patience); });
    const [now, { receiveTime, rtpTimestamp }] = await Promise.race([shown, late]);
    const since = (first) => (rtpTimestamp - first) | 0;
    let word;
    // A sender may have stopped with a layer meanwhile, and begun again.
    while (!(word = told.findLast(([, first]) => since(first) >= 0))) {
      await Promise.race([new Promise((resolve) => { setTimeout(resolve, 10); }), late]);
    }
    const [at, first] = word;
    if (since(first) > 45_000) throw new Error(`${chosen} begins ${since(first) / 90} ms after what was told`);
    return { time: Math.round(now - Math.min(at, receiveTime)), usual };
  }, [name, choice, width, 30_000]);
}

async function rejoin({ chromium, base }) {
  const people = ['Ada', 'Grace'].map((name) => ({ browser: chromium, base, name }));
  const { pages: [ada, grace] } = await together(people);
  for (let round = 0; round < 2; round += 1) {
    await grace.click('#leave');
    await until('she has gone', () => observe(ada), ({ names: there, others }) =>
      there.length === 1 && Object.keys(others).length === 0);
    assert.equal((await observe(grace)).own, undefined);
    await grace.click('#join');
    await until('Ada sees her again', () => observe(ada), (it) => hasAll(it, ['Grace']));
    await until('she sees Ada again', () => observe(grace), (it) => hasAll(it, ['Ada']));
  }
}

/** Red leaves, and blue comes into the same slot, again and again: no tile has ever the colour of another. */
async function names({ chromium, firefox, base }) {
  const ada = await enter(chromium, base, 'Ada', { camera: false });
  const { url } = await observe(ada);
  const watchers = [ada, await enter(firefox, url, 'Fox', { camera: false })];
  for (const watcher of watchers) await watchColours(watcher);
  for (const colour of ['red', 'blue', 'red', 'blue']) {
    const page = await chromium.open(url);
    await paint(page, colour);
    await enter(chromium, url, colour, { page, microphone: false });
    for (const watcher of watchers) {
      await until(`${colour} is seen`, () => watcher.evaluate(() => window.colours), ({ right }) => right[colour] > 10);
    }
    await page.click('#leave');
    await page.close();
    for (const watcher of watchers) await watcher.evaluate(() => { window.colours.right = {}; });
  }
  for (const watcher of watchers) assert.deepEqual((await watcher.evaluate(() => window.colours)).wrong, []);
}

async function mute({ chromium, base }) {
  const people = ['Ada', 'Grace'].map((name) => ({ browser: chromium, base, name }));
  const { pages: [ada, grace] } = await together(people);
  const tile = () => ada.evaluate(() => {
    const { classList } = [...document.querySelectorAll('.tile')].find((it) => it.textContent.includes('Grace'));
    return { isSilent: classList.contains('is-silent'), hasPicture: classList.contains('has-picture') };
  });
  assert.deepEqual(await tile(), { isSilent: false, hasPicture: true });
  await grace.click('#camera');
  await grace.click('#microphone');
  await until('both are off', tile, ({ isSilent, hasPicture }) => isSilent && !hasPicture);
  await grace.click('#camera');
  await grace.click('#microphone');
  await until('both are on', tile, ({ isSilent, hasPicture }) => !isSilent && hasPicture);
  await goesOn(ada, ['Grace']);
}

async function four({ chromium, firefox, base }, keep) {
  const browsers = [['Ada', chromium], ['Grace', chromium], ['Mary', chromium], ['Fox', firefox]];
  const { pages } = await together(browsers.map(([name, browser]) => ({ browser, base, name })));
  await keep(pages[0], 'four');
  const all = browsers.map(([name]) => name);
  for (const [index, page] of pages.entries()) await goesOn(page, all.filter((_, other) => other !== index));
}

/** Nine in one page, without pictures: the watcher has eight slots of sound at first, and each of the nine too. */
async function crowd({ chromium, base }) {
  const ada = await enter(chromium, base, 'Ada', { camera: false, microphone: false });
  const { url } = await observe(ada);
  const page = await chromium.open(url);
  const names = Array.from({ length: 9 }, (_, index) => `Speaker ${index}`);
  await page.evaluate(async (all) => {
    const { Meeting } = await import('/meeting.mjs');
    const code = location.pathname.slice('/m/'.length);
    window.speakers = [];
    for (const name of all) {
      const gallery = { tiles: new Map(), update() {}, remove() {}, clear() {} };
      const meeting = await Meeting.join(code, name, { gallery, sound: document.createElement('div') });
      await meeting.setMicrophone(true);
      window.speakers.push(meeting);
    }
  }, names);
  await until('Ada hears all', () => observe(ada), ({ others }) => names.every((name) =>
    others[name]?.audio?.totalAudioEnergy > 0 && others[name].audio.totalSamplesReceived > 48_000));
}

/** Over a network with loss: sound goes on, and pictures are repaired in both directions. */
async function lossy({ chromium, base }) {
  const people = ['Ada', 'Grace'].map((name) => ({ browser: chromium, base, name }));
  const { pages } = await together(people);
  const said = await Promise.all(pages.map((page, index) => survives(page, people[1 - index].name)));
  return said.join('; ');
}

async function survives(page, other) {
  const before = await observe(page);
  const after = await until('it is repaired while frames go on', () => observe(page), ({ others, sent, at }) => {
    const [then, now] = [before, { others }].map((it) => it.others[other].video);
    return at - before.at > 20_000 && now.framesDecoded > then.framesDecoded + 100 &&
      now.retransmittedPacketsReceived > then.retransmittedPacketsReceived &&
      sent.some(({ nackCount, retransmittedPacketsSent }) => nackCount > 0 && retransmittedPacketsSent > 0);
  });
  return survived(before.others[other], after.others[other], (after.at - before.at) / 1000);
}

function survived(before, after, seconds) {
  const grown = (kind, what) => after[kind][what] - before[kind][what];
  const samples = grown('audio', 'totalSamplesReceived');
  const concealed = grown('audio', 'concealedSamples') / samples;
  assert.ok(samples > 40_000 * seconds, `${samples} samples in ${seconds} s`);
  // A packet in ten is lost on the way up or down, and sound is not repaired.
  assert.ok(concealed < 0.15, `${concealed} of the sound is made up`);
  const [freezes, frozen] = ['freezeCount', 'totalFreezesDuration'].map((what) => grown('video', what));
  // What is repaired at the first try is there after 150 ms, and 200 ms without a frame count as a freeze: that takes a
  // second loss of the same packet, or a browser that waits for its turn.
  assert.ok(freezes <= seconds / 2 && frozen <= 0.15 * seconds, `${freezes} freezes of ${frozen} s in ${seconds} s`);
  return `${(grown('video', 'framesDecoded') / seconds).toFixed(1)} frames a second, ` +
    `${freezes} freezes of ${frozen.toFixed(1)} s in all, ${grown('video', 'keyFramesDecoded')} key frames, ` +
    `${grown('video', 'retransmittedPacketsReceived')} packets repaired, ${(100 * concealed).toFixed(1)} % of the sound concealed`;
}

async function hostile({ chromium, base, server }) {
  const people = ['Ada', 'Grace'].map((name) => ({ browser: chromium, base, name }));
  const { pages: [ada, grace], url } = await together(people);
  const eve = await chromium.open(url);
  const answer = await ada.evaluate(() => window.meeting.connection.peer.localDescription.sdp);
  const before = server.memory();
  const flooding = flood(server.said());
  const code = new URL(url).pathname.slice('/m/'.length);
  const heard = await eve.evaluate(attack, [code, answer]);
  await flooding;
  assert.deepEqual(heard, {
    long: ['negotiation', 'answer'], offer: ['glare', 'offer'], stolen: ['negotiation', 'answer'], huge: ['unreadable', ''],
  });
  await goesOn(ada, ['Grace']);
  await goesOn(grace, ['Ada']);
  const grown = server.memory() - before;
  assert.ok(grown < GROWTH_MAX, `the server has grown by ${grown} kB`);
  return `the server has grown by ${grown} kB`;
}

/** In a page: joins without a browser's help, and says what nobody should. */
async function attack([code, stolen]) {
  const url = new URL('/signaling', location.href);
  url.protocol = 'ws:';
  const socket = new WebSocket(url);
  const waiting = [];
  const messages = [];
  socket.onmessage = ({ data }) => {
    messages.push(JSON.parse(data));
    waiting.splice(0).forEach((look) => look());
  };
  await new Promise((resolve) => { socket.onopen = resolve; });
  const hear = async (type) => {
    for (;;) {
      const at = messages.findIndex((message) => message.type === type);
      if (at >= 0) return messages.splice(at, 1)[0];
      await new Promise((resolve) => { waiting.push(resolve); });
    }
  };
  const refused = async (text) => {
    socket.send(text);
    const { code: why, about } = await hear('error');
    return [why, about];
  };
  socket.send(JSON.stringify({ type: 'join', protocol: 1, meeting: code, name: 'Eve' }));
  const { version } = await hear('offer');
  const lines = 'm=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=rtpmap:111 opus/48000/2\r\na=recvonly\r\n'.repeat(1000);
  const sdp = `v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n${lines}`;
  return {
    long: await refused(JSON.stringify({ type: 'answer', version, sdp })),
    offer: await refused(JSON.stringify({ type: 'offer', sdp })),
    stolen: await refused(JSON.stringify({ type: 'answer', version, sdp: stolen })),
    huge: await refused('x'.repeat(10_000_000)),
  };
}

/** STUN, DTLS and noise, 20,000 datagrams to all media ports. */
async function flood(said) {
  const ports = [...said.matchAll(/127\.0\.0\.1:(\d+)/g)].map(([, port]) => Number(port));
  const stun = Buffer.concat([Buffer.from('000100002112a442', 'hex'), Buffer.alloc(12, 7)]);
  const dtls = Buffer.concat([Buffer.from('16fefd000000000000000000c8', 'hex'), Buffer.alloc(200, 1)]);
  const rtp = Buffer.concat([Buffer.from('80600001000000010000000a', 'hex'), Buffer.alloc(1000)]);
  const noise = Buffer.from(Array.from({ length: 1200 }, (_, index) => (index * 37 + 11) % 256));
  const socket = dgram.createSocket('udp4');
  for (let index = 0; index < 20_000; index += 1) {
    const bytes = [stun, dtls, rtp, noise][index % 4];
    await new Promise((resolve) => { socket.send(bytes, ports[index % ports.length], '127.0.0.1', resolve); });
  }
  socket.close();
}
