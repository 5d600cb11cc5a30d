/** The audio thread's part of the microphone: 16-bit samples, 16,000 a second, in pieces of 100 ms.
 *
 *  Where the device gives another rate (Firefox joins no microphone to an audio context of ours),
 *  a windowed sinc brings it to that one. */

const RATE = 16000;
const PIECE = RATE / 10;
const CROSSINGS = 16;  // of zero, to each side of the sinc

class Resampler {
  constructor(from, to) {
    const shared = divisor(from, to), cutoff = Math.min(1, to / from);
    this.up = to / shared;
    this.down = from / shared;
    this.reach = Math.ceil(CROSSINGS / cutoff);
    this.kernels = Array.from({ length: this.up }, (_, phase) => this.#kernel(phase / this.up, cutoff));
    this.rest = new Float32Array(this.reach - 1);  // silence before the first sample
    this.phase = 0;
  }

  #kernel(fraction, cutoff) {
    const kernel = Float32Array.from({ length: 2 * this.reach }, (_, place) => {
      const at = place - this.reach + 1 - fraction, x = Math.PI * at * cutoff;
      return (x === 0 ? 1 : Math.sin(x) / x) * Math.cos(Math.PI * at / (2 * this.reach)) ** 2;
    });
    const sum = kernel.reduce((total, weight) => total + weight, 0);
    return kernel.map((weight) => weight / sum);
  }

  /** As many samples of the new rate as what came so far allows. */
  of(sound) {
    const all = new Float32Array(this.rest.length + sound.length), made = [];
    all.set(this.rest);
    all.set(sound, this.rest.length);
    let first = 0;
    while (first + 2 * this.reach <= all.length) {
      const kernel = this.kernels[this.phase];
      let value = 0;
      for (let place = 0; place < kernel.length; place += 1) value += kernel[place] * all[first + place];
      made.push(value);
      this.phase += this.down;
      first += Math.floor(this.phase / this.up);
      this.phase %= this.up;
    }
    this.rest = all.slice(first);
    return made;
  }
}

const divisor = (a, b) => (b ? divisor(b, a % b) : a);

class Recorder extends AudioWorkletProcessor {
  constructor() {
    super();
    this.resampler = sampleRate === RATE ? null : new Resampler(sampleRate, RATE);
    this.#begin();
    this.port.onmessage = () => {
      this.over = true;
      this.#send(true);
    };
  }

  #begin() {
    this.piece = new Int16Array(PIECE);
    this.filled = 0;
    this.loudest = 0;
  }

  #send(last) {
    const sound = this.piece.slice(0, this.filled);
    this.port.postMessage({ sound, loudest: this.loudest, last }, [sound.buffer]);
    this.#begin();
  }

  process([[sound]]) {
    if (this.over) return false;
    for (const value of sound ? this.resampler?.of(sound) ?? sound : []) {
      this.piece[this.filled++] = Math.max(-32768, Math.min(32767, Math.round(value * 32768)));
      this.loudest = Math.max(this.loudest, Math.abs(value));
      if (this.filled === PIECE) this.#send(false);
    }
    return true;
  }
}

registerProcessor("recorder", Recorder);
