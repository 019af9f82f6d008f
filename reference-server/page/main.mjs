// The two views: the start, and the call.

import { Gallery } from './gallery.mjs';
import { Meeting } from './meeting.mjs';

const element = (id) => document.getElementById(id);
const gallery = new Gallery(element('gallery'), element('tile'));
const ENDS = {
  connection: 'The connection was lost.', transport: 'The connection was lost.', silence: 'The connection was lost.',
  slow: 'The connection is too slow.', shutdown: 'The server has ended the meeting.',
};
const ERRORS = {
  'no-meeting': 'There is no such meeting.', limit: 'The meeting is full.',
  'no-common-codec': 'This browser has no codec of the meeting.',
  protocol: 'This page is older than the server: load it again.',
};

let meeting;

/** The name of the last time, unless the browser keeps nothing. */
function remembered() {
  try {
    return localStorage.getItem('name') ?? '';
  } catch {
    return '';
  }
}

function remember(name) {
  try {
    localStorage.setItem('name', name);
  } catch {
    // It asks again.
  }
}

/** The code in a link, or a code. */
function codeOf(text) {
  return text.trim().toLowerCase().match(/[a-z]{4}-[a-z]{4}-[a-z]{4}/)?.[0];
}

async function create() {
  const unreachable = () => { throw new Error('The server can’t be reached.'); };
  const response = await fetch('/meetings', { method: 'POST' }).catch(unreachable);
  if (!response.ok) throw new Error('The server makes no more meetings now.');
  return (await response.json()).code;
}

async function enter(code) {
  const name = element('name').value.trim();
  remember(name);
  // Of the window, for whoever looks with the browser's console.
  meeting = window.meeting = await Meeting.join(code, name, { gallery, sound: element('sound') });
  meeting.addEventListener('came', ({ detail }) => told(detail, 'is here'));
  meeting.addEventListener('left', ({ detail }) => told(detail, 'has left'));
  meeting.addEventListener('ended', ({ detail }) => leave(detail.reason));
  meeting.addEventListener('lost', ({ detail: { device } }) => {
    announce(`The ${device} is gone.`);
    showDevices();
  });
  history.replaceState(null, '', `/m/${code}${location.search}`);
  invite(code);
  element('shown-code').textContent = code;
  show('call');
  // The browser may ask, and nobody answer: one may leave meanwhile.
  for (const device of ['microphone', 'camera']) if (element(`with-${device}`).checked) turn(device, true);
}

/** Turns a device on or off. */
async function turn(device, on) {
  element(device).disabled = true;
  try {
    if (device === 'microphone') await meeting.setMicrophone(on);
    else await meeting.setCamera(on, ...element('size').value.split('x').map(Number));
  } catch (error) {
    console.warn(error);
    announce(error.message);
  } finally {
    element(device).disabled = false;
    showDevices();
  }
}

/** The code of a meeting that can be joined: that is then what most will want to do. */
function invite(code) {
  element('code').value = code;
  weigh();
}

function weigh() {
  const hasCode = element('code').value.trim() !== '';
  element('join').classList.toggle('primary', hasCode);
  element('create').classList.toggle('primary', !hasCode);
}

function leave(reason) {
  meeting = window.meeting = undefined;
  show('start');
  element('trouble').textContent = ENDS[reason] ?? '';
}

/** Does something that may fail; the buttons wait for it. */
async function attempt(action) {
  const buttons = [element('join'), element('create')];
  buttons.forEach((button) => { button.disabled = true; });
  element('trouble').textContent = '';
  try {
    await action();
  } catch (error) {
    element('trouble').textContent = ERRORS[error.code] ?? error.message;
  } finally {
    buttons.forEach((button) => { button.disabled = false; });
  }
}

function show(view) {
  for (const id of ['start', 'call']) element(id).hidden = id !== view;
  document.title = view === 'call' ? 'Meeting – Plenary' : 'Plenary';
  showDevices();
}

function showDevices() {
  for (const [id, on] of [['microphone', meeting?.isMicrophoneOn], ['camera', meeting?.isCameraOn]]) {
    element(id).setAttribute('aria-pressed', String(Boolean(on)));
    element(id).title = `Turn the ${id} ${on ? 'off' : 'on'}`;
    element(id).querySelector('use').setAttribute('href', `#icon-${id}${on ? '' : '-off'}`);
  }
}

function told({ session, name, wasThere }, what) {
  const count = meeting?.participants.size ?? 0;
  element('count').textContent = count === 1 ? 'Only you are here' : `${count} participants`;
  // Isolated: a name may be written from right to left.
  if (session !== meeting?.session && !wasThere) announce(`\u2068${name || 'Guest'}\u2069 ${what}`);
}

function announce(text) {
  const news = Object.assign(document.createElement('p'), { textContent: text });
  element('news').append(news);
  while (element('news').children.length > 3) element('news').firstChild.remove();
  setTimeout(() => news.remove(), 5000);
}

element('entry').onsubmit = (event) => {
  event.preventDefault();
  const code = codeOf(element('code').value);
  if (code) attempt(() => enter(code));
  else element('trouble').textContent = 'A code looks like abcd-efgh-ijkl. Without one, begin a new meeting.';
};
element('create').onclick = () => {
  if (element('name').reportValidity()) attempt(async () => enter(await create()));
};
element('microphone').onclick = () => turn('microphone', !meeting.isMicrophoneOn);
element('camera').onclick = () => turn('camera', !meeting.isCameraOn);
element('leave').onclick = () => meeting.leave();
element('invite').onclick = async () => {
  try {
    await navigator.clipboard.writeText(location.href);
    announce('The link is copied.');
  } catch {
    // Pages that are not from https or this machine have no clipboard.
    announce(location.href);
  }
};
element('code').oninput = weigh;
addEventListener('pagehide', () => meeting?.leave());

element('name').value = remembered();
const invited = codeOf(location.pathname);
weigh();
if (invited) {
  invite(invited);
  element('invitation').textContent = 'You are invited to a meeting.';
}
