// How the installation is: one verdict, its parts, and for staff the figures. Whoever
// is not signed in sees the verdict and the parts.

import { ask, available } from '../api.js';
import { el, table } from '../dom.js';
import { repeat } from '../live.js';
import { badge, frame, say, when } from '../parts.js';
import { may, session, staff } from '../session.js';
import { capital, count, money, number, service, span, tone, word } from '../words.js';

// The figures of staff, in the order in which they are asked about; `worry` colours
// those that are not zero, `path` leads to what they count.
const figures = [
  { name: 'jobs_pending', label: 'Pending', path: '/queue?state=pending' },
  { name: 'jobs_in_progress', label: 'In progress', path: '/queue?state=in_progress' },
  { name: 'jobs_completed_today', label: 'Completed today', path: '/queue?state=completed' },
  { name: 'jobs_failed_today', label: 'Failed today', path: '/queue?state=failed', worry: true },
  { name: 'jobs_stale', label: 'Stale', path: '/stale', worry: true },
  { name: 'dlq_depth', label: 'Dead letters', path: '/letters', worry: true },
  { name: 'value_at_risk_cents', label: 'Value at risk', write: money, worry: true },
];

// Beside the verdict.
const verdicts = {
  healthy: 'Everything that orders need is up.',
  degraded: 'Orders go on. Something wants attention.',
  unhealthy: 'Something that orders need is down.',
};

export function health(main) {
  const view = frame(main, { title: 'Health', lead: !session.who && 'How this installation is, for everybody to see.' });
  const verdict = el('div', { class: 'verdict' });
  const tiles = el('dl', { class: 'tiles', 'aria-label': 'Figures' });
  const parts = table({
    label: 'Services',
    key: (s) => s.name,
    columns: [
      { name: 'Service', cell: (s) => service(s.name) },
      { name: 'State', cell: (s) => badge(s.status) },
      ...(may(staff) ? [
        { name: 'Answers in', number: true, cell: latency },
        { name: 'Since', cell: (s) => when(s.since) },
        { name: 'Detail', wide: true, cell: (s) => [capital(s.detail ?? ''), s.remedy && el('p', { class: 'detail' }, capital(s.remedy))] },
      ] : []),
    ],
  });
  let before;
  return repeat({
    every: 5000,
    ask: (signal) => available(ask('/api/health', { signal, also: 503 })),
    show: (h) => {
      const services = Object.entries(h.services ?? {}).map(([name, s]) => ({ name, ...s }));
      judge(verdict, h, services);
      parts.show(services.sort((a, b) => rank(a) - rank(b)));
      tiles.replaceChildren(...tilesOf(h.metrics));
      tiles.hidden = !h.metrics;
      if (before !== undefined && before !== h.status) say(`Health is now ${h.status}`);
      before = h.status;
      if (verdict.isConnected) view.shows();
      else view.shows(verdict, tiles, parts.node);
    },
    fail: view.fails,
  }).stop;
}

const rank = (s) => ['bad', 'warn', 'wait', 'busy', 'good'].indexOf(tone(s.status));

function judge(node, h, services) {
  const wrong = (h.wrong ?? services.filter((s) => s.status !== 'up').map((s) => s.name)).map(service);
  node.className = `verdict ${tone(h.status)}`;
  node.replaceChildren(
    el('p', { class: 'word' }, capital(word(h.status))),
    el('p', {}, verdicts[h.status] ?? '', wrong.length > 0 && ` Look at: ${wrong.join(', ')}.`),
    el('p', { class: 'detail' }, wrong.length === 0 && services.length > 0 && `${count(services.length, 'service')} up. `, typeof h.uptime === 'number' && `This process runs for ${span(h.uptime * 1000)}.`));
}

function tilesOf(metrics = {}) {
  return figures.filter((f) => metrics[f.name] !== undefined && metrics[f.name] !== null).map((f) => {
    const n = metrics[f.name];
    const text = (f.write ?? number)(n);
    return el('div', { class: `tile ${f.worry && n > 0 ? 'warn' : ''}`, 'data-figure': f.name },
      el('dt', {}, f.label), el('dd', {}, f.path ? el('a', { href: `#${f.path}`, 'aria-label': `${f.label}: ${text}` }, text) : text));
  });
}

const latency = (s) => (s.latency_ms === undefined ? '' : `${s.latency_ms < 10 ? s.latency_ms.toFixed(1) : number(Math.round(s.latency_ms))} ms`);
