// The media of a meeting: the server's offers are answered, with what this page publishes.

/**
 * The relays that may be used. With `?relay` in the page's address nothing else may be: to try them; with `?relay=udp`, `tcp` or
 * `tls` only those that are reached by it.
 */
function ways(servers) {
  const wanted = new URLSearchParams(location.search).get('relay');
  if (wanted === null) return { iceServers: servers };
  const by = (url) => (url.startsWith('turns:') ? 'tls' : new URLSearchParams(url.split('?')[1]).get('transport'));
  const chosen = servers.map((server) => ({ ...server, urls: server.urls.filter((url) => !wanted || by(url) === wanted) }));
  return { iceServers: chosen.filter(({ urls }) => urls.length > 0), iceTransportPolicy: 'relay' };
}

export class Connection {
  /** Called with the MID of each slot, and the track that is received in it. */
  onslot = () => {};

  constructor(signaling) {
    this.signaling = signaling;
    this.peer = new RTCPeerConnection({ bundlePolicy: 'max-bundle', ...ways(signaling.iceServers) });
    /** What is published, by MID. */
    this.publications = new Map();
    /** Those that have no MID yet, by id. */
    this.asked = new Map();
    this.work = Promise.resolve();
    this.peer.ontrack = ({ transceiver, track }) => this.onslot(transceiver.mid, track);
    this.peer.onicecandidate = ({ candidate }) => signaling.send('candidate', { candidate: candidate?.candidate ?? '' });
    this.peer.oniceconnectionstatechange = () => {
      if (this.peer.iceConnectionState === 'failed') signaling.send('restart');
    };
    signaling.on('publishing', ({ id, mid }) => this.#place(id, mid));
    // One after the other.
    signaling.on('offer', (offer) => { this.work = this.work.then(() => this.#answer(offer)).catch(console.error); });
  }

  /** Publishes a track, once the server has made room for it. */
  publish(track, { simulcast = false, muted = false }) {
    const id = crypto.randomUUID?.() ?? String(Math.random());
    const publication = { track, muted, mid: undefined, sender: undefined };
    this.asked.set(id, publication);
    this.signaling.send('publish', { id, kind: track.kind, simulcast, stream: 'person' });
    return publication;
  }

  /** Sends another track in place of the one before, or none. */
  async replace(publication, track) {
    publication.track = track;
    await publication.sender?.replaceTrack(track);
  }

  mute(publication, muted) {
    publication.muted = muted;
    if (publication.mid) this.signaling.send('mute', { mid: publication.mid, muted });
  }

  #place(id, mid) {
    const publication = this.asked.get(id);
    this.asked.delete(id);
    publication.mid = mid;
    this.publications.set(mid, publication);
    if (publication.muted) this.mute(publication, true);
  }

  async #answer({ version, sdp }) {
    await this.peer.setRemoteDescription({ type: 'offer', sdp });
    for (const transceiver of this.peer.getTransceivers()) {
      const publication = this.publications.get(transceiver.mid);
      if (!publication || publication.sender || transceiver.stopped) continue;
      publication.sender = transceiver.sender;
      transceiver.direction = 'sendonly';
      await transceiver.sender.replaceTrack(publication.track);
    }
    await this.peer.setLocalDescription();
    this.signaling.send('answer', { version, sdp: this.peer.localDescription.sdp });
  }

  close() {
    this.peer.close();
  }
}
