// One tile for each participant.

import { Picture } from './picture.mjs';

const RATIO = 16 / 9;
const SIZES = { 1: ['One size'], 2: ['Small', 'Large'], 3: ['Small', 'Medium', 'Large'] };

/** How many columns give the largest tiles, and how large they are. */
export function arrange(count, width, height, gap) {
  let best = { columns: 1, width: 0 };
  for (let columns = 1; columns <= count; columns += 1) {
    const rows = Math.ceil(count / columns);
    const wide = (width - gap * (columns - 1)) / columns;
    const high = (height - gap * (rows - 1)) / rows;
    const tile = Math.floor(Math.min(wide, high * RATIO));
    if (tile > best.width) best = { columns, width: tile };
  }
  return best;
}

export class Gallery {
  /** Called with a track and the layer of it that was chosen. */
  onlayer = () => {};

  constructor(list, template) {
    this.list = list;
    this.template = template;
    /** By session. */
    this.tiles = new Map();
    new ResizeObserver(() => this.#arrange()).observe(list);
  }

  /** Shows a participant as it is now. */
  update({ session, name, tracks }, isOwn = false) {
    const tile = this.tiles.get(session) ?? this.#add(session, isOwn);
    tile.update(name, tracks);
    return tile;
  }

  remove(session) {
    this.tiles.get(session)?.end();
    this.tiles.delete(session);
    this.#arrange();
  }

  clear() {
    [...this.tiles.keys()].forEach((session) => this.remove(session));
  }

  #add(session, isOwn) {
    const element = this.template.content.firstElementChild.cloneNode(true);
    const tile = new Tile(element, isOwn, (...choice) => this.onlayer(...choice));
    this.tiles.set(session, tile);
    if (isOwn) this.list.prepend(element);
    else this.list.append(element);
    this.#arrange();
    return tile;
  }

  #arrange() {
    const { clientWidth, clientHeight, style } = this.list;
    const { paddingLeft, paddingRight, columnGap } = getComputedStyle(this.list);
    const width = clientWidth - parseFloat(paddingLeft) - parseFloat(paddingRight);
    const tile = arrange(this.tiles.size, width, clientHeight, parseFloat(columnGap) || 0);
    style.setProperty('--columns', tile.columns);
    style.setProperty('--tile-width', `${tile.width}px`);
    style.setProperty('--tile-height', `${Math.floor(tile.width / RATIO)}px`);
  }
}

class Tile {
  #isMuted = false;
  #isSeen = false;
  #layers = 0;

  constructor(element, isOwn, onlayer) {
    this.element = element;
    this.isOwn = isOwn;
    this.video = element.querySelector('video');
    this.select = element.querySelector('.layer');
    this.picture = new Picture(this.video, (isSeen) => {
      this.#isSeen = isSeen;
      this.#show();
    });
    element.classList.toggle('is-own', isOwn);
    this.select.onchange = () => onlayer(this.track, this.select.value === '' ? null : Number(this.select.value));
  }

  update(name, tracks) {
    const [audio, video] = ['audio', 'video'].map((kind) => tracks.find((track) => track.kind === kind));
    const shown = name || 'Guest';
    this.element.querySelector('.name').textContent = this.isOwn ? `${shown} (you)` : shown;
    this.element.querySelector('.initials').textContent = initials(shown);
    this.element.style.setProperty('--hue', hue(shown));
    this.element.classList.toggle('is-silent', !audio || audio.muted);
    this.#isMuted = video?.muted ?? false;
    this.track = video?.track;
    if (!this.isOwn) this.#offerLayers(video?.layers ?? 0);
    this.#show();
  }

  /** Shows what is in a slot, and which layer of it. */
  follow(media, content) {
    this.picture.follow(media, content);
    if (content.layer !== null) this.select.value = String(content.layer);
  }

  /** Shows the own camera, or nothing. */
  showOwn(track) {
    this.video.srcObject = track ? new MediaStream([track]) : null;
    this.#isSeen = Boolean(track);
    this.#show();
  }

  end() {
    this.picture.end();
    this.element.remove();
  }

  #offerLayers(count) {
    this.select.hidden = count === 0;
    if (count === this.#layers) return;
    this.#layers = count;
    const names = SIZES[count] ?? Array.from({ length: count }, (_, index) => `Size ${index + 1}`);
    this.select.replaceChildren(...names.map((name, index) => new Option(name, index)), new Option('Hide', ''));
    this.select.value = '0';
  }

  #show() {
    this.element.classList.toggle('has-picture', this.#isSeen && !this.#isMuted);
  }
}

function initials(name) {
  const words = name.trim().split(/\s+/);
  return [words[0], words.length > 1 ? words.at(-1) : ''].map((word) => [...word][0] ?? '').join('').toUpperCase();
}

function hue(name) {
  return [...name].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 360, 0);
}
