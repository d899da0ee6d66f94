// Running jobs that recovery takes back, or is about to.

import { badge, code, since, theirs } from '../parts.js';
import { el } from '../dom.js';
import { money, short, word } from '../words.js';
import { list } from './list.js';

export const stale = (main) => list(main, {
  title: 'Stale jobs',
  lead: 'Jobs whose worker is gone, or that make no progress. The stale monitor takes them back by itself, within seconds.',
  path: '/api/stale',
  noun: 'stale job',
  none: ['No job is stale.', 'Every running job has a worker that lives and gets further.'],
  hints: (event) => ['job.recovered', 'jobs.recovered', 'worker.retired'].includes(event.type),
  key: (j) => `${j.id} ${j.fence}`,
  columns: [
    { name: 'Job', cell: name },
    { name: 'Why', cell: (j) => badge('degraded', word(j.cause)) },
    { name: 'Stale since', cell: (j) => since(j.since) },
    { name: 'Last progress', cell: (j) => since(j.progress_at) },
    { name: 'Worker', cell: (j) => (j.host ? [theirs(j.host), `, process ${j.pid}`] : 'nobody knows it') },
    { name: 'Crashes', number: true, cell: (j) => `${j.crashes} of ${j.crash_budget}` },
    { name: 'Value', number: true, cell: (j) => money(j.value_cents) },
  ],
}).stop;

function name(j) {
  const id = el('span', { title: j.id }, code(short(j.id)));
  return [el('span', {}, word(j.kind), ' '), j.kind === 'order' ? el('a', { href: `#/orders/${j.id}` }, id) : id];
}
