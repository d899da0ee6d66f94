// One order, live: how far it is, and what came of each directory.

import { ask } from '../api.js';
import { el, fill, outward, table } from '../dom.js';
import { repeat, watch } from '../live.js';
import { badge, cause, code, empty, frame, problemBox, say, theirs, when } from '../parts.js';
import { may, staff } from '../session.js';
import { capital, count, meanings, money, number, short, stamp, tone, word } from '../words.js';

// The states of a submission, those that are done first, as the bar shows them.
const states = ['live', 'submitted', 'rejected', 'needs_action', 'uncertain', 'failed', 'skipped', 'submitting', 'planned'];
const final = ['completed', 'failed', 'cancelled'];
const beat = 5000;

export function order(main, { params: { id } }) {
  const view = frame(main, { title: `Order ${short(id)}` });
  const path = `/api/orders/${encodeURIComponent(id)}`;
  const facts = el('dl', { class: 'facts' });
  const progress = el('div', { class: 'progress' });
  const choice = filter(() => rows.show(chosen()));
  const names = namesOf();
  const rows = table({ label: 'Directories', key: (r) => r.directory, columns: columns(names) });
  const none = el('div', {}, empty('No directory is planned yet.', 'The plan is made when a worker begins the order.'));
  const story = may(staff) ? history(id) : null;
  let results = [], state, done;

  const chosen = () => results.filter((r) => !choice.value() || r.state === choice.value());
  const loop = repeat({
    every: ([o]) => (final.includes(o.state) ? 60_000 : beat),
    ask: (signal) => Promise.all([ask(path, { signal }), ask(`${path}/results`, { signal }), names.ready]),
    show: ([o, { items }]) => {
      results = items;
      document.title = `${o.done} of ${o.quota} · Order ${short(o.id)} · DirectoryBolt`;
      fill(facts, ...factsOf(o));
      tellProgress(progress, o, items);
      choice.count(items);
      rows.show(chosen());
      none.hidden = items.length > 0;
      rows.node.hidden = choice.node.hidden = items.length === 0;
      if (state !== undefined && (state !== o.state || done !== o.done)) say(`${o.done} of ${o.quota} directories are done. The order is ${word(o.state)}.`);
      [state, done] = [o.state, o.done];
      if (facts.isConnected) view.shows();
      else view.shows(progress, facts, el('h2', {}, 'Directories'), choice.node, rows.node, none, story?.node);
    },
    fail: view.fails,
  });
  const unwatch = watch((event) => (event.order_id === id || event.job_id === id) && loop.soon());
  return () => {
    unwatch();
    loop.stop();
  };
}

function factsOf(o) {
  const fact = (name, ...value) => el('div', {}, el('dt', {}, name), el('dd', {}, ...value));
  return [
    fact('State', badge(o.state)),
    fact('Package', theirs(capital(o.package)), `, ${count(o.quota, 'directory')}`),
    fact('Value', money(o.value_cents)),
    fact('Placed', when(o.created_at)),
    o.due_at && fact('Due', when(o.due_at)),
    o.started_at && fact('Last begun', when(o.started_at)),
    o.finished_at && fact('Ended', when(o.finished_at)),
    o.shortfall > 0 && fact('Shortfall', `${count(o.shortfall, 'directory')}: the catalog has no more that fit`),
    fact('Id', code(o.id)),
  ];
}

