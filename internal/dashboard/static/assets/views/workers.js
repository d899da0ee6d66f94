// Who works, and who went within the hour.

import { badge, code, since, theirs } from '../parts.js';
import { count, now, span, word } from '../words.js';
import { list } from './list.js';

export const workers = (main) => list(main, {
  title: 'Workers',
  lead: 'A worker is a running pool. It renews its lease with every beat; when the lease is over its jobs go to another.',
  path: '/api/workers',
  noun: 'worker',
  none: ['No worker runs.', 'Orders wait until one does: directorybolt work, or directorybolt all.'],
  hints: (event) => event.type === 'worker.retired',
  aside: { holds: canariesOnly, title: (n) => `${count(n, 'worker')} of canaries: verify and drill start them, and kill them on purpose` },
  key: (w) => w.id,
  columns: [
    { name: 'Worker', cell: (w) => [theirs(w.host), `, process ${w.pid}`] },
    { name: 'State', cell: state },
    { name: 'Last beat', cell: (w) => since(w.beat_at) },
    { name: 'Runs for', cell: (w) => span(new Date(w.retired_at ?? now()) - new Date(w.started_at)) },
    { name: 'Jobs at once', number: true, cell: (w) => w.capacity },
    { name: 'Kinds', cell: (w) => w.kinds?.map(word).join(', ') ?? '' },
    { name: 'Version', cell: (w) => code(w.version) },
  ],
}).stop;

// canariesOnly tells the workers of drills from those that customers wait for.
function canariesOnly(w) {
  return w.kinds?.length === 1 && w.kinds[0] === 'canary';
}

function state(w) {
  if (w.retired_at) {
    if (w.retired_cause === 'stopped') return badge('stopped');
    return badge(canariesOnly(w) ? 'wait' : 'down', `retired: ${word(w.retired_cause)}`);
  }
  return new Date(w.lease_until) < now() ? badge('silent', 'silent: lease over') : badge('up', 'running');
}
