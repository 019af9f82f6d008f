// One tile for each participant.

import { Picture } from './picture.mjs';
import { choices, layerFor } from './quality.mjs';

const RATIO = 16 / 9;

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
  /** Called with a track and the layer of it that is wanted from now on. */
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
    const { children, clientWidth, clientHeight, style } = this.list;
    const { paddingLeft, paddingRight, columnGap } = getComputedStyle(this.list);
    const [gap, count] = [parseFloat(columnGap) || 0, children.length];
    const width = clientWidth - parseFloat(paddingLeft) - parseFloat(paddingRight);
    const tile = arrange(count, width, clientHeight, gap);
    // A tile has two columns of the grid, so that a last row of fewer tiles stands in the middle.
    style.setProperty('--halves', tile.columns * 2);
    style.setProperty('--half-width', `${(tile.width - gap) / 2}px`);
    style.setProperty('--tile-height', `${Math.floor(tile.width / RATIO)}px`);
    const last = count % tile.columns;
    [...children].forEach((child, index) => {
      child.style.gridColumnStart = last > 0 && index === count - last ? tile.columns - last + 1 : '';
    });
  }
}

class Tile {
  #isMuted = false;
  #isSeen = false;
  #onlayer;
  #published;
  /** The layer that was asked for, or that the server has begun with. */
  #layer;
  #isInSlot = false;

  constructor(element, isOwn, onlayer) {
    this.#onlayer = onlayer;
    this.element = element;
    this.isOwn = isOwn;
    this.video = element.querySelector('video');
    this.select = element.querySelector('.layer');
    this.picture = new Picture(this.video, (isSeen) => {
      this.#isSeen = isSeen;
      this.#show();
    });
    element.classList.toggle('is-own', isOwn);
    this.select.onchange = () => this.#choose();
  }

  update(name, tracks) {
    const [audio, video] = ['audio', 'video'].map((kind) => tracks.find((track) => track.kind === kind));
    const shown = name || 'Guest';
    this.element.querySelector('.name').textContent = this.isOwn ? `${shown} (you)` : shown;
    this.element.querySelector('.initials').textContent = initials(shown);
    this.element.style.setProperty('--hue', hue(shown));
    this.element.classList.toggle('is-silent', !audio || audio.muted);
    this.#isMuted = video?.muted ?? false;
    if (!this.isOwn) this.#offer(video);
    this.#show();
  }

  /** Shows what is in a slot, and which layer of it. */
  follow(media, content) {
    this.picture.follow(media, content);
    this.#isInSlot = true;
    this.#layer ??= content.layer ?? undefined;
    this.#choose();
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

  /** What can be chosen of a track, and what of it was chosen. */
  #offer(video) {
    if (video?.layers !== this.#published?.layers) {
      const options = Object.entries(choices(video?.layers)).map(([choice, name]) => new Option(name, choice));
      const { value } = this.select;
      this.select.replaceChildren(...options);
      this.select.value = options.some((option) => option.value === value) ? value : options[0].value;
    }
    this.select.hidden = !video;
    if (video?.track !== this.track) [this.#layer, this.#isInSlot] = [undefined, false];
    this.track = video?.track;
    this.#published = video;
    this.#choose();
  }

  /** Asks for what was chosen: now, once there is a slot for it, and again as other layers are sent. */
  #choose() {
    if (!this.#published || !this.#isInSlot) return;
    const layer = layerFor(this.select.value, this.#published);
    if (layer === undefined || layer === this.#layer) return;
    this.#layer = layer;
    this.#onlayer(this.track, layer);
  }

  #show() {
    this.element.classList.toggle('has-picture', this.#isSeen && !this.#isMuted);
  }
}

function initials(name) {
  const words = name.trim().split(/\s+/);
  return [words[0], words.length > 1 ? words.at(-1) : ''].map((word) => word.match(/[\p{L}\p{N}]/u)?.[0] ?? '').join('').toUpperCase();
}

function hue(name) {
  return [...name].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 360, 0);
}
