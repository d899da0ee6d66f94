// Builds what is seen. Text only ever becomes text: there is no way here to parse
// markup, and the page's policy forbids every other.

// el makes an element. Attributes that are null, undefined or false are left out;
// `on` holds listeners; children are nodes or text, and what is null is skipped.
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === 'on') {
      for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    } else {
      node.setAttribute(name, value === true ? '' : String(value));
    }
  }
  fill(node, ...children);
  return node;
}

// fill gives a node new children.
export function fill(node, ...children) {
  node.replaceChildren(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false));
  return node;
}

// outward links to a site that somebody else named; what is no web address stays text.
export function outward(address, text = address) {
  let url;
  try {
    url = new URL(address);
  } catch {
    return text;
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return text;
  return el('a', { href: url.href, target: '_blank', rel: 'noopener noreferrer nofollow' }, text);
}

// table returns an element and how to show items in it. Rows keep their place in the
// document while their item is the same, so that focus and selection survive. A column
// is {name, cell(item)}, and number or wide for what it holds; the first names the item,
// the second tells its state, so that both need no name where a row is a block, as on
// narrow screens. Because of these the roles are said again. key(item) tells items apart.
export function table({ label, columns, key }) {
  const head = el('tr', { role: 'row' }, columns.map((c) => el('th', { role: 'columnheader', scope: 'col', class: c.number && 'number' }, c.name)));
  const body = el('tbody', { role: 'rowgroup' });
  // Wider than its place it scrolls, by the keyboard too.
  const node = el('div', { class: 'scroll', role: 'region', 'aria-label': label, tabindex: '0' },
    el('table', { role: 'table', 'aria-label': label }, el('thead', { role: 'rowgroup' }, head), body));
  let rows = new Map();
  const show = (items) => {
    const next = new Map();
    items.forEach((item, i) => {
      const id = key(item);
      const text = JSON.stringify(item);
      let row = rows.get(id);
      if (!row || row.text !== text) {
        const tr = el('tr', { role: 'row' }, columns.map((c) => el('td', { role: 'cell', 'data-label': c.name, class: c.number ? 'number' : c.wide && 'wide' }, el('div', {}, c.cell(item)))));
        row?.tr.replaceWith(tr);
        row = { tr, text };
      }
      next.set(id, row);
      if (body.children[i] !== row.tr) body.insertBefore(row.tr, body.children[i] ?? null);
    });
    for (const [id, row] of rows) if (!next.has(id)) row.tr.remove();
    rows = next;
  };
  return { node, show };
}
