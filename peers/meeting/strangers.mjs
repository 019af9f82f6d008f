// What people do to the page that did not read how it is meant, and what happens to their devices.

import assert from 'node:assert/strict';

import { enter, hasAll, observe, until } from './page.mjs';

const MARKUP = '<b>Eve</b> <img src="x" onerror="window.struck = true">';

/** No meeting has such a code, or no code is so. */
export async function codes({ chromium, base }) {
  const page = await chromium.open(base);
  const told = async (code) => {
    await page.evaluate((wanted) => {
      document.getElementById('name').value = 'Eve';
      document.getElementById('code').value = wanted;
    }, code);
    await page.click('#join');
    return (await until('she is told', () => observe(page), ({ trouble }) => trouble !== '')).trouble;
  };
  assert.equal(await told('zzzz-zzzz-zzzz'), 'There is no such meeting.');
  assert.match(await told('<script>'), /^A code looks like/);
  assert.match(await told(''), /^A code looks like/);
  await enter(chromium, base, 'Eve', { page });
}

/** Names with markup, and names without end; and two who are one. */
export async function called({ chromium, base }) {
  const ada = await enter(chromium, base, 'Ada');
  const { url } = await observe(ada);
  const long = 'Ma\u202ery '.repeat(2_000);
  const eves = [];
  for (const name of [MARKUP, long, 'Ada']) eves.push(await enter(chromium, url, name, { camera: false }));
  const look = (page) => page.evaluate(() => ({
    names: [...document.querySelectorAll('.tile .name')].map(({ textContent }) => textContent).sort(),
    elements: document.querySelectorAll('#gallery b, #gallery img, #news b, #news img').length,
    struck: window.struck,
    overflows: document.documentElement.scrollWidth > innerWidth,
  }));
  const names = [MARKUP.slice(0, 64), 'Mary '.repeat(2_000).slice(0, 64), 'Ada', 'Ada (you)'].sort();
  const seen = await until('Ada sees them', () => look(ada), (it) => it.names.length === names.length);
  assert.deepEqual(seen, { names, elements: 0, struck: undefined, overflows: false });
  await eves.pop().close();
  await until('one of the two has gone', () => look(ada), (it) => it.names.length === names.length - 1);
  assert.equal((await observe(ada)).names.filter((name) => name === 'Ada').length, 1);
}

/** Camera and microphone are forbidden, then allowed, then taken away, then back. */
export async function devices({ chromium, base }) {
  const ada = await enter(chromium, base, 'Ada');
  const { url } = await observe(ada);
  const page = await chromium.open(url);
  await page.evaluate(() => {
    const { mediaDevices } = navigator;
    const allowed = mediaDevices.getUserMedia.bind(mediaDevices);
    mediaDevices.getUserMedia = async () => { throw new DOMException('no', 'NotAllowedError'); };
    window.allow = () => { mediaDevices.getUserMedia = allowed; };
  });
  await enter(chromium, url, 'Grace', { page });
  const own = () => page.evaluate(() => ({
    on: ['microphone', 'camera'].map((id) => document.getElementById(id).getAttribute('aria-pressed')).join(),
    news: document.getElementById('news').innerText,
  }));
  const tile = () => ada.evaluate(() => {
    const it = [...document.querySelectorAll('.tile')].find(({ textContent }) => textContent.includes('Grace'));
    return ['is-silent', 'has-picture'].map((name) => it?.classList.contains(name)).join();
  });
  const { on } = await until('she is told', own, ({ news }) => /microphone is forbidden/.test(news) && /camera is forbidden/.test(news));
  assert.equal(on, 'false,false');
  assert.equal(await tile(), 'true,false');

  const turnOn = async () => {
    await page.click('#microphone');
    await page.click('#camera');
    await until('both are on', own, (it) => it.on === 'true,true');
    await until('she is seen', tile, (it) => it === 'false,true');
    const before = await observe(ada);
    await until('and heard', () => observe(ada), (it) => hasAll(it, ['Grace'], before));
  };
  await page.evaluate(() => window.allow());
  await turnOn();
  await page.evaluate(() => {
    for (const { track } of [window.meeting.microphone, window.meeting.camera]) {
      track.stop();
      track.dispatchEvent(new Event('ended'));
    }
  });
  await until('she is told', own, ({ on: is, news }) =>
    is === 'false,false' && /microphone is gone/.test(news) && /camera is gone/.test(news));
  await until('she is not seen', tile, (it) => it === 'true,false');
  await turnOn();
}

/** A picture is hidden, and shown again. */
export async function hidden({ chromium, base }) {
  const people = [await enter(chromium, base, 'Ada')];
  const { url } = await observe(people[0]);
  people.push(await enter(chromium, url, 'Grace'));
  const [ada] = people;
  await until('Grace is seen', () => observe(ada), (it) => hasAll(it, ['Grace']));
  const choose = (choice) => ada.evaluate((wanted) => {
    const select = document.querySelector('.tile:not(.is-own) .layer');
    select.value = wanted;
    select.dispatchEvent(new Event('change'));
  }, choice);
  await choose('hidden');
  const { others: { Grace: { video } } } = await until('it is hidden', () => observe(ada), ({ others }) => !others.Grace.isSeen);
  assert.equal(video.layer, null);
  await choose('low');
  await until('it is shown', () => observe(ada), ({ others: { Grace } }) =>
    Grace.isSeen && Grace.video.framesDecoded > video.framesDecoded + 10);
}
