// Signs in with a key.

import { Problem } from '../api.js';
import { el, fill } from '../dom.js';
import { code } from '../parts.js';
import { signIn } from '../session.js';
import { explain, span } from '../words.js';

export function signin(main, { over, entered }) {
  const input = el('input', {
    id: 'key', name: 'key', type: 'password', required: true, autocomplete: 'current-password', autocapitalize: 'off', spellcheck: 'false',
    'aria-describedby': 'key-help key-trouble', 'data-focus': true,
  });
  const trouble = el('p', { id: 'key-trouble', class: 'trouble', role: 'alert' });
  const button = el('button', { type: 'submit', class: 'primary' }, 'Sign in');
  const form = el('form', { class: 'card', novalidate: true, on: { submit } },
    el('h1', {}, 'Sign in'),
    over && el('p', { class: 'notice' }, 'Your session is over: it has ended, or the key was revoked. Sign in again to go on.'),
    el('label', { for: 'key' }, 'Key'),
    input,
    el('p', { id: 'key-help', class: 'help' }, 'It begins with ', code('dbk_live_'), '. The key is sent once and not kept in this browser.'),
    trouble,
    button,
    el('details', {}, el('summary', {}, 'No key yet?'),
      el('p', {}, 'Customers get theirs from whoever sold the package. Whoever runs this installation makes one with'),
      el('pre', {}, code('directorybolt keys create --role staff --name NAME'))));
  fill(main, el('div', { class: 'door' }, form, el('p', { class: 'aside' }, el('a', { href: '#/health' }, 'Is it working? See its health'))));

  async function submit(event) {
    event.preventDefault();
    if (!input.value.trim()) return refuse('Enter your key.');
    button.disabled = true;
    fill(button, 'Signing in…');
    try {
      await signIn(input.value.trim());
      entered();
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      refuse(why(problem));
    } finally {
      button.disabled = false;
      fill(button, 'Sign in');
    }
  }

  function why(problem) {
    if (problem.status === 401) return 'This key does not work. It may be mistyped, cut, expired or revoked.';
    if (problem.status === 429) return `Too many attempts. Try again in ${span(problem.retryAfter * 1000)}.`;
    return `${explain(problem).title}. Try again in a moment.`;
  }

  function refuse(text) {
    fill(trouble, text);
    input.setAttribute('aria-invalid', 'true');
    input.focus();
    input.select();
  }
}
