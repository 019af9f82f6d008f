// Chromium, by playwright-core.

export const name = 'chromium';
export const file = '/usr/bin/chromium';

const SWITCHES = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--no-default-browser-check', '--disable-domain-reliability',
  '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream', '--autoplay-policy=no-user-gesture-required',
  // The servers of the tests have certificates of their own making.
  '--ignore-certificate-errors',
  // Names of addresses would go out by multicast.
  '--disable-features=WebRtcHideLocalIpsWithMdns',
];

/** `executable` may be a wrapper; `trusted` is a page that may open the camera without encryption. */
export async function launch(require, { executable = file, trusted } = {}) {
  const { chromium } = require('playwright-core');
  const args = trusted ? [...SWITCHES, `--unsafely-treat-insecure-origin-as-secure=${trusted}`] : SWITCHES;
  const browser = await chromium.launch({ executablePath: executable, headless: true, args });
  return {
    version: browser.version(),
    open: async (url) => {
      const page = await browser.newPage();
      await page.goto(url);
      return page;
    },
    close: () => browser.close(),
  };
}
