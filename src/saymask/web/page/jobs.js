// Jobs of a session: their frames are shown as they come.

import { element } from "./dom.js";
import { say } from "./messages.js";
import { events, Problem } from "./server.js";
import { keyOf } from "./session.js";

export function drawJobs(session) {
  const [job] = session.jobs.values(), progress = element("progress");
  element("working").hidden = !job;
  if (job?.total) Object.assign(progress, { max: job.total, value: job.done });
  else progress.removeAttribute("value");
}

// page: {session(), panel, timeline, draw(), refresh()}; label: what the job does; ended() -> what is said at its end.
export async function follow(page, jobId, label, ended) {
  const session = page.session(), job = { done: 0, total: 0 };
  let end = null;
  session.jobs.set(jobId, job);
  drawJobs(session);
  say(`${label} …`);
  try {
    for await (const event of events(jobId)) {
      if (session !== page.session()) return;
      if (event.kind === "end") end = event;
      else takeFrame(page, event, job);
    }
  } finally {
    session.jobs.delete(jobId);
    drawJobs(page.session());
  }
  if (!session.jobs.size) await page.refresh();  // else it would take away what another job has found so far
  if (end.problem) throw new Problem(end.problem.message, end.problem.hint);
  say(end.state === "cancelled" ? `Cancelled: ${label}.` : ended());
}

function takeFrame(page, event, job) {
  const session = page.session(), { done, total, frame_idx, objects } = event;
  Object.assign(job, { done, total });
  drawJobs(session);
  if (session.takeFrame(event)) {
    session.chosen ??= keyOf({ query: objects[0].query, objId: objects[0].obj_id });
    page.panel.draw(session);
  }
  if (frame_idx === session.frameIdx) page.draw();
  else page.timeline.draw(session);
}
