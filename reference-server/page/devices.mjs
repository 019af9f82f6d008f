// Camera and microphone. Both may be missing, or forbidden: the meeting goes on without.

/** A track of the microphone; `null` if there is none. */
export const openMicrophone = () =>
  open({ audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true } });

/** A track of the camera, of at most this size; `null` if there is none. */
export const openCamera = (width, height) =>
  open({ video: { width: { ideal: width }, height: { ideal: height }, frameRate: { max: 30 } } });

async function open(constraints) {
  try {
    // Pages that are not from https or localhost have none.
    const stream = await navigator.mediaDevices?.getUserMedia(constraints);
    return stream?.getTracks()[0] ?? null;
  } catch (error) {
    console.warn(error);
    return null;
  }
}
