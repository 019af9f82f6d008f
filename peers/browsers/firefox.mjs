// Firefox, by WebDriver BiDi and puppeteer-core.

export const name = 'firefox';
export const file = '/usr/bin/firefox-esr';

const PREFERENCES = {
  'media.navigator.streams.fake': true,
  'media.navigator.permission.disabled': true,
  'media.autoplay.default': 0,
  'media.autoplay.blocking_policy': 0,
  'media.peerconnection.ice.obfuscate_host_addresses': false,
  // To reach 127.0.0.1 it needs a candidate there; and a page that may not capture has one of the default route only.
  'media.peerconnection.ice.loopback': true,
  'permissions.default.camera': 1,
  'permissions.default.microphone': 1,
};

export async function launch(require) {
  const puppeteer = require('puppeteer-core');
  const options = { browser: 'firefox', executablePath: file, headless: true, extraPrefsFirefox: PREFERENCES, acceptInsecureCerts: true };
  const browser = await puppeteer.launch(options);
  return {
    version: (await browser.version()).replace(/^\D*/, ''),
    open: async (url) => {
      const page = await browser.newPage();
      await page.goto(url);
      return page;
    },
    close: () => browser.close(),
  };
}
