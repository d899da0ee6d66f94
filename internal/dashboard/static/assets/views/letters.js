// Dead letters: what will not run again unless a person says so.

import { badge, cause, code, since } from '../parts.js';
import { el } from '../dom.js';
import { capital, money, short, word } from '../words.js';
import { list } from './list.js';

export const letters = (main) => list(main, {
  title: 'Dead letters',
  lead: 'Jobs that failed for good, and messages that name none. Each waits here until a person redrives or purges it.',
  path: '/api/dlq',
  pages: true,
  noun: 'dead letter',
  none: ['No dead letter waits.', 'Everything that failed for good has been decided about.'],
  every: 10_000,
  hints: (event) => event.type === 'job.failed' || event.type === 'job.redriven' || event.type?.startsWith('letter.'),
  key: (l) => l.id,
  columns: [
    { name: 'Letter', cell: name },
    { name: 'Fate', cell: (l) => badge(l.fate || 'open') },
    { name: 'Cause, and how to look closer', wide: true, cell: why },
    { name: 'Died', cell: (l) => since(l.at) },
    { name: 'Attempts', number: true, cell: (l) => l.attempts },
    { name: 'Value', number: true, cell: (l) => money(l.value_cents) },
  ],
}).stop;

function why(l) {
  return [cause(capital(l.cause ?? '')), ' ', badge('wait', word(l.class)), el('p', { class: 'command' }, code(`directorybolt dlq show ${l.job_id ?? l.id}`))];
}

function name(l) {
  if (!l.job_id) return [badge('wait', 'message'), ' ', code(short(l.id))];
  const id = el('span', { title: l.job_id }, code(short(l.job_id)));
  return [`${word(l.kind)} `, l.kind === 'order' ? el('a', { href: `#/orders/${l.job_id}` }, id) : id];
}
