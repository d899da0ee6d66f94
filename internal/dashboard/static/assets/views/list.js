// A list that the API answers as a whole or page by page, kept true.

import { ask, available } from '../api.js';
import { el, table } from '../dom.js';
import { repeat, watch } from '../live.js';
import { empty, frame } from '../parts.js';
import { count } from '../words.js';

const steps = [50, 200, 500]; // as many as a page of the API may have

// list shows what a path answers. about: title, lead; path, or what returns it; pages:
// the API cuts it into pages; columns, key as a table's; noun; none: [title, text] of an
// empty list; tools: what stands over it; hints(event): whether it is asked again soon.
export function list(main, { title, lead, path, pages = false, columns, key, noun, none, every = 5000, hints, tools }) {
  const view = frame(main, { title, lead });
  const rows = table({ label: title, columns, key });
  const total = el('p', { class: 'total' });
  let step = 0;
  const more = el('button', { type: 'button', on: { click: () => { step++; loop.now(); } } }, 'Show more');
  if (tools) view.body.before(tools);

  const loop = repeat({
    every,
    ask: (signal) => {
      const address = new URL(typeof path === 'function' ? path() : path, location.href);
      if (pages) address.searchParams.set('limit', steps[step]);
      return available(ask(address.pathname + address.search, { signal }));
    },
    show: (answer) => {
      const { items } = answer;
      if (items.length === 0) return view.shows(empty(...none));
      rows.show(items);
      const cut = Boolean(answer.next_cursor);
      total.textContent = cut ? `The newest ${count(items.length, noun)}` : count(items.length, noun);
      more.hidden = !cut || step === steps.length - 1;
      if (!rows.node.isConnected) view.shows(total, rows.node, more);
      else view.shows();
    },
    fail: view.fails,
  });
  const unwatch = hints ? watch((event) => hints(event) && loop.soon()) : () => {};
  return { again: () => { step = 0; loop.now(); }, stop: () => { unwatch(); loop.stop(); } };
}
