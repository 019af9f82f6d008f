// Which frames of a slot may be seen. A slot shows one participant after the other in the same track: a frame of one must
// not stand under the name of another.

/** Whether an RTP timestamp is this one or later: they wrap. */
export function isSince(timestamp, first) {
  return ((timestamp - first) >>> 0) < 2 ** 31;
}

export class Picture {
  #video;
  #seen;
  #isSeen = false;
  #track = null;
  #callback = null;

  /** `seen` is called with whether the picture may be seen, as it changes. */
  constructor(video, seen) {
    this.#video = video;
    this.#seen = seen;
  }

  /** Shows what is in a slot: `media` is the slot's own track, `content` what the server says of it. */
  follow(media, content) {
    const isOther = this.#track !== content.track || this.#video.srcObject?.getVideoTracks()[0] !== media;
    if (isOther) this.#video.srcObject = new MediaStream([media]);
    this.#track = content.track;
    // Nothing is sent yet, or no more.
    if (content.layer === null) this.#hide();
    // Another layer of what is seen is the same person.
    else if (isOther || !this.#isSeen) this.#await(content.timestamp);
  }

  /** Shows nothing. */
  end() {
    this.#hide();
    this.#track = null;
    this.#video.srcObject = null;
  }

  /** Waits for the first frame of this source. */
  #await(first) {
    this.#hide();
    if (!this.#video.requestVideoFrameCallback) {
      // A new size, or that it plays on, is all that this browser tells.
      const show = () => this.#show();
      this.#callback = new AbortController();
      for (const type of ['resize', 'loadeddata', 'timeupdate']) {
        this.#video.addEventListener(type, show, { once: true, signal: this.#callback.signal });
      }
      return;
    }
    const look = (_, { rtpTimestamp }) => {
      // Some browsers don't tell the timestamp: the first frame after the word is the best that there is.
      if (rtpTimestamp === undefined || isSince(rtpTimestamp, first)) this.#show();
      else this.#callback = this.#video.requestVideoFrameCallback(look);
    };
    this.#callback = this.#video.requestVideoFrameCallback(look);
  }

  #hide() {
    if (this.#callback instanceof AbortController) this.#callback.abort();
    else if (this.#callback !== null) this.#video.cancelVideoFrameCallback(this.#callback);
    this.#callback = null;
    this.#set(false);
  }

  #show() {
    this.#callback = null;
    this.#set(true);
  }

  #set(isSeen) {
    this.#isSeen = isSeen;
    this.#seen(isSeen);
  }
}
