// The page of `saymask serve`: frames from the browser's decoder, masks from the server as run lengths, both drawn on a canvas.

import { element, onFile } from "./dom.js";
import { openFrames } from "./frames.js";
import { drawJobs, follow } from "./jobs.js";
import { listen } from "./keys.js";
import { complain, say, tried } from "./messages.js";
import { Painting, tool } from "./painting.js";
import { Panel } from "./panel.js";
import { download, get, post, putSessionInAddress, sessionInAddress } from "./server.js";
import { keyOf, Session } from "./session.js";
import { Stage } from "./stage.js";
import { Timeline } from "./timeline.js";
import { cancelUpload, send } from "./upload.js";

let session = null, frames = null, isPlaying = false, showsMasks = true;
const ofSession = (verb, json) => post(`v1/sessions/${session.id}/${verb}`, json);

// -- what is drawn

const stage = new Stage(element("view"), element("outlines"));
const timeline = new Timeline(element("scrub"), element("strips"), tried((index) => show(index)));
const panel = new Panel(element("objects"), {
  choose: tried((key) => { session.chosen = key; return draw(); }),
  rename: tried(rename),
  drop: tried(drop),
  askAll: tried((query) => ask(query)),
});
const parts = { session: () => session, stage, timeline, panel, draw, placed, refresh };
const painting = new Painting(parts);

let isWanted = false, drawing = null;
function draw() {  // many calls while one frame is sought are one
  isWanted = true;
  drawing ??= (async () => {
    try {
      for (; isWanted; await paint()) isWanted = false;
    } catch (error) {
      complain(error);
    } finally {
      drawing = null;
    }
  })();
  return drawing;
}

async function paint() {
  const { frameIdx, video } = session, current = session, image = await frames.show(frameIdx);
  if (current !== session) return;
  const { preview } = painting, replaced = preview?.object && keyOf(preview.object);
  const masks = session.objects.filter((object) => object.counts[frameIdx] && keyOf(object) !== replaced)
    .map((object) => ({ counts: object.counts[frameIdx], colour: session.colourOf(object), isChosen: keyOf(object) === session.chosen }));
  if (preview) masks.push({ counts: preview.counts, colour: session.colourOf(preview.object ?? session.nextDrawn), isChosen: true });
  masks.sort((one, other) => one.isChosen - other.isChosen);
  const shown = showsMasks ? masks : [];
  stage.paint(image, shown);
  timeline.draw(session);
  element("time").textContent = `${frameIdx} / ${video.num_frames - 1} · ${video.timestamps[frameIdx].toFixed(2)} s`;
  element("carry-button").disabled = !session.objects.some((object) => object.given.has(frameIdx));
  const count = shown.filter(({ counts }) => counts.length > 1).length;
  stage.view.setAttribute("aria-label", `Frame ${frameIdx} with ${count} ${count === 1 ? "mask" : "masks"}`);
}

function show(index) {
  if (isPlaying) stop();
  session.frameIdx = Math.max(0, Math.min(session.video.num_frames - 1, index));
  return draw();
}

function drawMarkers() {
  const { markers } = session;
  element("unmark").disabled = !markers;
  element("ask-button").textContent = markers ? `Ask frames ${markers[0]} to ${markers[1]}` : "Ask";
  return draw();
}

// -- what the server says

async function refresh() {
  const jobs = await session.refresh();
  panel.draw(session);
  await draw();
  return jobs;
}

function placed(answer) {
  session.takeFrame(answer);
  session.chosen = keyOf({ query: answer.query, objId: answer.obj_id });
  session.chosenObject.given.add(answer.frame_idx);
  panel.draw(session);
  say("Corrected on this frame; carry it to the others.");
  return draw();
}

async function open(id, video) {
  if (isPlaying) stop();
  say(`Opening ${video.name} …`);
  const opened = await openFrames(video);
  frames?.close?.();
  frames = opened;
  session = new Session(id, video);
  session.goToKeptPlace();
  putSessionInAddress(id);
  stage.open(video);
  document.body.className = "open";
  element("facts").textContent =
    `${video.name} · ${video.width} × ${video.height} · ${video.num_frames} frames · ${video.duration.toFixed(2)} s`;
  for (const control of ["back", "play", "next", "mark-in", "mark-out"]) element(control).disabled = video.num_frames === 1;
  painting.setSize(Math.max(3, Math.round(video.height / 12)));
  drawJobs(session);
  await drawMarkers();
}

// -- what the user does

const upload = (file) => send(file, async (video) => {
  const { id } = await post("v1/sessions", { video_id: video.id });
  await open(id, video);
  await refresh();
  say("Say what to look for.");
  element("query").focus();
});

async function ask(query, window = null) {
  const again = session.queries.includes(query);
  const { job_id } = await ofSession("queries", { query, again, ...(window && { window }) });
  session.chosen = null;
  await follow(parts, job_id, `Looking for “${query}”`, () => {
    const count = session.of(query).length;
    if (!count) return `Nothing in the video answers to “${query}”.`;
    return `Found ${count} ${count === 1 ? "object" : "objects"} for “${query}”.`;
  });
}

