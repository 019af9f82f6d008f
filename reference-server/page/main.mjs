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

/** The code in a link, or a code. */
function codeOf(text) {
  return text.trim().toLowerCase().match(/[a-z]{4}-[a-z]{4}-[a-z]{4}/)?.[0];
}

async function create() {
  const response = await fetch('/meetings', { method: 'POST' });
  if (!response.ok) throw new Error('The server makes no more meetings now.');
  return (await response.json()).code;
}

async function enter(code) {
  const name = element('name').value.trim();
  localStorage.setItem('name', name);
  // Of the window, for whoever looks with the browser's console.
  meeting = window.meeting = await Meeting.join(code, name, { gallery, sound: element('sound') });
  meeting.addEventListener('came', ({ detail }) => told(detail, 'is here'));
  meeting.addEventListener('left', ({ detail }) => told(detail, 'has left'));
  meeting.addEventListener('ended', ({ detail }) => leave(detail.reason));
  history.replaceState(null, '', `/m/${code}`);
  element('shown-code').textContent = code;
  show('call');
  const size = element('size').value.split('x').map(Number);
  await Promise.all([
    element('with-microphone').checked && meeting.setMicrophone(true),
    element('with-camera').checked && meeting.setCamera(true, ...size),
  ]);
  showDevices();
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

let quiet;
function told({ session, name }, what) {
  const count = meeting?.participants.size ?? 0;
  element('count').textContent = count === 1 ? 'Only you are here' : `${count} participants`;
  if (session !== meeting?.session) announce(`${name || 'Guest'} ${what}`);
}

function announce(text) {
  element('news').textContent = text;
  clearTimeout(quiet);
  quiet = setTimeout(() => { element('news').textContent = ''; }, 4000);
}

element('entry').onsubmit = (event) => {
  event.preventDefault();
  const code = codeOf(element('code').value);
  if (code) attempt(() => enter(code));
  else element('trouble').textContent = 'A code looks like abcd-efgh-ijkl.';
};
element('create').onclick = () => {
  if (element('name').reportValidity()) attempt(async () => enter(await create()));
};
element('microphone').onclick = async () => {
  await meeting.setMicrophone(!meeting.isMicrophoneOn);
  showDevices();
};
element('camera').onclick = async () => {
  await meeting.setCamera(!meeting.isCameraOn, ...element('size').value.split('x').map(Number));
  showDevices();
};
element('leave').onclick = () => meeting.leave();
element('invite').onclick = async () => {
  await navigator.clipboard?.writeText(location.href);
  announce(navigator.clipboard ? 'The link is copied' : location.href);
};
addEventListener('pagehide', () => meeting?.leave());

element('name').value = localStorage.getItem('name') ?? '';
const invited = codeOf(location.pathname);
if (invited) {
  element('code').value = invited;
  element('invitation').textContent = 'You are invited to a meeting.';
}
