// What is not there, or not for everybody.

import { code, empty } from '../parts.js';
import { el, fill } from '../dom.js';
import { session } from '../session.js';

export function nowhere(main) {
  fill(main, el('h1', { tabindex: '-1' }, 'There is no such page'),
    empty('Nothing has this address.', 'It may have been cut when it was copied.'), el('p', {}, el('a', { href: '#/' }, 'To the beginning')));
}

export function forbidden(main) {
  fill(main, el('h1', { tabindex: '-1' }, 'Not for your role'),
    el('p', {}, `Your key has the role ${session.who.role}, which does not see this. Staff keys do: `, code('directorybolt keys create --role staff --name NAME')),
    el('p', {}, el('a', { href: '#/' }, 'To what it does see')));
}