// tellProgress shows how many directories are in which state, as words and as a bar as long
// as the order: what is not planned yet, and what it falls short, has its place there.
function tellProgress(node, o, items) {
  const counts = states.map((s) => [s, items.filter((r) => r.state === s && !r.replaced).length]).filter(([, n]) => n > 0);
  const replaced = items.filter((r) => r.replaced).length;
  const lacking = o.shortfall ?? 0;
  const left = o.quota - lacking - counts.reduce((sum, [, n]) => sum + n, 0);
  const part = (name, n) => {
    const node = el('span', { class: `part ${name}` });
    node.style.flexGrow = n;
    return node;
  };
  const told = [...counts.map(([s, n]) => `${n} ${word(s)}`), lacking > 0 && `${lacking} short`].filter(Boolean);
  const bar = el('div', { class: 'bar', role: 'img', 'aria-label': told.join(', ') || 'nothing is planned yet' },
    counts.map(([s, n]) => part(`${s} ${tone(s)}`, n)), left > 0 && part('unplanned', left), lacking > 0 && part('short', lacking));
  fill(node,
    el('p', { class: 'count' }, el('strong', {}, number(o.done)), ` of ${count(o.quota, 'directory')} done`),
    bar,
    el('ul', { class: 'legend' },
      counts.map(([s, n]) => el('li', {}, el('span', { class: `dot ${s} ${tone(s)}` }), el('span', {}, `${n} ${word(s)}`), el('span', { class: 'detail' }, meanings[s]))),
      lacking > 0 && el('li', {}, el('span', { class: 'dot short' }), el('span', {}, `${lacking} short`), el('span', { class: 'detail' }, 'the catalog has no more that fit')),
      replaced > 0 && el('li', {}, el('span', { class: 'dot replaced' }), el('span', {}, `${replaced} replaced`), el('span', { class: 'detail' }, 'another directory took the place'))));
}

function columns(names) {
  return [
    { name: 'Directory', cell: (r) => names.of(r.directory) },
    { name: 'Outcome', cell: (r) => [badge(r.state), r.replaced && [' ', badge('replaced')]] },
    { name: 'Listing or reason', wide: true, cell: outcome },
    { name: 'Tries', number: true, cell: (r) => r.tries },
    { name: 'Changed', cell: (r) => when(r.updated_at) },
  ];
}

function outcome(r) {
  if (r.listing_url) return [cause(outward(r.listing_url)), proof(r.evidence)];
  const reason = [r.need && capital(word(r.need)), r.reason].filter(Boolean).join(': ');
  if (r.state === 'planned' && r.due_at) return [cause(reason || 'waits'), `, next at ${stamp(r.due_at)}`];
  return [cause(capital(reason)), proof(r.evidence)];
}

// proof shows what the directory answered, where a rule found success in it.
function proof(e) {
  return e && el('details', { class: 'proof' }, el('summary', {}, 'Proof'),
    e.excerpt && el('blockquote', {}, e.excerpt),
    el('p', { class: 'detail' }, e.probe ? 'Found when the directory was asked, ' : 'In its answer, ', when(e.at), ', by the rule ', code(e.rule), '.'));
}

// filter lets one state through, or all.
function filter(changed) {
  const select = el('select', { id: 'state', on: { change: changed } }, el('option', { value: '' }, 'All'));
  const options = new Map();
  return {
    node: el('p', { class: 'tools' }, el('label', { for: 'state' }, 'Outcome'), select),
    value: () => select.value,
    // count offers the states that there are, and keeps the one that was chosen.
    count(items) {
      for (const s of states) {
        const n = items.filter((r) => r.state === s).length;
        if (n > 0 && !options.has(s)) {
          options.set(s, el('option', { value: s }));
          select.append(options.get(s));
        }
        if (options.has(s)) options.get(s).textContent = `${capital(word(s))} (${n})`;
      }
    },
  };
}

// namesOf knows the directories of the catalog by name. Where the catalog does not
// answer, a directory is called as results call it.
function namesOf() {
  let known = {};
  const ready = ask('/api/directories').then(({ items }) => { known = Object.fromEntries(items.map((d) => [d.slug, d.name])); }, () => {});
  return { ready, of: (slug) => known[slug] ?? slug };
}

// history tells staff the order's story, once they ask for it.
function history(id) {
  const body = el('div');
  const load = async () => {
    if (!node.open) return;
    try {
      const { items } = await ask(`/api/jobs/${encodeURIComponent(id)}/history`);
      fill(body, el('ol', { class: 'story' }, items.map((e) => el('li', {},
        when(e.at), ' ', el('strong', {}, e.type), e.directory && [' ', theirs(e.directory)], e.from && ` ${word(e.from)} → ${word(e.to)}`,
        e.cause && [': ', theirs(e.cause)], el('span', { class: 'detail' }, ' by ', theirs(e.actor))))));
    } catch (problem) {
      fill(body, problemBox(problem));
    }
  };
  const node = el('details', { class: 'history', on: { toggle: load } }, el('summary', {}, 'History'), body);
  return { node };
}
