// What the pointer does on the frame: clicks, and strokes of brush and eraser, each as one step on the server.

import { element } from "./dom.js";
import { say, tried } from "./messages.js";
import { countsOf, gridOf } from "./rle.js";
import { post } from "./server.js";
import { keyOf } from "./session.js";

export const tool = () => document.querySelector("[name=tool]:checked").value;
const paints = () => tool() === "brush" || tool() === "eraser";

// page: {session(), stage, draw(), placed(answer), refresh()}.
export class Painting {
  constructor(page) {
    Object.assign(this, { page, view: page.stage.view, stroke: null });
    const { view } = this;
    view.addEventListener("click", tried((event) => !paints() && this.click(event)));
    view.addEventListener("pointerdown", tried((event) => paints() && event.button === 0 && this.begin(event)));
    view.addEventListener("pointermove", (event) => this.move(event));
    view.addEventListener("pointerup", tried(() => this.isDrawing && this.end()));
    view.addEventListener("pointercancel", tried(() => this.isDrawing && this.end()));
    view.addEventListener("pointerleave", () => page.stage.showRing(null));
    element("size").addEventListener("input", () => this.setSize(Number(element("size").value)));
    element("tools").addEventListener("change", () => this.setTool(tool()));
  }

  setTool(name) {
    document.querySelector(`[name=tool][value=${name}]`).checked = true;
    element("sizing").hidden = !paints();
    this.view.classList.toggle("painted", paints());
    this.page.stage.showRing(null);
  }

  setSize(size) {
    element("size").value = size;
    element("size-shown").value = element("size").value;
  }

  get size() {
    return Number(element("size").value);
  }

  get counts() {
    return countsOf(this.stroke.grid, this.stroke.height, this.stroke.width);
  }

  // The mask under the brush, to be shown on its frame in place of what the object had; null = nothing is painted.
  get preview() {
    return this.stroke && this.page.session().frameIdx === this.frameIdx ? { object: this.object, counts: this.counts } : null;
  }

  async click(event) {
    const { page } = this, session = page.session(), object = session.chosenObject;
    const adds = tool() === "add" && !event.shiftKey;
    if (!object && !adds) return say("Choose the object to take away from.");
    const place = { ...page.stage.place(event), frame_idx: session.frameIdx };
    page.placed(await post(`v1/sessions/${session.id}/clicks`, { ...place, adds, ...named(object) }));
  }

  begin(event) {
    const { page } = this, session = page.session(), { height, width } = session.video;
    if (this.stroke) return;  // the last one has made a new object whose id is not known yet
    this.object = session.chosenObject;
    if (!this.object && tool() === "eraser") return say("Choose the object to erase from.");
    this.frameIdx = session.frameIdx;
    this.stroke = new Stroke(gridOf(this.object?.counts[this.frameIdx], height, width), session.video, tool() === "brush", this.size);
    this.isDrawing = true;
    this.view.focus({ preventScroll: true });
    this.view.setPointerCapture(event.pointerId);
    this.move(event);
  }

  move(event) {
    const { page } = this;
    if (this.isDrawing) {
      for (const between of [...(event.getCoalescedEvents?.() ?? []), event]) {
        const { x, y } = page.stage.place(between);
        this.stroke.to(x, y);
      }
      page.draw();
    }
    page.stage.showRing(paints() && event.pointerType !== "touch" ? { ...page.stage.place(event), size: this.size } : null);
  }

  async end() {
    const { page, object, frameIdx, counts } = this, session = page.session(), { height, width } = session.video;
    this.isDrawing = false;
    if (object) {  // shown at once; strokes may follow faster than answers
      const painted = session.find(keyOf(object)) ?? object;  // it was read anew if a job has ended in the meantime
      painted.counts[frameIdx] = counts;
      painted.scores[frameIdx] = counts.length > 1 ? 1 : 0;
      this.stroke = null;
    }
    const mask = { frame_idx: frameIdx, rle: { size: [height, width], counts }, ...named(object) };
    try {
      const answer = await post(`v1/sessions/${session.id}/masks`, mask);
      page.placed(object ? { ...answer, objects: [] } : answer);
    } catch (error) {
      await page.refresh();
      throw error;
    } finally {
      if (!object) this.stroke = null;
    }
    page.draw();
  }
}

const named = (object) => (object ? { query: object.query, obj_id: object.objId } : {});

// A stroke on one frame's mask: a pixel is changed if its middle is at most half the brush's size away from it.
class Stroke {
  constructor(grid, { height, width }, adds, size) {
    Object.assign(this, { grid, height, width, value: adds ? 1 : 0, radius: size / 2, last: null });
  }

  // On to a point, in pixels of the video.
  to(x, y) {
    const from = this.last ?? { x, y };
    this.last = { x, y };
    const [left, right] = [Math.min(from.x, x) - this.radius, Math.max(from.x, x) + this.radius];
    const [top, bottom] = [Math.min(from.y, y) - this.radius, Math.max(from.y, y) + this.radius];
    for (let row = Math.max(0, Math.floor(top)); row < Math.min(this.height, bottom); row++) {
      for (let column = Math.max(0, Math.floor(left)); column < Math.min(this.width, right); column++) {
        if (distance(column + 0.5, row + 0.5, from, this.last) <= this.radius) this.grid[row * this.width + column] = this.value;
      }
    }
  }
}

// From a point to the straight line between two others.
function distance(x, y, from, to) {
  const dx = to.x - from.x, dy = to.y - from.y, squared = dx * dx + dy * dy;
  const part = squared ? Math.max(0, Math.min(1, ((x - from.x) * dx + (y - from.y) * dy) / squared)) : 0;
  return Math.hypot(x - from.x - part * dx, y - from.y - part * dy);
}
