// A list that the API answers as a whole or page by page, kept true.

import { ask, available } from '../api.js';
import { el, fill, table } from '../dom.js';
import { repeat, watch } from '../live.js';
import { empty, frame } from '../parts.js';
import { count } from '../words.js';

const steps = [50, 200, 500]; // as many as a page of the API may have

// list shows what a path answers. about: title, lead; path, or what returns it; pages:
// the API cuts it into pages; columns, key as a table's; noun; none: [title, text] of an
// empty list; tools: what stands over it; hints(event): whether it is asked again soon;
// aside: {holds(item), title(n)} of those that are folded away below the others.
export function list(main, { title, lead, path, pages = false, columns, key, noun, none, every = 5000, hints, tools, aside }) {
  const view = frame(main, { title, lead });
  const rows = table({ label: title, columns, key });
  const nothing = el('div');
  const fold = aside && folded(aside, { columns, key });
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
      const items = answer.items.filter((i) => !aside?.holds(i));
      fold?.show(answer.items.filter(aside.holds));
      rows.show(items);
      rows.node.hidden = total.hidden = items.length === 0;
      nothing.hidden = items.length > 0;
      fill(nothing, items.length === 0 && empty(...none));
      const cut = Boolean(answer.next_cursor);
      total.textContent = cut ? `The newest ${count(items.length, noun)}` : count(items.length, noun);
      more.hidden = !cut || step === steps.length - 1;
      if (!rows.node.isConnected) view.shows(total, rows.node, nothing, more, fold?.node);
      else view.shows();
    },
    fail: view.fails,
  });
  const unwatch = hints ? watch((event) => hints(event) && loop.soon()) : () => {};
  return { again: () => { step = 0; loop.now(); }, stop: () => { unwatch(); loop.stop(); } };
}

// folded is a table that is closed until somebody opens it.
function folded({ title }, { columns, key }) {
  const summary = el('summary');
  const rows = table({ label: 'Folded away', columns, key });
  const node = el('details', { class: 'history' }, summary, rows.node);
  return {
    node,
    show(items) {
      node.hidden = items.length === 0;
      if (items.length > 0) fill(summary, title(items.length));
      rows.show(items);
    },
  };
}
