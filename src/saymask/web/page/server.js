// Requests to the server, problems with their hints, and the events of a job.
// What a reload needs stands after the address: #token=…&session=…

const RETRIES = 5, RETRY_MILLISECONDS = 1000;
const address = new URLSearchParams(location.hash.slice(1));
addEventListener("hashchange", () => location.reload());

export const sessionInAddress = () => address.get("session");

export function putSessionInAddress(id) {
  if (id) address.set("session", id);
  else address.delete("session");
  history.replaceState(null, "", `#${address}`);
}

// What went wrong and what to do about it. `status` is the response's; 0 = there was none.
export class Problem extends Error {
  constructor(message, hint, status = 0) {
    super(message);
    Object.assign(this, { hint, status });
  }
}

export async function call(path, { method = "GET", json, body, headers = {}, signal } = {}) {
  headers = { ...headers };
  if (address.has("token")) headers.Authorization = `Bearer ${address.get("token")}`;
  if (json) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method, headers, body: json ? JSON.stringify(json) : body, signal });
  } catch {
    signal?.throwIfAborted();
    throw new Problem("the server cannot be reached", "check that it runs, then try again");
  }
  if (response.ok) return response;
  const { message, hint } = await response.json().catch(() => ({}));
  const remedy = response.status === 401 ? "open the address that the server printed, with its #token=…" : hint;
  throw new Problem(message ?? `the server answered with status ${response.status}`, remedy ?? "", response.status);
}

export const get = async (path) => (await call(path)).json();
export const post = async (path, json = {}) => (await call(path, { method: "POST", json })).json();

// Saves what the server sends under the name that it gives; the name.
export async function download(path) {
  const response = await call(path), link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = /filename="([^"]+)"/.exec(response.headers.get("Content-Disposition"))[1];
  link.click();
  URL.revokeObjectURL(link.href);
  return link.download;
}

const isBroken = (error) => !error.status;

// After an error: waits for the next try; throws what will not pass, and what was tried often enough.
async function waitToRetry(error, tries, mayPass = isBroken) {
  if (!mayPass(error) || tries === RETRIES) throw error;
  await new Promise((passed) => setTimeout(passed, RETRY_MILLISECONDS));
}

// What attempt() gives; a connection that breaks, or what else may pass, is tried again.
export async function retried(attempt, mayPass = isBroken) {
  for (let tries = 0; ; tries++) {
    try {
      return await attempt();
    } catch (error) {
      await waitToRetry(error, tries, mayPass);
    }
  }
}

// All events of a job from its first, {kind, ...}, to its end; a connection that breaks is made again.
export async function* events(jobId) {
  for (let tries = 0; ; tries++) {
    try {
      return yield* eventsOnce(jobId);
    } catch (error) {
      await waitToRetry(error, tries);
    }
  }
}

async function* eventsOnce(jobId) {
  const { body } = await call(`v1/jobs/${jobId}/events`);
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    let text = "";
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      const blocks = (text + piece.value).split("\n\n");
      text = blocks.pop();
      for (const block of blocks) {
        if (block.startsWith(":")) continue;  // a comment: nothing has happened, but the connection is alive
        const [kind, data] = block.split("\n");
        const event = { kind: kind.slice("event: ".length), ...JSON.parse(data.slice("data: ".length)) };
        yield event;
        if (event.kind === "end") return;
      }
    }
  } finally {
    reader.cancel().catch(() => {});  // it may be broken already
  }
  throw new Problem("the connection broke", "reload the page; the server goes on with what it promised");
}
