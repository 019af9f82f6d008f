// The page of a meeting, in whichever browser: what a person does with it, and what is to be seen.

/** How long a browser on a busy machine may take for anything. */
const PATIENCE = 40_000;

/** Opens a page, unless there is one, and joins: a new meeting, or the one with this link. The answer is the page. */
export async function enter(browser, url, name, choice = {}) {
  const { camera = true, microphone = true, size = '640x360', page = await browser.open(url) } = choice;
  await page.evaluate((wanted) => {
    document.getElementById('name').value = wanted.name;
    document.getElementById('with-camera').checked = wanted.camera;
    document.getElementById('with-microphone').checked = wanted.microphone;
    document.getElementById('size').value = wanted.size;
  }, { name, camera, microphone, size });
  await page.click(new URL(url).pathname === '/' ? '#create' : '#join');
  await until(`${name} has joined`, () => observe(page), ({ own }) => own);
  return page;
}

/** What somebody sees and hears. */
export function observe(page) {
  return page.evaluate(async () => {
    const { meeting } = window;
    const seen = { url: location.href, trouble: document.getElementById('trouble').textContent, at: performance.now() };
    if (!meeting) return seen;
    const stats = [...(await meeting.connection.peer.getStats()).values()].map((entry) => ({ ...entry }));
    const inbound = (mid) => stats.find((entry) => entry.type === 'inbound-rtp' && entry.mid === mid);
    const others = {};
    for (const [mid, { content, media }] of meeting.slots) {
      if (!content || !media) continue;
      const { name } = meeting.participants.get(content.session) ?? {};
      const entry = inbound(mid);
      const tile = meeting.gallery.tiles.get(content.session);
      others[name] ??= { isSeen: tile?.element.classList.contains('has-picture') ?? false, track: tile?.track };
      const { framesDecoded, frameWidth, keyFramesDecoded, totalSamplesReceived, totalAudioEnergy, concealedSamples } = entry ?? {};
      const { freezeCount, totalFreezesDuration, retransmittedPacketsReceived = 0 } = entry ?? {};
      others[name][media.kind] = media.kind === 'video'
        ? {
            framesDecoded, frameWidth, keyFramesDecoded, layer: content.layer, freezeCount, totalFreezesDuration,
            retransmittedPacketsReceived,
          }
        : { totalSamplesReceived, totalAudioEnergy, concealedSamples };
    }
    return {
      ...seen,
      own: meeting.session,
      state: meeting.connection.peer.connectionState,
      names: [...meeting.participants.values()].map(({ name }) => name).sort(),
      others,
      sent: stats.filter(({ type }) => type === 'outbound-rtp').map(
        ({ kind, rid, framesEncoded, frameWidth, keyFramesEncoded, pliCount, nackCount, retransmittedPacketsSent }) =>
          ({ kind, rid, framesEncoded, frameWidth, keyFramesEncoded, pliCount, nackCount, retransmittedPacketsSent })),
    };
  });
}

/** Whether pictures and sound of all of these are decoded, and seen. */
export function hasAll({ others = {} }, names, before) {
  return names.every((name) => {
    const { isSeen, video, audio } = others[name] ?? {};
    const { video: videoThen, audio: audioThen } = before?.others[name] ?? {};
    return isSeen && video?.framesDecoded > (videoThen?.framesDecoded ?? 0) + 20 &&
      audio?.totalSamplesReceived > (audioThen?.totalSamplesReceived ?? 0) + 48_000 &&
      audio?.totalAudioEnergy > (audioThen?.totalAudioEnergy ?? 0);
  });
}

/** Instead of its camera the page has a picture of one colour. */
export function paint(page, colour) {
  return page.evaluate((fill) => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 640, height: 360 });
    const context = canvas.getContext('2d');
    const draw = () => {
      context.fillStyle = fill;
      context.fillRect(0, 0, 640, 360);
      context.fillStyle = 'black';
      context.fillRect(Date.now() % 600, 0, 20, 20);
    };
    setInterval(draw, 50);
    navigator.mediaDevices.getUserMedia = async () => canvas.captureStream(20);
  }, colour);
}

/** Looks at each picture that is seen, whenever the page is drawn: participants are called by their colours. */
export function watchColours(page) {
  return page.evaluate(() => {
    window.colours = { right: {}, wrong: [] };
    const canvas = new OffscreenCanvas(1, 1);
    const context = canvas.getContext('2d', { willReadFrequently: true });
    const look = () => {
      for (const tile of document.querySelectorAll('.tile.has-picture')) {
        const name = tile.querySelector('.name').textContent;
        context.drawImage(tile.querySelector('video'), 0, 0, 1, 1);
        const [red, , blue] = context.getImageData(0, 0, 1, 1).data;
        const is = red > blue ? 'red' : 'blue';
        if (name === is) window.colours.right[name] = (window.colours.right[name] ?? 0) + 1;
        else window.colours.wrong.push(`${name} is ${is}: ${red} ${blue}`);
      }
      requestAnimationFrame(look);
    };
    look();
  });
}

/** Looks again and again until it is as it should be; else the last look is told. */
export async function until(what, look, isSo, patience = PATIENCE) {
  const last = Date.now() + patience;
  for (;;) {
    const seen = await look();
    if (isSo(seen)) return seen;
    if (Date.now() > last) throw new Error(`${what}: not within ${patience} ms. Last seen: ${JSON.stringify(seen)}`);
    await new Promise((resolve) => { setTimeout(resolve, 100); });
  }
}
