import { $, el, text, age, legible, say, taskOf, taskPath } from './dom.js';
import { Model } from './model.js';
import { follow } from './stream.js';
import { lay, showFleet, tickFleet, wireFleet } from './fleet.js';
import { showRunning, showEvents } from './lists.js';
import { openTask, touched } from './task.js';
import { wireDialog } from './dialog.js';

const model = new Model();
let chart = null, frame = 0, drawn = 0, busy = false, listed = 0, connection = 'connecting', lastUpdate = 0, scroll = 0;
const states = new Map(); // of servers, to tell who came and went

// ---- what is shown ----

function render() {
  frame = 0;
  drawn = performance.now();
  busy = model.dirty.count > 50;
  showFleet(model);
  if (model.dirty.queues) showQueues();
  text($('broker'), legible(model.broker));
  tell();
  touched(model);
  const now = performance.now();
  if (!busy && now - listed >= 450) lists(now); // the rest comes with the next tick
  else later = later.concat(model.dirty.events);
  replaced ||= model.dirty.replaced;
  model.clearDirty();
  const root = document.documentElement.dataset;
  root.version = model.version;
  root.ready ??= Math.round(performance.now());
}

let full = 0, listsInSight = true;
new IntersectionObserver(entries => { listsInSight = entries.some(e => e.isIntersecting); }).observe(document.querySelector('.columns'));

let later = [], replaced = false; // of the events, what the list has not shown

function lists(now) {
  listed = now;
  model.dirty.events = later.concat(model.dirty.events);
  model.dirty.replaced ||= replaced;
  later = [];
  replaced = false;
  if (taskOf(location) === null) {
    figures(model.totals());
    // When much changes, the lists wait, longer where nobody sees them.
    const pause = busy ? listsInSight ? 1900 : 3900 : 0;
    if (now - full >= pause) {
      full = now;
      showRunning(model);
      showEvents(model);
    } else {
      later = model.dirty.events.slice(-100);
      replaced = model.dirty.replaced;
    }
  }
  model.dirty.events = [];
  model.dirty.replaced = false;
}

function figures(t) {
  text($('n-servers'), t.servers + (t.gone ? ` + ${t.gone} gone` : ''));
  text($('n-used'), t.slots ? `${t.slots - t.empty} of ${t.slots}` : '–');
  for (const s of ['protected', 'internal', 'external', 'empty', 'waiting', 'backlog']) text($('n-' + s), String(t[s]));
}

function showQueues() {
  $('queues').replaceChildren(...model.queues.map(q => el('li', null, el('span', { class: 'id' }, legible(q.kind || '')),
    ` ${q.ready || 0} ready, ${q.unacked || 0} taken`, q.dead ? el('strong', null, `, ${q.dead} dead`) : '')));
  $('queues').hidden = model.queues.length === 0;
}

// tell says who came and who went.
function tell() {
  if (!model.dirty.servers.size && !model.dirty.layout) return;
  const news = [];
  for (const s of model.servers.values()) {
    const before = states.get(s.id);
    if (before !== s.state && (before || s.state === 'gone')) news.push(`${s.id} is ${s.state}`);
    states.set(s.id, s.state);
  }
  for (const id of states.keys()) if (!model.servers.has(id)) states.delete(id);
  if (news.length) say(news.length > 3 ? `${news.length} servers changed` : news.join(', '));
}

// ---- the connection ----

function update(u) {
  model.apply(u);
  lastUpdate = Date.now();
  draw();
}

// draw draws soon, unless nobody looks; four times a second when much changes.
function draw() {
  if (document.hidden || frame) return;
  const wait = busy ? drawn + 245 - performance.now() : 0;
  frame = wait > 0 ? setTimeout(() => { frame = requestAnimationFrame(render); }, wait) : requestAnimationFrame(render);
}

let charting = false;

// loadChart is called again when the page is live again: it may have been cut
// off from the chart too.
async function loadChart() {
  if (chart || charting) return;
  charting = true;
  const c = await import('./chart.js').catch(() => null);
  charting = false;
  if (!c) return;
  c.startChart();
  chart = c;
}

function state(s) {
  if (s === connection) return;
  if (s === 'cut') say('The connection is cut');
  else if (connection === 'cut') {
    say('The connection is back');
    loadChart();
  }
  connection = s;
  $('connection').dataset.state = s;
  text($('connection').lastElementChild, s === 'live' ? 'live' : 'cut');
  $('cut').hidden = s !== 'cut';
  document.body.classList.toggle('stale', s === 'cut');
}

// ---- the task's page ----

function route(focus) {
  const id = taskOf(location);
  $('fleet-view').hidden = id !== null;
  $('task-view').hidden = id === null;
  document.title = id === null ? 'Occamy' : legible(id) + ' – Occamy';
  openTask(id, model);
  if (id === null) {
    lists(performance.now());
    scrollTo(0, focus ? scroll : 0);
  } else {
    scrollTo(0, 0);
    if (focus) $('task-title').focus();
  }
}

function open(id) {
  if (taskOf(location) === null) scroll = scrollY;
  history.pushState(null, '', taskPath(id));
  route(true);
}

document.addEventListener('click', e => {
  const a = e.target.closest('a[data-nav]');
  if (!a || e.button || e.ctrlKey || e.metaKey || e.shiftKey || e.altKey) return;
  e.preventDefault();
  if (taskOf(location) === null) scroll = scrollY;
  history.pushState(null, '', a.getAttribute('href'));
  route(true);
});
addEventListener('popstate', () => route(true));

// ---- the theme ----

function showTheme() { text($('theme'), 'Theme: ' + (document.documentElement.dataset.theme || 'auto')); }

$('theme').addEventListener('click', () => {
  const root = document.documentElement.dataset, order = ['', 'dark', 'light'];
  const next = order[(order.indexOf(root.theme || '') + 1) % 3];
  if (next) root.theme = next; else delete root.theme;
  try { localStorage.setItem('occamy-theme', next); } catch { /* not kept */ }
  showTheme();
  lay();
  chart?.rebuild();
});

// ---- time ----

setInterval(() => {
  if (chart && connection === 'live') chart.sample(model.totals(), model.now());
  if (!document.hidden) {
    lists(performance.now());
    tickFleet(model);
    if (connection === 'cut') text($('cut-age'), lastUpdate ? age(Date.now() - lastUpdate) + ' ago' : 'before');
  }
}, 1000);
document.addEventListener('visibilitychange', () => { if (!document.hidden) draw(); });
$('notable').addEventListener('change', () => showEvents(model, true));

showTheme();
wireDialog();
wireFleet(open);
route(false);
follow('/api/fleet', update, state);
// The chart is no part of what must be there first.
(window.requestIdleCallback || setTimeout)(loadChart);
