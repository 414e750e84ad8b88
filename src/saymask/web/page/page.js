// The page of `saymask serve`: frames from the browser's decoder, masks from the server as run lengths, both drawn on one canvas.
// A token comes after the address, as #token=…; the session's id is kept in the address too, so that a reload goes on.

const COLOURS = [[230, 60, 60], [60, 130, 240], [40, 170, 90], [240, 160, 20], [170, 80, 220], [20, 180, 190]];
const OPACITY = 0.5;
const element = (id) => document.getElementById(id);
const address = new URLSearchParams(location.hash.slice(1));
const view = element("view"), pixels = view.getContext("2d", { willReadFrequently: true });

let video = null;        // what the server says of it: size, timestamps
let sessionId = null;
let picture = null;      // <video> or ImageBitmap
let shownFrame = -1;     // frame that the picture stands at
let frameIdx = 0;
let objects = [];        // {query, objId, counts: run lengths per frame, scores}
let chosen = null;       // key of an object; null = a click makes a new one
let playing = false;

const keyOf = (object) => JSON.stringify([object.query, object.objId]);
const find = (key) => objects.find((object) => keyOf(object) === key);
const queries = () => [...new Set(objects.map((object) => object.query))];
const colourOf = (object) => COLOURS[queries().indexOf(object.query) % COLOURS.length];

function say(text, isProblem = false) {
  element("status").textContent = text;
  element("status").classList.toggle("problem", isProblem);
}

async function call(path, options = {}) {
  const headers = { ...options.headers };
  if (address.has("token")) headers.Authorization = `Bearer ${address.get("token")}`;
  if (options.json) { headers["Content-Type"] = "application/json"; options.body = JSON.stringify(options.json); }
  const response = await fetch(path, { method: options.body ? "POST" : "GET", ...options, headers });
  if (!response.ok) {
    const problem = await response.json();
    throw new Error(`${problem.message}${problem.hint ? "; " + problem.hint : ""}`);
  }
  return response;
}
const ofSession = async (verb, json = {}) => (await call(`v1/sessions/${sessionId}/${verb}`, { method: "POST", json })).json();

// -- run lengths: COCO's compressed form, down the columns, background first

function readCounts(text) {
  const counts = [];
  for (let place = 0; place < text.length;) {
    let value = 0, shift = 0, group;
    do {
      group = text.charCodeAt(place++) - 48;
      value |= (group & 31) << shift;
      shift += 5;
    } while (group & 32);
    if (group & 16 && shift < 32) value |= -1 << shift;
    if (counts.length > 2) value += counts[counts.length - 2];
    counts.push(value);
  }
  return counts;
}

function blend(data, counts, colour) {
  let place = 0;
  counts.forEach((count, run) => {
    for (let end = place + count; run % 2 && place < end; place++) {
      const at = 4 * ((place % video.height) * video.width + Math.floor(place / video.height));
      for (let channel = 0; channel < 3; channel++) data[at + channel] += (colour[channel] - data[at + channel]) * OPACITY;
    }
    if (run % 2 === 0) place += count;
  });
}

// -- drawing

async function standAt(index) {
  if (!(picture instanceof HTMLVideoElement) || shownFrame === index) return;
  const end = video.timestamps[index + 1] ?? video.duration;
  const middle = (video.timestamps[index] + end) / 2;  // away from the frame's borders
  await new Promise((seeked) => {
    picture.addEventListener("seeked", seeked, { once: true });
    picture.currentTime = middle;
  });
  shownFrame = index;
}

let drawing = Promise.resolve();
function draw() {
  drawing = drawing.then(async () => {
    if (!video) return;
    const index = frameIdx;
    await standAt(index);
    if (picture) pixels.drawImage(picture, 0, 0, video.width, video.height);
    const image = pixels.getImageData(0, 0, video.width, video.height);
    for (const object of objects) if (object.counts[index]) blend(image.data, object.counts[index], colourOf(object));
    pixels.putImageData(image, 0, 0);
    element("frame").textContent = `${index} of ${video.num_frames - 1}, ${video.timestamps[index].toFixed(2)} s`;
    view.dataset.frame = index;
    drawStrip();
  });
  return drawing;
}

