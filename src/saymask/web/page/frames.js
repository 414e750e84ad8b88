// Frames of a video by their number: from the browser's own decoder, or from the server where the browser cannot decode the file, or shows
// another frame than the one that was asked for. The times are the server's, so frames of unequal length are found as well.

import { call } from "./server.js";

const PRESENTED_MILLISECONDS = 200;  // a seek within the frame that is shown already presents nothing
const MAX_STILLS = 64;
const passed = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// An object with show(index) -> what can be drawn; play(from, first, last, shown), which goes round until stop().
export async function openFrames(video) {
  const content = await (await call(`v1/videos/${video.id}/file`)).blob();
  const stills = new Stills(video);
  if (video.num_frames === 1) return await pictureOf(content, video) ?? stills;
  const player = await playerOf(content);
  return player ? new Decoded(video, player, stills) : stills;
}

async function pictureOf(content, { width, height }) {
  const image = await createImageBitmap(content).catch(() => null);
  return image?.width === width && image.height === height ? { show: async () => image } : null;
}

function playerOf(content) {
  return new Promise((resolve) => {
    const player = document.createElement("video");
    if (!player.requestVideoFrameCallback) return resolve(null);
    Object.assign(player, { muted: true, preload: "auto", playsInline: true });
    player.addEventListener("loadeddata", () => resolve(player.videoWidth ? player : null), { once: true });
    player.addEventListener("error", () => resolve(null), { once: true });
    player.src = URL.createObjectURL(content);
  });
}

class Decoded {
  constructor({ timestamps, duration }, player, stills) {
    Object.assign(this, { player, stills, timestamps, run: 0, callback: 0, asked: -1, presented: -1 });
    this.end = timestamps[0] + duration;
  }

  async show(index) {
    if (index !== this.asked) await this.seek(index);
    return this.presented === index ? this.player : this.stills.show(index);
  }

  async seek(index) {
    const middle = (this.timestamps[index] + (this.timestamps[index + 1] ?? this.end)) / 2;  // away from the frame's borders
    const presented = new Promise((resolve) => {
      this.player.requestVideoFrameCallback((_, { mediaTime }) => resolve(this.presented = this.frameAt(mediaTime)));
    });
    const seeked = new Promise((resolve) => this.player.addEventListener("seeked", resolve, { once: true }));
    this.player.currentTime = middle;
    await seeked;
    await Promise.race([presented, passed(PRESENTED_MILLISECONDS)]);
    this.asked = index;
  }

  frameAt(time) {
    let nearest = 0;
    this.timestamps.forEach((timestamp, index) => {
      if (Math.abs(timestamp - time) < Math.abs(this.timestamps[nearest] - time)) nearest = index;
    });
    return nearest;
  }

  async play(from, first, last, shown) {
    const run = ++this.run;
    const begin = async (index) => {
      this.player.pause();
      this.player.cancelVideoFrameCallback(this.callback);
      await this.show(index);
      if (run !== this.run) return;
      shown(index);
      this.callback = this.player.requestVideoFrameCallback(step);
      await this.player.play();
    };
    const step = (_, { mediaTime }) => {
      if (run !== this.run) return;
      const index = this.frameAt(mediaTime);
      if (index > last) return begin(first);
      this.asked = this.presented = index;
      shown(index);
      this.callback = this.player.requestVideoFrameCallback(step);
    };
    this.player.onended = () => run === this.run && begin(first);
    await begin(from);
  }

  stop() {
    this.run++;
    this.player.pause();
    this.asked = -1;  // the player may be a frame further than what was shown last
  }

  close() {
    URL.revokeObjectURL(this.player.src);
  }
}

class Stills {
  constructor(video) {
    Object.assign(this, { video, run: 0, kept: new Map() });
  }

  async show(index) {
    if (!this.kept.has(index)) {
      const still = await (await call(`v1/videos/${this.video.id}/frames/${index}`)).blob();
      this.kept.set(index, await createImageBitmap(still));
      if (this.kept.size > MAX_STILLS) this.kept.delete(this.kept.keys().next().value);
    }
    return this.kept.get(index);
  }

  async play(from, first, last, shown) {
    const run = ++this.run, { timestamps } = this.video;
    for (let index = from; run === this.run;) {
      await Promise.all([shown(index), passed(1000 * Math.max(0, (timestamps[index + 1] ?? timestamps[index]) - timestamps[index]))]);
      index = index >= last ? first : index + 1;
    }
  }

  stop() {
    this.run++;
  }
}