async function carry() {
  const { job_id } = await ofSession("propagate", { frame_idx: session.frameIdx, direction: element("direction").value });
  await follow(parts, job_id, "Carrying corrections", () => "Carried to the other frames.");
}

async function undo() {
  const { undone } = await ofSession("undo");
  await refresh();
  say(undone ? "Taken back." : "There is nothing to take back.");
}

async function rename({ query, objId }, phrase) {
  await ofSession("rename", { query, obj_id: objId, phrase });
  await refresh();
}

async function drop(query, objId) {
  await ofSession("drop", { query, ...(objId && { obj_id: objId }) });
  await refresh();
  say("Deleted; undo brings it back.");
}

async function writeFile() {
  const format = element("format").value;
  say(`Writing ${format} …`);
  say(`Wrote ${await download(`v1/sessions/${session.id}/export/${format}`)}.`);
}

function setPlaying(plays) {
  isPlaying = plays;
  element("play").textContent = plays ? "Pause" : "Play";
}

function stop() {
  frames.stop();
  setPlaying(false);
}

async function play() {
  if (isPlaying) {
    stop();
    return draw();
  }
  const [first, last] = session.span, { frameIdx } = session;
  setPlaying(true);
  await frames.play(frameIdx >= first && frameIdx < last ? frameIdx : first, first, last, (index) => {
    session.frameIdx = index;
    return draw();
  });
}

function mark(first, last) {
  session.mark(first, last);
  return drawMarkers();
}

function toggleMasks() {
  showsMasks = !showsMasks;
  element("masks").setAttribute("aria-pressed", showsMasks);
  return draw();
}
const markIn = () => mark(session.frameIdx, Math.max(session.frameIdx, session.span[1]));
const markOut = () => mark(Math.min(session.frameIdx, session.span[0]), session.frameIdx);
const unmark = () => mark(0, session.video.num_frames - 1);
const step = (frameCount) => show(session.frameIdx + frameCount);

const on = (id, kind, action) => element(id).addEventListener(kind, tried(action));
on("dismiss", "click", () => {});
on("ask", "submit", () => {
  const query = element("query").value.trim();
  element("query").value = "";
  return ask(query, session.markers);
});
on("carry", "submit", carry);
on("export", "submit", writeFile);
for (const [id, action] of Object.entries({
  "cancel-upload": cancelUpload, cancel: () => ofSession("cancel"), undo, play, masks: toggleMasks, unmark,
  back: () => step(-1), next: () => step(1), "mark-in": markIn, "mark-out": markOut,
})) on(id, "click", action);
onFile(element("file"), tried(upload));
addEventListener("pagehide", () => session?.keepPlace());

const TOOLS = { a: "add", r: "remove", b: "brush", e: "eraser" };
const whenOpen = (action) => (key) => session && tried(() => action(key))();
listen([
  [["/"], "type a sentence", () => element("query").focus()],
  [Object.keys(TOOLS), "a click adds, a click takes away, brush, eraser", (key) => painting.setTool(TOOLS[key])],
  [["[", "]"], "smaller, larger brush", (key) => painting.setSize(painting.size + (key === "]" ? 2 : -2))],
  [["n"], "the next click or stroke makes a new object", () => { session.chosen = null; panel.draw(session); return draw(); }],
  [["c"], "carry this frame's corrections", carry],
  [["Control+z"], "undo", undo],
  [["Delete"], "delete the chosen object", () => session.chosenObject && drop(session.chosenObject.query, session.chosenObject.objId)],
  [["ArrowLeft", "ArrowRight"], "a frame back, a frame on", (key) => step(key === "ArrowLeft" ? -1 : 1)],
  [["Shift+ArrowLeft", "Shift+ArrowRight"], "ten frames", (key) => step(key === "Shift+ArrowLeft" ? -10 : 10)],
  [["Home", "End"], "first frame, last frame", (key) => show(key === "Home" ? 0 : session.video.num_frames - 1)],
  [[" "], "play, pause", play],
  [["i", "o", "x"], "in marker, out marker, no markers", (key) => ({ i: markIn, o: markOut, x: unmark })[key]()],
  [["m"], "show or hide masks", toggleMasks],
  [["Escape"], "cancel what is being asked", () => ofSession("cancel")],
  [["?"], "this list", () => { element("help").open = !element("help").open; }],
].map(([keys, does, action]) => [keys, does, whenOpen(action)]), element("keys"));

await tried(async () => {
  const { formats } = await get("v1/models");
  element("format").replaceChildren(...formats.map((name) => new Option(name, name)));
  const id = sessionInAddress();
  if (!id) return;
  const { video } = await get(`v1/sessions/${id}`);
  await open(id, video);
  const jobs = await refresh();
  say(`${video.name} is as you left it.`);
  await Promise.all(jobs.map((jobId) => follow(parts, jobId, "Going on with what was asked", () => "Done.")));
})();
