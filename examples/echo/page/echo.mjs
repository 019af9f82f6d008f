// A call with the server: descriptions by HTTP, and the media that comes back.

export class Call {
  /** Called with the stream that comes back. */
  ontrack = () => {};

  /** Called with each message that comes back. */
  onmessage = () => {};

  /** @param {MediaStream} stream what is sent */
  constructor(stream) {
    this.connection = new RTCPeerConnection();
    this.stream = stream;
    this.connection.ontrack = ({ streams }) => this.ontrack(streams[0]);
  }

  /** The page makes the offer. */
  async offer() {
    this.send();
    await this.connection.setLocalDescription();
    const response = await post('/offer', this.connection.localDescription.sdp);
    this.path = response.headers.get('location');
    await this.connection.setRemoteDescription({ type: 'answer', sdp: await response.text() });
  }

  /** The server makes it. */
  async answer() {
    const response = await post('/call', '');
    this.path = response.headers.get('location');
    await this.connection.setRemoteDescription({ type: 'offer', sdp: await response.text() });
    this.send();
    await this.connection.setLocalDescription();
    await post(`${this.path}/answer`, this.connection.localDescription.sdp);
  }

  send() {
    for (const track of this.stream.getTracks()) this.connection.addTrack(track, this.stream);
    this.channel = this.connection.createDataChannel('echo');
    this.channel.binaryType = 'arraybuffer';
    this.channel.onmessage = ({ data }) => this.onmessage(data);
  }

  /** Another offer in the same call, after changes of the connection. */
  async offerAgain() {
    await this.connection.setLocalDescription();
    const response = await post(`${this.path}/offer`, this.connection.localDescription.sdp);
    await this.connection.setRemoteDescription({ type: 'answer', sdp: await response.text() });
  }

  /** New ICE credentials and paths; media goes on meanwhile. */
  async restart() {
    this.connection.restartIce();
    await this.offerAgain();
  }

  /** What the server knows of the call. */
  async status() {
    const response = await fetch(this.path);
    return response.json();
  }

  end() {
    fetch(this.path, { method: 'DELETE', keepalive: true });
    this.connection.close();
  }
}

async function post(path, body) {
  const response = await fetch(path, { method: 'POST', body, headers: { 'content-type': 'application/sdp' } });
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
  return response;
}
