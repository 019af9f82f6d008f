// One meeting: who is in it, and what is in which slot.

import { Connection } from './connection.mjs';
import { openCamera, openMicrophone } from './devices.mjs';
import { Signaling } from './signaling.mjs';

/** Slots of each kind that the server gives at first, at most of each, and how many more are asked for at once. */
const SLOTS = { audio: 8, video: 25 };
const SLOTS_MAX = 64;
const SLOTS_STEP = 8;

export class Meeting extends EventTarget {
  static async join(code, name, view) {
    const signaling = await Signaling.join(code, name);
    return new Meeting(signaling, view);
  }

  /** `view` has a `gallery`, and a place for `sound`. */
  constructor(signaling, { gallery, sound }) {
    super();
    this.signaling = signaling;
    this.session = signaling.session;
    this.hasEnded = false;
    this.gallery = gallery;
    this.sound = sound;
    /** Who is there, by session. */
    this.participants = new Map();
    /** What is in each slot, by MID: its media track, and who it is. */
    this.slots = new Map();
    /** How many there are, or were asked for. */
    this.room = SLOTS;
    this.connection = new Connection(signaling);
    this.connection.onslot = (mid, media) => this.#slot(mid, { media });
    gallery.onlayer = (track, layer) => signaling.send('layer', { track, layer });
    signaling.on('roster', ({ participants }) => participants.forEach((it) => this.#update(it, true)));
    signaling.on('participant', (it) => this.#update(it));
    signaling.on('left', ({ session }) => this.#remove(session));
    signaling.on('slot', ({ mid, content }) => this.#slot(mid, { content }));
    signaling.on('error', ({ about, message }) => console.warn(`${about}: ${message}`));
    signaling.on('closed', ({ reason }) => this.#end(reason));
  }

  get isMicrophoneOn() {
    return Boolean(this.microphone?.track) && !this.microphone.muted;
  }

  get isCameraOn() {
    return Boolean(this.camera?.track) && !this.camera.muted;
  }

  async setMicrophone(on) {
    if (on && !this.microphone?.track) {
      const track = this.#unlessEnded(await openMicrophone());
      if (!track) return;
      this.#watch('microphone', track);
      if (this.microphone) await this.connection.replace(this.microphone, track);
      else this.microphone = this.connection.publish(track, {});
    }
    if (!this.microphone) return;
    if (this.microphone.track) this.microphone.track.enabled = on;
    this.connection.mute(this.microphone, !on);
  }

  /** Off is off: the device is given back. */
  async setCamera(on, width = 1280, height = 720) {
    const track = on ? this.#unlessEnded(await openCamera(width, height)) : null;
    if (on && !track) return;
    if (track) this.#watch('camera', track);
    this.camera?.track?.stop();
    if (this.camera) {
      await this.connection.replace(this.camera, track);
      this.connection.mute(this.camera, !on);
    } else if (track) {
      this.camera = this.connection.publish(track, { simulcast: true });
    }
    this.gallery.tiles.get(this.session)?.showOwn(track);
  }

  /** A device may be taken away: then it is off, and can be turned on again. */
  #watch(device, track) {
    track.onended = async () => {
      if (this.hasEnded || this[device]?.track !== track) return;
      if (device === 'camera') await this.setCamera(false);
      else {
        await this.connection.replace(this.microphone, null);
        this.connection.mute(this.microphone, true);
      }
      this.#say('lost', { device });
    };
  }

  /** A device that was opened while the meeting ended is given back. */
  #unlessEnded(track) {
    if (!this.hasEnded) return track;
    track?.stop();
    return null;
  }

  leave() {
    this.signaling.close();
    this.#end('left');
  }

  #update(participant, wasThere = false) {
    const isNew = !this.participants.has(participant.session);
    this.participants.set(participant.session, participant);
    this.gallery.update(participant, participant.session === this.session);
    if (isNew) this.#say('came', { ...participant, wasThere });
    this.#makeRoom();
    // A slot may have been told before its participant.
    for (const mid of this.slots.keys()) this.#show(mid);
  }

  #remove(session) {
    const participant = this.participants.get(session);
    this.participants.delete(session);
    this.gallery.remove(session);
    if (participant) this.#say('left', participant);
  }

  /** Asks for slots for all: who has none is neither heard nor seen. */
  #makeRoom() {
    const others = [...this.participants.values()].filter(({ session }) => session !== this.session);
    const tracks = others.flatMap((other) => other.tracks);
    const wanted = (kind) => {
      const count = tracks.filter((track) => track.kind === kind).length;
      return Math.max(this.room[kind], Math.min(Math.ceil(count / SLOTS_STEP) * SLOTS_STEP, SLOTS_MAX));
    };
    const { audio, video } = this.room;
    this.room = { audio: wanted('audio'), video: wanted('video') };
    if (this.room.audio > audio || this.room.video > video) this.signaling.send('slots', this.room);
  }

  /** Takes note of a slot's media, or of who is in it. */
  #slot(mid, news) {
    const before = this.slots.get(mid) ?? { media: null, content: null };
    this.slots.set(mid, { ...before, ...news });
    const gone = before.content;
    if (gone && 'content' in news && gone.track !== news.content?.track && !this.#isElsewhere(gone)) {
      this.gallery.tiles.get(gone.session)?.picture.end();
    }
    this.#show(mid);
  }

  /** Whether a track has another slot by now. */
  #isElsewhere({ track }) {
    return [...this.slots.values()].some(({ content }) => content?.track === track);
  }

  #show(mid) {
    const { media, content } = this.slots.get(mid);
    if (media?.kind === 'audio') this.#play(mid, media);
    if (media?.kind !== 'video' || !content) return;
    this.gallery.tiles.get(content.session)?.follow(media, content);
  }

  /** Sound needs no names: each slot has a loudspeaker. */
  #play(mid, media) {
    if (this.sound.querySelector(`[data-mid="${CSS.escape(mid)}"]`)) return;
    const audio = Object.assign(document.createElement('audio'), { autoplay: true, srcObject: new MediaStream([media]) });
    audio.dataset.mid = mid;
    this.sound.append(audio);
    // A browser may want a click first.
    audio.play().catch(() => addEventListener('pointerdown', () => audio.play(), { once: true }));
  }

  #end(reason) {
    if (this.hasEnded) return;
    this.hasEnded = true;
    this.connection.close();
    for (const track of [this.microphone?.track, this.camera?.track]) track?.stop();
    this.gallery.clear();
    this.sound.replaceChildren();
    this.#say('ended', { reason });
  }

  #say(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
