// The frame with its masks. Two canvases lie on each other: pixels of the video below, and above them outlines and the brush, as sharp as
// the screen.

import { eachRun, gridOf } from "./rle.js";

const OPACITY = 0.5, WIDTH = 1.5, CHOSEN_WIDTH = 3;

export class Stage {
  constructor(view, outlines) {
    Object.assign(this, { view, outlines, overlay: document.createElement("canvas"), shown: [], ring: null });
    new ResizeObserver(() => this.drawOutlines()).observe(view);
  }

  open(video) {
    this.video = video;
    for (const canvas of [this.view, this.overlay]) Object.assign(canvas, { width: video.width, height: video.height });
    this.view.parentElement.style.setProperty("--ratio", video.width / video.height);
    this.masks = this.overlay.getContext("2d").createImageData(video.width, video.height);
    this.words = new Uint32Array(this.masks.data.buffer);
  }

  // masks: {counts, colour, isChosen}, the chosen one last.
  paint(image, masks) {
    const pixels = this.view.getContext("2d"), { width, height } = this.video;
    pixels.drawImage(image, 0, 0, width, height);
    this.words.fill(0);
    for (const { counts, colour: [red, green, blue] } of masks) {
      const word = (Math.round(255 * OPACITY) << 24 | blue << 16 | green << 8 | red) >>> 0;
      eachRun(counts, height, (column, top, end) => {
        for (let row = top; row < end; row++) this.words[row * width + column] = word;
      });
    }
    this.overlay.getContext("2d").putImageData(this.masks, 0, 0);
    pixels.drawImage(this.overlay, 0, 0);
    this.shown = masks;
    this.drawOutlines();
  }

  drawOutlines() {
    const { outlines, view, video } = this, box = view.getBoundingClientRect(), density = devicePixelRatio;
    if (!video || !box.width) return;
    Object.assign(outlines, { width: Math.round(box.width * density), height: Math.round(box.height * density) });
    view.classList.toggle("enlarged", box.width > 2 * video.width);
    const lines = outlines.getContext("2d"), scale = outlines.width / video.width;
    lines.setTransform(scale, 0, 0, scale, 0, 0);
    lines.lineCap = "square";
    for (const { counts, colour, isChosen } of this.shown) {
      const border = this.border(counts);
      const passes = isChosen ? [["#000a", CHOSEN_WIDTH + 2], ["#fff", CHOSEN_WIDTH]] : [[`rgb(${colour})`, WIDTH]];
      for (const [style, width] of passes) {
        Object.assign(lines, { strokeStyle: style, lineWidth: width * density / scale });
        lines.stroke(border);
      }
    }
    if (this.ring) this.drawRing(lines, density / scale);
  }

  drawRing(lines, width) {
    const circle = new Path2D();
    circle.arc(this.ring.x, this.ring.y, this.ring.size / 2, 0, 2 * Math.PI);
    for (const [style, factor] of [["#000", 3], ["#fff", 1.5]]) {
      Object.assign(lines, { strokeStyle: style, lineWidth: factor * width });
      lines.stroke(circle);
    }
  }

  // Where a pixel of the mask has a side in common with one outside it.
  border(counts) {
    const { width, height } = this.video, grid = gridOf(counts, height, width), path = new Path2D();
    const isIn = (row, column) => column >= 0 && column < width && grid[row * width + column];
    eachRun(counts, height, (column, top, end) => {
      path.moveTo(column, top);
      path.lineTo(column + 1, top);
      path.moveTo(column, end);
      path.lineTo(column + 1, end);
      for (const [neighbour, side] of [[column - 1, column], [column + 1, column + 1]]) {
        for (let row = top, begin = top; row <= end; row++) {
          if (row < end && !isIn(row, neighbour)) continue;
          if (row > begin) {
            path.moveTo(side, begin);
            path.lineTo(side, row);
          }
          begin = row + 1;
        }
      }
    });
    return path;
  }

  // Of a pointer, in pixels of the video.
  place({ clientX, clientY }) {
    const box = this.view.getBoundingClientRect();
    const x = (clientX - box.left) / box.width * this.video.width, y = (clientY - box.top) / box.height * this.video.height;
    return { x, y };
  }

  showRing(ring) {
    this.ring = ring;
    this.drawOutlines();
  }
}
