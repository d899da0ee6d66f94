// Orders, newest first: a customer's own, or all.

import { badge, code, when } from '../parts.js';
import { el } from '../dom.js';
import { may, staff } from '../session.js';
import { capital, money, number, short } from '../words.js';
import { list } from './list.js';

export function orders(main) {
  const all = may(staff);
  return list(main, {
    title: 'Orders',
    lead: all ? 'Every order, the newest first.' : 'Your orders, the newest first.',
    path: '/api/orders',
    pages: true,
    noun: 'order',
    none: ['No order yet.', all ? 'Orders come by directorybolt submit and POST /api/orders.' : 'What you order is followed here, directory by directory.'],
    hints: (event) => event.type?.startsWith('order.') || event.type?.startsWith('job.'),
    tools: all && byID(),
    key: (o) => o.id,
    columns: [
      { name: 'Order', cell: (o) => el('a', { href: `#/orders/${o.id}`, title: o.id }, code(short(o.id))) },
      { name: 'State', cell: (o) => badge(o.state) },
      { name: 'Package', cell: (o) => capital(o.package) },
      { name: 'Done', number: true, cell: done },
      { name: 'Value', number: true, cell: (o) => money(o.value_cents) },
      { name: 'Placed', cell: (o) => when(o.created_at) },
      { name: 'Ended', cell: (o) => when(o.finished_at) },
    ],
  }).stop;
}

// done tells how many directories of an order need no more work, and what it falls short.
function done(o) {
  return [o.shortfall > 0 && [badge('degraded', `${number(o.shortfall)} short`), ' '], `${number(o.done)} of ${number(o.quota)}`];
}

// byID opens an order whose id somebody was told.
function byID() {
  const input = el('input', { id: 'order-id', name: 'order-id', autocomplete: 'off', spellcheck: 'false', placeholder: '0199f2c1-…' });
  const open = (event) => {
    event.preventDefault();
    if (input.value.trim()) location.hash = `#/orders/${encodeURIComponent(input.value.trim())}`;
  };
  return el('form', { class: 'tools', role: 'search', on: { submit: open } },
    el('label', { for: 'order-id' }, 'Open by id'), input, el('button', { type: 'submit' }, 'Open'));
}
