// Below the frame: the scrub bar with its markers, and a strip for each query that shows on every frame how sure the model is.

import { make, swatch } from "./dom.js";

const STRIP_HEIGHT = 20;

export class Timeline {
  constructor(scrub, strips, seek) {
    Object.assign(this, { scrub, strips, seek, rows: [] });
    scrub.addEventListener("input", () => seek(Number(scrub.value)));
    new ResizeObserver(() => this.session && this.draw(this.session)).observe(strips);
  }

  draw(session) {
    this.session = session;
    const { video, frameIdx, markers, groups } = session, last = video.num_frames - 1;
    Object.assign(this.scrub, { max: last, value: frameIdx });
    this.scrub.setAttribute("aria-valuetext", `frame ${frameIdx} of ${last}, ${video.timestamps[frameIdx].toFixed(2)} seconds`);
    this.scrub.style.setProperty("--frames", video.num_frames);
    const [first, end] = markers ?? [0, -1];
    this.scrub.style.setProperty("--in", `${100 * first / video.num_frames}%`);
    this.scrub.style.setProperty("--out", `${100 * (end + 1) / video.num_frames}%`);
    if (groups.map(({ name }) => name).join("\n") !== this.rows.map(({ name }) => name).join("\n")) this.build(groups);
    this.rows.forEach((row, number) => this.drawStrip(row.canvas, groups[number]));
  }

  build(groups) {
    this.rows = groups.map(({ name, colour }) => {
      const canvas = make("canvas", { height: STRIP_HEIGHT, role: "img" });
      canvas.addEventListener("pointerdown", (event) => this.seek(this.frameUnder(canvas, event)));
      const label = make("span", { className: "name", title: name }, swatch(colour), make("span", {}, name));
      return { name, canvas, row: make("div", { className: "strip" }, label, canvas) };
    });
    this.strips.replaceChildren(...this.rows.map(({ row }) => row));
  }

  frameUnder(canvas, { clientX }) {
    const box = canvas.getBoundingClientRect();
    return Math.floor((clientX - box.left) / box.width * this.session.video.num_frames);
  }

  drawStrip(canvas, { name, objects, colour }) {
    const { video, frameIdx } = this.session, density = devicePixelRatio;
    const width = canvas.width = Math.max(1, Math.round(canvas.clientWidth * density));
    const height = canvas.height = STRIP_HEIGHT * density;
    const bars = canvas.getContext("2d"), step = width / video.num_frames, gap = step > 6 * density ? density : 0;
    const scores = Array.from({ length: video.num_frames }, (_, index) => {
      const known = objects.map((object) => object.scores[index]).filter((score) => score !== undefined);
      return known.length ? Math.max(...known) : undefined;
    });
    scores.forEach((score, index) => {
      if (score === undefined) return;
      bars.fillStyle = `rgba(${colour}, ${0.35 + 0.65 * score})`;
      bars.fillRect(index * step, height * (1 - score), Math.max(1, step - gap), height * score);
    });
    for (const index of objects.flatMap((object) => [...object.given])) this.drawGiven(bars, (index + 0.5) * step, density);
    bars.fillStyle = getComputedStyle(canvas).color;
    bars.fillRect((frameIdx + 0.5) * step - density, 0, 2 * density, height);
    canvas.setAttribute("aria-label", spoken(name, scores));
  }

  // A diamond where the user said where the object is.
  drawGiven(bars, middle, density) {
    const size = 5 * density;
    const diamond = new Path2D(`M${middle} 0 l${size} ${size} l${-size} ${size} l${-size} ${-size} z`);
    Object.assign(bars, { fillStyle: "#fff", strokeStyle: "#000", lineWidth: density });
    bars.fill(diamond);
    bars.stroke(diamond);
  }
}

function spoken(name, scores) {
  const known = scores.filter((score) => score !== undefined);
  if (!known.length) return `Confidence of ${name}: not known yet`;
  const mean = known.reduce((sum, score) => sum + score, 0) / known.length, least = Math.min(...known);
  return `Confidence of ${name}: ${mean.toFixed(2)} on average, lowest ${least.toFixed(2)} on frame ${scores.indexOf(least)}`;
}