function drawStrip() {
  const strip = element("strip"), context = strip.getContext("2d"), object = find(chosen);
  context.clearRect(0, 0, strip.width, strip.height);
  if (!object) return;
  context.fillStyle = `rgb(${colourOf(object)})`;
  const step = strip.width / video.num_frames;
  object.scores.forEach((score, index) => context.fillRect(index * step, strip.height * (1 - score), Math.max(1, step), strip.height * score));
}

function show(index) {
  frameIdx = Math.max(0, Math.min(video.num_frames - 1, index));
  element("scrub").value = frameIdx;
  return draw();
}

function listObjects() {
  const rows = [{ key: null, label: "a new object" }, ...objects.map((object) => ({ key: keyOf(object), object }))];
  element("objects").replaceChildren(...rows.map(({ key, object, label }) => {
    const row = document.createElement("li"), name = document.createElement("label"), choice = document.createElement("input");
    Object.assign(choice, { type: "radio", name: "object", checked: key === chosen });
    choice.addEventListener("change", () => { chosen = key; draw(); });
    const swatch = document.createElement("span");
    swatch.className = "swatch";
    if (object) swatch.style.background = `rgb(${colourOf(object)})`;
    name.append(choice, " ", swatch, ` ${label ?? `${object.query} · ${object.objId}`}`);
    row.append(name);
    if (object) {
      const remove = document.createElement("button");
      remove.textContent = "Delete";
      remove.setAttribute("aria-label", `Delete ${object.query} ${object.objId}`);
      remove.addEventListener("click", tried(async () => { await ofSession("drop", { query: object.query, obj_id: object.objId }); await reload(); }));
      row.append(remove);
    }
    return row;
  }));
}

// -- what the server says

function take(event) {
  for (const found of event.objects) {
    const key = JSON.stringify([found.query, found.obj_id]);
    let object = find(key);
    if (!object) {
      object = { query: found.query, objId: found.obj_id, counts: [], scores: [] };
      objects.push(object);
      chosen ??= key;
      listObjects();
    }
    object.counts[event.frame_idx] = readCounts(found.rle.counts);
    object.scores[event.frame_idx] = found.score;
  }
  if (event.frame_idx === frameIdx) draw();
}

async function reload() {
  const session = await (await call(`v1/sessions/${sessionId}`)).json();
  objects = session.results.flatMap((result) => result.objects.map((found) => (
    { query: result.query, objId: found.obj_id, counts: found.rle_T.map(readCounts), scores: found.scores_T })));
  if (!find(chosen)) chosen = objects.length ? keyOf(objects[objects.length - 1]) : null;
  listObjects();
  await draw();
  return session;
}

async function follow(jobId) {
  const reader = (await call(`v1/jobs/${jobId}/events`)).body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "", end = null;
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    const blocks = (text + piece.value).split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const [kind, data] = block.split("\n"), event = JSON.parse(data.slice("data: ".length));
      if (kind === "event: end") { end = event; continue; }
      say(`${event.done} of ${event.total} frames`);
      take(event);
    }
  }
  await reload();
  if (end?.problem) throw new Error(`${end.problem.message}; ${end.problem.hint}`);
  say(end ? end.state : "the connection broke; reload the page", !end);
}

async function open(session) {
  ({ video } = session);
  sessionId = session.id;
  address.set("session", sessionId);
  location.replace(`#${address}`);
  Object.assign(view, { width: video.width, height: video.height });
  element("scrub").max = video.num_frames - 1;
  objects = []; chosen = null; picture = null; shownFrame = -1;
  const content = await (await call(`v1/videos/${video.id}/file`)).blob();
  picture = await decodable(content);
  await show(0);
  say(picture ? `${video.name}: ${video.num_frames} frames` : `${video.name}: this browser cannot decode it; masks are shown on black`);
}

