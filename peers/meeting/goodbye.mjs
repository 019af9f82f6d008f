// What browsers hear of a meeting's end on the path of the media, though nobody tells them by signalling.

import assert from 'node:assert/strict';

import { enter, observe, until } from './page.mjs';

/** A page on a busy machine may take so long to look. Without a goodbye nothing would come of DTLS at all. */
const SOON = 5_000;

/** Both leave, and keep their peer connections, which the server closes. */
export async function goodbye({ chromium, firefox, base }) {
  const ada = await enter(chromium, base, 'Ada');
  const { url } = await observe(ada);
  const took = {};
  for (const [name, page] of Object.entries({ Chromium: ada, Firefox: await enter(firefox, url, 'Grace') })) {
    await page.evaluate(() => { window.kept = window.meeting.connection.peer; });
    const look = () => page.evaluate(() =>
      window.kept.getTransceivers().map(({ sender, receiver }) => (sender.transport ?? receiver.transport)?.state));
    await until('media flows', look, (states) => states.length > 0 && states.every((state) => state === 'connected'));
    await page.evaluate(() => {
      window.meeting.connection.close = () => {};
      window.meeting.connection.signaling.send('leave', {});
    });
    const begun = Date.now();
    await until('DTLS is closed', look, (states) => states.every((state) => state === 'closed'), SOON);
    took[name] = Date.now() - begun;
    assert.equal(await page.evaluate(() => window.kept.signalingState), 'stable', 'the page has not closed it');
  }
  return `${JSON.stringify(took)} ms`;
}
