// Who uses the page. The key itself is never kept here: the server trades it for a
// cookie that no script can read.

import { ask } from './api.js';

export const session = { who: null };

export const staff = ['staff', 'admin'];
export const customers = ['customer', 'staff', 'admin'];

// may reports whether who is signed in has one of the roles; none named: everybody.
export const may = (roles) => !roles || roles.includes(session.who?.role);

// restore finds out who is signed in already.
export async function restore() {
  try {
    session.who = await ask('/api/session');
  } catch (problem) {
    session.who = null;
    if (problem.status !== 401) throw problem;
  }
}

export async function signIn(key) {
  session.who = await ask('/api/session', { method: 'POST', body: { key } });
}

export async function signOut() {
  await ask('/api/session', { method: 'DELETE' });
  session.who = null;
}
