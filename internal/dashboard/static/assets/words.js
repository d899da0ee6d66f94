// How things are called and counted. The states are the API's own words: what stands
// here is what stands in the logs, the metrics and the command line.

import { told } from './api.js';

// word writes a name of the API as people read it.
export const word = (name) => String(name ?? '').replaceAll('_', ' ');

// tones of states: how good or bad it is to be in one.
const tones = {
  good: ['completed', 'live', 'submitted', 'up', 'healthy', 'redriven'],
  busy: ['in_progress', 'submitting', 'running'],
  warn: ['needs_action', 'uncertain', 'degraded', 'paused'],
  bad: ['failed', 'rejected', 'down', 'unhealthy', 'open', 'silent'],
};

// tone is good, busy, warn, bad, or wait for all the rest.
export function tone(state) {
  return Object.keys(tones).find((t) => tones[t].includes(state)) ?? 'wait';
}

// What the states of a submission mean to who ordered it.
export const meanings = {
  planned: 'its turn comes',
  submitting: 'on its way',
  submitted: 'the directory took it in',
  live: 'the listing was seen',
  rejected: 'the directory does not want it',
  failed: 'it cannot be done there',
  skipped: 'we may not, or need not',
  needs_action: 'a person has to go on',
  uncertain: 'sent, and nobody knows what came of it',
};

const services = {
  database: 'Database',
  migrations: 'Migrations',
  queue: 'Queue',
  workers: 'Workers',
  stale_monitor: 'Stale job monitor',
  dlq_monitor: 'Dead letter monitor',
  dlq: 'Dead letters',
  alerts: 'Alerts',
  rate_limiter: 'Rate limits',
  books: 'Books',
};

// service is the name of a part of the installation.
export const service = (name) => services[name] ?? capital(word(name));

export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

// count writes a number with its noun: 1 job, 2 jobs, 3 entries.
export function count(n, noun) {
  const many = noun.endsWith('y') ? `${noun.slice(0, -1)}ies` : `${noun}s`;
  return `${number(n)} ${n === 1 ? noun : many}`;
}

const numbers = new Intl.NumberFormat('en-US');
export const number = (n) => numbers.format(n);

const dollars = new Intl.NumberFormat('en-US', { style: 'currency', currency: 'USD' });
export const money = (cents) => dollars.format((cents ?? 0) / 100);

// short is an id as it fits into a line. Ids of one hour begin alike, so the end
// stands there too.
export const short = (id) => (id && id.length > 14 ? `${id.slice(0, 8)}…${id.slice(-4)}` : (id ?? ''));

// now is the server's clock, in milliseconds.
export const now = () => Date.now() + told.skew;

const days = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric' });
const clocks = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });

// stamp is a moment in the reader's time zone; the day is left out when it is today.
export function stamp(time) {
  const t = new Date(time);
  const day = days.format(t);
  return day === days.format(now()) ? clocks.format(t) : `${day}, ${clocks.format(t)}`;
}

// span is a length of time in its two largest units.
export function span(milliseconds) {
  const s = Math.max(0, Math.round(milliseconds / 1000));
  if (s < 60) return `${s} s`;
  const parts = [[86_400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']];
  const first = parts.findIndex(([unit]) => s >= unit);
  const [unit, name] = parts[first];
  const [below, next] = parts[first + 1];
  const rest = Math.floor((s % unit) / below);
  return `${Math.floor(s / unit)} ${name}${rest ? ` ${rest} ${next}` : ''}`;
}

// ago says how far a moment is from now.
export function ago(time) {
  const past = now() - new Date(time).getTime();
  if (Math.abs(past) < 1500) return 'now';
  return past > 0 ? `${span(past)} ago` : `in ${span(-past)}`;
}

// explain tells of a problem: what it is, and what to do.
export function explain(p) {
  const known = {
    NO_ANSWER: ['No answer from the server', 'Is this device online? The page goes on by itself when the server answers.'],
    STRANGE_ANSWER: ['The answer is not one of ours', 'Something between this page and the API may have answered instead. If it stays so, tell whoever runs it.'],
    UNAUTHENTICATED: ['You are not signed in', 'Sign in with a key. Keys can expire and be revoked; whoever runs this installation makes new ones.'],
    FORBIDDEN: ['Your key may not see this', 'Ask whoever runs this installation for a key with another role.'],
    NOT_AVAILABLE: ['Not available on this server', 'Its version does not answer this question yet.'],
    JOB_NOT_FOUND: ['There is no such order', 'Look at the id: it may be cut, or the order may be another customer’s.'],
    NOT_FOUND: ['There is no such thing', 'Look at the address, or go back to the list.'],
    RATE_LIMITED: ['Too many requests', 'The page goes on by itself. Other tabs and programs with the same key count too.'],
    UNAVAILABLE: ['The server cannot answer for the moment', 'It is tried again by itself. The health page says what is missing.'],
    INTERNAL: ['It went wrong on our side', 'It is tried again by itself. If it stays so, tell whoever runs it the request’s id, which finds it in the log.'],
  };
  const [title, advice] = known[p.code] ?? (p.status >= 500 ? known.INTERNAL : ['That did not work', '']);
  return { title, advice };
}
