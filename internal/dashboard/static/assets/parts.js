// What several views are made of.

import { el, fill } from './dom.js';
import { ago, capital, explain, stamp, tone, word } from './words.js';

// badge shows a state by word and colour.
export const badge = (state, text = word(state)) => el('span', { class: `badge ${tone(state)}` }, text);

// when shows a moment; nothing for none.
export function when(time) {
  return time ? el('time', { datetime: time, title: new Date(time).toString() }, stamp(time)) : el('span', { class: 'none' }, '–');
}

// since shows how long ago a moment is, and goes on counting.
export function since(time) {
  return time ? el('time', { datetime: time, 'data-ago': true, title: new Date(time).toString() }, ago(time)) : el('span', { class: 'none' }, '–');
}

setInterval(() => {
  for (const node of document.querySelectorAll('time[data-ago]')) {
    const text = ago(node.dateTime);
    if (node.textContent !== text) node.textContent = text;
  }
}, 1000);

// code shows a command to type.
export const code = (text) => el('code', {}, text);

// theirs is text that others chose, in a line with ours: whichever way it runs, ours
// stays as it is.
export const theirs = (text, attributes = {}) => el('bdi', attributes, text);

// cause is why something came about, as others say it.
export const cause = (...text) => theirs(text, { class: 'cause' });

// say tells those who hear the page rather than see it.
export function say(text) {
  const node = document.getElementById('say');
  if (node.textContent !== text) node.textContent = text;
}

// problemBox tells of a problem: what, what to do, and what finds it in the log.
export function problemBox(problem, again = 0) {
  const { title, advice } = explain(problem);
  const mild = ['NOT_AVAILABLE', 'RATE_LIMITED'].includes(problem.code);
  return el('div', { class: `problem ${mild ? 'mild' : ''}`, role: 'alert', 'data-code': problem.code },
    el('h2', {}, title),
    advice && el('p', {}, advice),
    problem.detail && el('p', { class: 'detail' }, 'The server says: ', theirs(capital(problem.detail)), '.'),
    again > 0 && el('p', {}, 'It is tried again at ', el('time', { datetime: new Date(again).toISOString() }, stamp(again)), '.'),
    problem.instance && el('p', { class: 'detail' }, 'Request ', code(problem.instance)));
}

// empty says that there is nothing, and what that means.
export const empty = (title, text) => el('div', { class: 'empty' }, el('p', { class: 'lead' }, title), text && el('p', {}, text));

// frame is the top of a view, and below it what was answered, or that nothing was yet,
// or a problem. What was shown before stays while a problem lasts, with its age.
export function frame(main, { title, lead }) {
  const heading = el('h1', { tabindex: '-1' }, title);
  const updated = el('p', { class: 'updated' });
  const trouble = el('div');
  const body = el('div', { class: 'body', 'aria-busy': 'true' }, el('p', { class: 'loading' }, 'Loading…'));
  fill(main, el('div', { class: 'head' }, el('div', {}, heading, lead && el('p', { class: 'lead' }, lead)), updated), trouble, body);
  let shown = false, troubled = '';
  return {
    heading,
    body,
    // shows puts the answer's parts into the body, unless they are there.
    shows(...parts) {
      fill(trouble);
      troubled = '';
      if (!shown || parts.length) fill(body, ...parts);
      shown = true;
      body.removeAttribute('aria-busy');
      body.classList.remove('old');
      fill(updated, 'Updated ', el('time', { datetime: new Date().toISOString() }, stamp(Date.now())));
    },
    // fails shows a problem above what is known. The same problem again changes nothing
    // but its time, so that nobody is told twice.
    fails(problem, again) {
      const box = problemBox(problem, again);
      if (troubled === problem.code) box.removeAttribute('role');
      troubled = problem.code;
      fill(trouble, box);
      body.removeAttribute('aria-busy');
      if (!shown) fill(body);
      body.classList.add('old');
    },
  };
}
