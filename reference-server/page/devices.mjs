// Camera and microphone. Both may be missing, or forbidden: the meeting goes on without.

const TROUBLES = {
  NotAllowedError: 'is forbidden by the browser’s settings for this page',
  NotFoundError: 'was not found',
  NotReadableError: 'is in use by another program',
};

/** A track of the microphone. Fails with what a person can do about it. */
export const openMicrophone = () =>
  open('microphone', { audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true } });

/** A track of the camera, of at most this size. Fails with what a person can do about it. */
export const openCamera = (width, height) =>
  open('camera', { video: { width: { ideal: width }, height: { ideal: height }, frameRate: { max: 30 } } });

async function open(device, constraints) {
  if (!navigator.mediaDevices) {
    throw new Error(`The ${device} can’t be used: this page is neither from https nor from this machine.`);
  }
  try {
    const stream = await navigator.mediaDevices.getUserMedia(constraints);
    return stream.getTracks()[0];
  } catch (error) {
    throw new Error(`The ${device} ${TROUBLES[error.name] ?? 'does not work'}.`, { cause: error });
  }
}
