// Begins the page: who is signed in, which parts he may see, and the view that the
// address names. A view is a function (main, {params, query}) that fills the main part
// and returns how to stop it.

import { onSignedOut } from './api.js';
import { el, fill } from './dom.js';
import { problemBox, say } from './parts.js';
import { find, parse } from './router.js';
import { customers, may, restore, session, signOut, staff } from './session.js';
import { health } from './views/health.js';
import { letters } from './views/letters.js';
import { forbidden, nowhere } from './views/missing.js';
import { order } from './views/order.js';
import { orders } from './views/orders.js';
import { queue } from './views/queue.js';
import { signin } from './views/signin.js';
import { stale } from './views/stale.js';
import { workers } from './views/workers.js';

// Every view, who may see it, and its name in the navigation, if it stands there.
const routes = [
  { path: '/health', nav: 'Health', title: 'Health', open: health },
  { path: '/orders', nav: 'Orders', title: 'Orders', roles: customers, open: orders },
  { path: '/orders/{id}', title: 'Order', roles: customers, open: order, under: '/orders' },
  { path: '/queue', nav: 'Queue', title: 'Queue', roles: staff, open: queue },
  { path: '/workers', nav: 'Workers', title: 'Workers', roles: staff, open: workers },
  { path: '/stale', nav: 'Stale jobs', title: 'Stale jobs', roles: staff, open: stale },
  { path: '/letters', nav: 'Dead letters', title: 'Dead letters', roles: staff, open: letters },
];

const main = document.getElementById('main');
const nav = document.getElementById('nav');
const whoBox = document.getElementById('who');

let stop = () => {};
let over = false; // the session ended by itself

// home is where each begins.
const home = () => (session.who?.role === 'customer' ? '/orders' : '/health');

function show({ focus = true } = {}) {
  stop();
  const { path, query } = parse(location.hash);
  const found = path === '/' ? (session.who ? find(routes, home()) : null) : find(routes, path);
  const title = !found && path !== '/' ? 'Not found' : found && may(found.route.roles) ? found.route.title : session.who ? 'Not for your role' : 'Sign in';
  document.title = `${title} · DirectoryBolt`;
  const view = !found && path !== '/' ? nowhere : !found || (!session.who && found.route.roles) ? signin : may(found.route.roles) ? found.route.open : forbidden;
  stop = view(main, { params: found?.params ?? {}, query, over, entered }) ?? (() => {});
  around(view === signin ? null : found?.route);
  if (focus) {
    window.scrollTo(0, 0);
    (main.querySelector('[data-focus]') ?? main.querySelector('h1') ?? main).focus({ preventScroll: true });
  }
}

// entered goes on after somebody signed in: to where he wanted to.
function entered() {
  over = false;
  say(`Signed in as ${session.who.name}`);
  show();
}

// around shows what stands beside every view.
function around(current) {
  const here = current?.under ?? current?.path;
  document.body.classList.toggle('outside', !session.who);
  nav.hidden = !session.who;
  whoBox.hidden = !session.who && !current;
  fill(nav, el('ul', {}, routes.filter((r) => r.nav && may(r.roles)).map((r) =>
    el('li', {}, el('a', { href: `#${r.path}`, 'aria-current': r.path === here && 'page' }, r.nav)))));
  if (!session.who) {
    fill(whoBox, el('a', { href: '#/' }, 'Sign in'));
    return;
  }
  fill(whoBox,
    el('p', {}, el('strong', {}, session.who.name), ' ', el('span', { class: 'role' }, session.who.role)),
    el('button', { type: 'button', id: 'sign-out', on: { click: leave } }, 'Sign out'));
}

async function leave() {
  try {
    await signOut();
  } catch (problem) {
    fill(main, problemBox(problem));
    return;
  }
  say('Signed out');
  if (parse(location.hash).path === '/') show();
  else location.hash = '#/';
}

onSignedOut(() => {
  if (!session.who) return;
  session.who = null;
  over = true;
  show();
});

document.getElementById('skip').addEventListener('click', (event) => {
  event.preventDefault(); // the address names the view
  main.focus();
});

window.addEventListener('hashchange', () => show());

async function begin() {
  try {
    await restore();
  } catch (problem) {
    // Whoever it is may still see how the installation is.
    around(null);
    stop = health(main, {});
    main.prepend(problemBox(problem), el('p', { class: 'notice' }, 'Nobody knows yet who you are. Reload the page to try again.'));
    return;
  }
  show({ focus: false });
}

begin();
