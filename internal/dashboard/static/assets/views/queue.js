// What waits and what runs.

import { ask } from '../api.js';
import { badge, code, since, theirs, when } from '../parts.js';
import { el, fill } from '../dom.js';
import { capital, money, now, short, word } from '../words.js';
import { list } from './list.js';

const states = ['pending', 'in_progress', 'failed', 'completed', 'cancelled'];

export function queue(main, { query }) {
  let state = states.includes(query.get('state')) ? query.get('state') : 'pending';
  const choose = (chosen) => {
    state = chosen;
    for (const b of buttons) b.setAttribute('aria-pressed', String(b.value === state));
    history.replaceState(null, '', `#/queue?state=${state}`);
    shown.again();
  };
  const buttons = states.map((s) => el('button', { type: 'button', value: s, 'aria-pressed': String(s === state), on: { click: () => choose(s) } }, capital(word(s))));
  const paused = el('div');
  const shown = list(main, {
    title: 'Queue',
    lead: 'Jobs by state, the newest first. Workers take them by priority, then by the time they are due.',
    path: () => `/api/jobs?state=${state}`,
    pages: true,
    noun: 'job',
    none: ['No job is in this state.'],
    hints: (event) => event.type?.startsWith('job.') || event.type?.startsWith('order.'),
    tools: el('div', {}, paused, el('div', { class: 'choices', role: 'group', 'aria-label': 'State' }, buttons)),
    key: (j) => j.id,
    columns: [
      { name: 'Job', cell: name },
      { name: 'State', cell: standing },
      { name: 'Priority', number: true, cell: (j) => j.priority },
      { name: 'Package', cell: (j) => capital(j.package ?? '') },
      { name: 'Value', number: true, cell: (j) => money(j.value_cents) },
      { name: 'Attempt', number: true, cell: (j) => j.attempt },
      { name: 'When', cell: moment },
    ],
  });
  tellPauses(paused);
  return shown.stop;
}

// standing tells a job that rests from one whose time has come.
function standing(j) {
  const rests = j.state === 'pending' && new Date(j.due_at) > now();
  return [badge(j.state, rests ? 'pending, rests' : undefined), j.quarantined && [' ', badge('uncertain', 'quarantined')]];
}

function moment(j) {
  if (j.finished_at) return when(j.finished_at);
  return j.state === 'pending' ? ['due ', since(j.due_at)] : ['began ', since(j.claimed_at)];
}

function name(j) {
  const id = el('span', { title: j.id }, code(short(j.id)));
  return [`${word(j.kind)} `, j.kind === 'order' ? el('a', { href: `#/orders/${j.id}` }, id) : id];
}

// tellPauses says what is not handed out, and why. Without an answer it says nothing:
// the list below tells of the same trouble.
async function tellPauses(node) {
  let pauses;
  try {
    pauses = (await ask('/api/pauses')).items;
  } catch {
    return;
  }
  fill(node, pauses.map((p) => el('p', { class: 'notice' }, badge('paused'), ` ${scope(p.scope)}, since `, when(p.at), reason(p))));
}

function scope(s) {
  if (s.all) return 'Everything';
  return s.kind ? `Jobs of kind ${word(s.kind)}` : `Jobs of customer ${s.customer}`;
}

const reason = (p) => p.by?.reason && [': ', theirs(p.by.reason)];
