// A file on its way to the server: in parts, with a bar. After a break the server says from where to go on.

import { element } from "./dom.js";
import { say } from "./messages.js";
import { call, Problem, retried } from "./server.js";

const PART_BYTES = 2 ** 20;  // as much as proxies let through unless they are told otherwise
let sending = null, opening = Promise.resolve();  // an AbortController; the end of the last call of open()

export const cancelUpload = () => sending?.abort();

// Calls open(video) when the file has become one. One file at a time: another one takes its place, and is opened after it.
export async function send(file, open) {
  if (!file.size) throw new Problem(`${file.name} is empty`, "choose a video");
  cancelUpload();
  const mine = sending = new AbortController();
  say(`Sending ${file.name} …`);
  try {
    const video = await sendParts(file, mine.signal, (bytes) => mine === sending && draw(file, bytes));
    opening = opening.catch(() => {}).then(() => open(video));  // what is chosen last stays
  } catch (error) {
    if (!mine.signal.aborted) throw error;
    if (mine === sending) say(`Cancelled: sending ${file.name}.`);
    return;
  } finally {
    if (mine === sending) {
      sending = null;
      element("upload").hidden = true;
    }
  }
  await opening;
}

function draw(file, bytes) {
  element("sending").textContent = `Sending ${file.name}: ${Math.floor((100 * bytes) / file.size)} %`;
  Object.assign(element("sent"), { max: file.size, value: bytes });
  element("upload").hidden = false;
}

async function sendParts(file, signal, progress) {
  progress(0);
  const id = await begin(file, signal);
  try {
    for (let offset = 0; offset < file.size; progress(offset)) offset = await sendPart(id, file, offset, signal);
    // If the answer to the last part was lost, the server may still be opening the file.
    return await retried(async () => (await call(`v1/videos/${id}`, { signal })).json(), (error) => mayPass(error, signal) || error.status === 404);
  } catch (error) {
    // It takes room on the server. Nobody waits for this; what cannot be dropped expires.
    retried(() => call(`v1/uploads/${id}`, { method: "DELETE" }), isBusy).catch(() => {});
    throw error;
  }
}

async function begin(file, signal) {
  const name = btoa(String.fromCharCode(...new TextEncoder().encode(file.name)));
  const headers = { "Upload-Length": file.size, "Upload-Metadata": `filename ${name}` };
  const response = await call("v1/uploads", { method: "POST", headers, signal });
  return response.headers.get("Location").split("/").pop();
}

// One part; how many bytes are safe then.
function sendPart(id, file, offset, signal) {
  const path = `v1/uploads/${id}`, told = (response) => Number(response.headers.get("Upload-Offset"));
  let isFirst = true;
  return retried(async () => {
    if (!isFirst) offset = told(await call(path, { method: "HEAD", signal }));
    isFirst = false;
    if (offset === file.size) return offset;
    const headers = { "Content-Type": "application/offset+octet-stream", "Upload-Offset": offset };
    return told(await call(path, { method: "PATCH", headers, body: file.slice(offset, offset + PART_BYTES), signal }));
  }, (error) => mayPass(error, signal));
}

// Another request is at the upload, or was: one of ours whose connection broke, but the server does not know yet.
const isBusy = ({ status }) => status === 409 || status === 423;
const mayPass = (error, signal) => !signal.aborted && (!error.status || isBusy(error));