function decodable(content) {
  if (video.num_frames === 1) return createImageBitmap(content).catch(() => null);
  return new Promise((resolve) => {
    const player = document.createElement("video");
    Object.assign(player, { muted: true, preload: "auto", playsInline: true });
    player.addEventListener("loadeddata", () => resolve(player), { once: true });
    player.addEventListener("error", () => resolve(null), { once: true });
    player.src = URL.createObjectURL(content);
  });
}

async function upload(file) {
  say(`Sending ${file.name} …`);
  const added = await (await call(`v1/videos?name=${encodeURIComponent(file.name)}`, { method: "POST", body: file })).json();
  const { id } = await (await call("v1/sessions", { json: { video_id: added.id } })).json();
  await open({ id, video: added });
  await reload();
}

// -- what the user does

const tried = (action) => async (event) => {
  event?.preventDefault?.();
  try { await action(event); } catch (error) { say(error.message, true); }
};
const on = (id, kind, action) => element(id).addEventListener(kind, tried(action));

async function play() {
  playing = !playing;
  element("play").textContent = playing ? "Pause" : "Play";
  while (playing) {
    const next = (frameIdx + 1) % video.num_frames, wait = (video.timestamps[next] - video.timestamps[frameIdx]) * 1000;
    await Promise.all([show(next), new Promise((passed) => setTimeout(passed, Math.max(0, wait)))]);
  }
}

async function undo() {
  const { undone } = await ofSession("undo");
  await reload();
  say(undone ? "taken back" : "nothing to take back");
}

on("file", "change", (event) => event.target.files.length && upload(event.target.files[0]));
on("drop", "dragover", () => element("drop").classList.add("over"));
on("drop", "dragleave", () => element("drop").classList.remove("over"));
on("drop", "drop", (event) => { element("drop").classList.remove("over"); return upload(event.dataTransfer.files[0]); });
on("ask", "submit", async () => {
  const { job_id } = await ofSession("queries", { query: element("query").value });
  chosen = null;
  await follow(job_id);
});
on("cancel", "click", () => ofSession("cancel"));
on("carry", "click", async () => follow((await ofSession("propagate", { frame_idx: frameIdx })).job_id));
on("undo", "click", undo);
on("scrub", "input", (event) => show(Number(event.target.value)));
on("back", "click", () => show(frameIdx - 1));
on("next", "click", () => show(frameIdx + 1));
on("play", "click", play);
on("view", "click", async (event) => {
  const box = view.getBoundingClientRect(), scale = Math.min(box.width / video.width, box.height / video.height);
  const x = (event.clientX - box.left - (box.width - video.width * scale) / 2) / scale;
  const y = (event.clientY - box.top - (box.height - video.height * scale) / 2) / scale;
  const object = find(chosen), removes = event.shiftKey || document.querySelector("[name=mode]:checked").value === "remove";
  const at = { frame_idx: frameIdx, x, y, adds: !removes };
  const placed = await ofSession("clicks", object ? { ...at, query: object.query, obj_id: object.objId } : at);
  chosen = JSON.stringify([placed.query, placed.obj_id]);
  await reload();
  say("corrected on this frame; carry it to the others");
});
on("export", "click", async () => {
  const response = await call(`v1/sessions/${sessionId}/export/${element("format").value}`);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = /filename="([^"]+)"/.exec(response.headers.get("Content-Disposition"))[1];
  link.click();
  URL.revokeObjectURL(link.href);
});
addEventListener("keydown", tried(async (event) => {
  if (!video || event.target.matches("input, select")) return;
  if (event.key === "ArrowRight") await show(frameIdx + 1);
  if (event.key === "ArrowLeft") await show(frameIdx - 1);
  if (event.key === " " && !event.target.matches("button")) await play();
  if (event.key === "Escape") await ofSession("cancel");
  if (event.key === "z" && (event.ctrlKey || event.metaKey)) await undo();
}));

await tried(async () => {
  const { formats } = await (await call("v1/models")).json();
  element("format").replaceChildren(...formats.map((name) => new Option(name, name)));
  if (!address.has("session")) return;
  sessionId = address.get("session");
  await open(await (await call(`v1/sessions/${sessionId}`)).json());
  const { jobs } = await reload();
  for (const jobId of jobs) await follow(jobId);
})();
