// What the page knows of a session: its video, what was asked, and every object's masks. It draws nothing.

import { readCounts } from "./rle.js";
import { get } from "./server.js";

export const DRAWN = "drawn by hand";  // the query of objects that no sentence found
export const COLOURS = [
  [255, 77, 94], [61, 139, 255], [45, 198, 113], [255, 176, 32], [178, 102, 255], [22, 196, 214], [255, 110, 190], [163, 201, 41],
];
export const keyOf = ({ query, objId }) => JSON.stringify([query, objId]);

export class Session {
  constructor(id, video) {
    Object.assign(this, { id, video, objects: [], answers: new Map(), chosen: null, frameIdx: 0, markers: null });
    this.jobs = new Map();     // id -> {done, total}
    this.colours = new Map();  // of queries, and of each object that was drawn: they stay while others go
  }

  find(key) {
    return this.objects.find((object) => keyOf(object) === key);
  }

  get chosenObject() {
    return this.find(this.chosen);
  }

  get queries() {
    return [...new Set([...this.answers.keys(), ...this.objects.map((object) => object.query)])];
  }

  of(query) {
    return this.objects.filter((object) => object.query === query);
  }

  // What the next object that is drawn will probably be.
  get nextDrawn() {
    return { query: DRAWN, objId: 1 + Math.max(0, ...this.of(DRAWN).map(({ objId }) => objId)) };
  }

  colourOf({ query, objId }) {
    const group = query === DRAWN ? keyOf({ query, objId }) : query;
    if (!this.colours.has(group)) this.colours.set(group, this.colours.size % COLOURS.length);
    return COLOURS[this.colours.get(group)];
  }

  // What has a confidence of its own: a query with all its objects, and each object that was drawn.
  get groups() {
    return this.queries.flatMap((query) => {
      const objects = this.of(query);
      if (query !== DRAWN) return [{ name: query, objects, colour: this.colourOf({ query }) }];
      return objects.map((object) => ({ name: this.nameOf(object), objects: [object], colour: this.colourOf(object) }));
    });
  }

  nameOf(object) {
    return object.phrase || `object ${object.objId}`;
  }

  // First and last frame that are asked about and played.
  get span() {
    return this.markers ?? [0, this.video.num_frames - 1];
  }

  mark(first, last) {
    this.markers = first === 0 && last === this.video.num_frames - 1 ? null : [Math.min(first, last), Math.max(first, last)];
  }

  // One frame's masks, from a job or after a step. Whether an object is new.
  takeFrame({ frame_idx, objects }) {
    let isNew = false;
    for (const { query, obj_id, rle, score } of objects) {
      let object = this.find(keyOf({ query, objId: obj_id }));
      if (!object) {
        object = { query, objId: obj_id, phrase: "", counts: [], scores: [], given: new Set() };
        this.objects.push(object);
        isNew = true;
      }
      object.counts[frame_idx] = readCounts(rle.counts);
      object.scores[frame_idx] = score;
    }
    return isNew;
  }

  // Everything as the server has it.
  async refresh() {
    const { results, given, jobs } = await get(`v1/sessions/${this.id}`);
    this.answers = new Map(results.map(({ query, notes }) => [query, { window: notes.window }]));
    this.answers.delete(DRAWN);
    this.objects = results.flatMap(({ query, objects }) => objects.map(({ obj_id, phrase, rle_T, scores_T }) => {
      const onFrames = given.filter((mask) => mask.query === query && mask.obj_id === obj_id).map((mask) => mask.frame_idx);
      return { query, objId: obj_id, phrase, counts: rle_T.map(readCounts), scores: scores_T, given: new Set(onFrames) };
    }));
    if (this.chosen && !this.chosenObject) this.chosen = null;
    return jobs;
  }

  // Where the user was, and what has which colour, for a reload of the tab.
  keepPlace() {
    const { frameIdx, markers, chosen } = this;
    sessionStorage.setItem(this.id, JSON.stringify({ frameIdx, markers, chosen, colours: [...this.colours] }));
  }

  goToKeptPlace() {
    const { colours, ...place } = JSON.parse(sessionStorage.getItem(this.id) ?? "{}");
    Object.assign(this, place, { colours: new Map(colours) });
  }
}
