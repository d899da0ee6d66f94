// Keeps what is shown true: asks again and again, and sooner when the server says that
// something happened. Nothing is asked while nobody looks at the page.

import { Problem, told } from './api.js';

const visible = () => document.visibilityState === 'visible';
const slowest = 60_000; // milliseconds between two questions
const soonest = 2000; // between two that the server's events ask for

// repeat asks until it is stopped: every so many milliseconds, `now` when a person
// wants it, and `soon` when an event says that the answer may be another. show gets each
// answer. fail gets each problem and when it is tried again, in milliseconds since 1970;
// 0: waiting does not help, and it is not.
export function repeat({ ask, every, show, fail }) {
  const end = new AbortController();
  let timer, begun = 0, asking = false, wanted = false, failures = 0, resting = 0;

  const later = (wait) => {
    clearTimeout(timer);
    if (!end.signal.aborted) timer = setTimeout(round, wait);
  };
  const round = async () => {
    if (end.signal.aborted || !visible()) return; // turning back to the page asks again
    if (asking) {
      wanted = true;
      return;
    }
    if (Date.now() < resting) return later(resting - Date.now());
    asking = true;
    begun = Date.now();
    try {
      const answer = await ask(end.signal);
      failures = 0;
      if (end.signal.aborted) return;
      show(answer);
      later(wanted ? soonest : pace(typeof every === 'function' ? every(answer) : every));
    } catch (problem) {
      if (end.signal.aborted) return;
      if (!(problem instanceof Problem)) throw problem; // a fault of this page
      const wait = restAfter(problem, failures++);
      if (wait) resting = Date.now() + wait;
      fail(problem, wait ? resting : 0);
      if (wait) later(wait);
    } finally {
      asking = wanted = false;
    }
  };
  const returned = () => visible() && round();
  document.addEventListener('visibilitychange', returned, { signal: end.signal });
  round();
  return {
    now: round,
    soon: () => { if (!scarce()) later(Math.max(0, begun + soonest - Date.now())); },
    stop: () => { end.abort(); clearTimeout(timer); },
  };
}

// restAfter is how long to wait after a problem; 0: it does not pass by waiting.
function restAfter(problem, failures) {
  if ([401, 403, 404].includes(problem.status)) return 0;
  if (problem.retryAfter) return problem.retryAfter * 1000 + Math.random() * 1000;
  return Math.min(slowest, 2000 * 2 ** failures) * (0.75 + Math.random() / 2);
}

// scarce reports that a rate limit is near: other tabs have the same key.
const scarce = () => told.limit > 0 && told.remaining < told.limit / 4;

const pace = (every) => (scarce() ? Math.min(slowest, every * 3) : every);

const listeners = new Set();
let source = null;
let refusedAt = -Infinity; // this server had no events; asking has to do, for some minutes
const refusedFor = 5 * 60_000;

// watch calls back with each event, already parsed, until it is stopped. An event is a
// hint to ask again and nothing more: the answers are the truth.
export function watch(listener) {
  listeners.add(listener);
  connect();
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) disconnect();
  };
}

function connect() {
  if (source || listeners.size === 0 || !visible() || performance.now() - refusedAt < refusedFor) return;
  source = new EventSource('/api/events');
  source.addEventListener('error', () => {
    if (source?.readyState !== EventSource.CLOSED) return; // it connects again by itself
    refusedAt = performance.now();
    source = null;
  });
  source.addEventListener('message', (event) => {
    let happened;
    try {
      happened = JSON.parse(event.data);
    } catch {
      return; // cut, or not ours
    }
    for (const listener of listeners) listener(happened);
  });
}

function disconnect() {
  source?.close();
  source = null;
}

// A browser opens six connections to a server of HTTP/1.1: pages that nobody looks at
// hold none.
document.addEventListener('visibilitychange', () => (visible() ? connect() : disconnect()));
