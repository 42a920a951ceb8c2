// What runs, and what happened last.
import { $, el, text, attribute, age, legible, clock, duration, taskPath } from './dom.js';

const mostRows = 100, mostEvents = 60;
const rows = new Map(); // by ID of the request

function newRow(id) {
  const r = {};
  r.link = el('a', { href: taskPath(id), 'data-nav': '', class: 'id' }, legible(id));
  r.kind = el('span', { class: 'sub' });
  r.where = el('span', { class: 'sub narrow' });
  r.server = el('td', { class: 'wide' });
  r.slots = el('td');
  r.counts = { protected: el('i', { class: 'swatch protected' }), internal: el('i', { class: 'swatch internal' }), external: el('i', { class: 'swatch external' }) };
  r.spoken = el('span', { class: 'vh' });
  for (const s of Object.values(r.counts)) s.setAttribute('aria-hidden', 'true');
  r.slots.append(...Object.values(r.counts), r.spoken);
  r.bar = el('progress', { max: 1, value: 0, 'aria-label': 'Progress of ' + id });
  r.percent = el('span', { class: 'percent' });
  r.age = el('td', { class: 'num' });
  r.cancel = el('button', { type: 'button', class: 'quiet', 'data-ask': 'cancel', 'data-id': id, 'data-testid': 'cancel', 'aria-label': 'Cancel ' + id }, 'Cancel');
  r.root = el('tr', { 'data-testid': 'task-row', 'data-id': id }, el('th', { scope: 'row' }, r.link, el('span', { class: 'subs' }, r.kind, r.where)), r.server, r.slots,
    el('td', { class: 'progress' }, r.bar, r.percent), r.age, el('td', { class: 'act' }, r.cancel));
  return r;
}

export function showRunning(model) {
  const all = model.requests(), shown = all.slice(0, mostRows);
  const keep = new Set(shown.map(r => r.id));
  const body = $('running').tBodies[0];
  for (const [id, r] of rows) if (!keep.has(id)) { r.root.remove(); rows.delete(id); }
  let before = null;
  for (const q of shown) {
    let r = rows.get(q.id);
    if (!r) rows.set(q.id, r = newRow(q.id));
    const place = before ? before.nextSibling : body.firstChild;
    if (r.root !== place) body.insertBefore(r.root, place);
    before = r.root;
    const attempt = q.attempt > 1 ? ` · attempt ${q.attempt}` : '';
    const state = q.stuck ? ' · stuck' : q.stopping ? ' · stopping' : '';
    text(r.kind, legible(q.kind || '') + attempt + state);
    text(r.server, legible(q.server || '–'));
    text(r.where, legible(q.server));
    for (const [status, e] of Object.entries(r.counts)) { e.hidden = !q[status]; text(e, String(q[status])); }
    text(r.spoken, `${q.protected} protected, ${q.internal + q.external} assistants`);
    const known = q.fraction > 0;
    r.bar.hidden = !known;
    if (known) attribute(r.bar, 'value', Math.min(q.fraction, 1).toFixed(3));
    text(r.percent, known ? Math.floor(Math.min(q.fraction, 1) * 100) + ' %' : '–');
    text(r.age, isFinite(q.since) && q.since ? age(model.now() - q.since) : '');
  }
  $('running').hidden = all.length === 0;
  $('no-running').hidden = all.length > 0;
  text($('running-more'), all.length > shown.length ? `the oldest ${shown.length} of ${all.length}` : all.length ? String(all.length) : '');
}

const notable = new Set(['preempted', 'requeued', 'rejected', 'lost', 'stuck', 'joined', 'gone', 'draining', 'resumed']);
const glyphs = { started: '▸', ended: '■', acked: '✓', stopped: '×', preempted: '↷', requeued: '↺', rejected: '✕', lost: '?', stuck: '!', joined: '+', gone: '–', draining: '▽', resumed: '△' };
const words = { acked: 'settled', rejected: 'rejected', lost: 'delivery lost' };

// event is an event as an item of a list. since is where its times count from;
// undefined for the time of day.
export function event(e, since) {
  const what = words[e.type] || e.type || '';
  const parts = [];
  if (e.id) parts.push(el('a', { href: taskPath(e.id), 'data-nav': '', class: 'id' }, legible(e.id)));
  const rest = [];
  if (e.request && e.request !== e.id) rest.push('for ' + e.request);
  if (e.status && e.status !== 'empty') rest.push(e.status);
  if (e.server) rest.push('on ' + e.server);
  if (e.cause && e.cause !== 'completed' && e.cause !== e.type) rest.push(String(e.cause).replaceAll('_', ' '));
  if (e.took) rest.push('after ' + duration(e.took));
  const when = el('time', { datetime: iso(e.time) }, since === undefined ? clock(e.time) : '+' + duration(e.time - since));
  return el('li', { 'data-testid': 'event', 'data-type': e.type || '', class: notable.has(e.type) ? 'notable' : '' },
    when, el('b', { 'aria-hidden': 'true', class: 'glyph' }, glyphs[e.type] || '·'),
    el('span', { class: 'what' }, el('span', { class: 'type' }, what), ' ', ...parts, ' ', el('span', { class: 'sub' }, legible(rest.join(' · ')))));
}

function iso(ms) { try { return new Date(ms).toISOString(); } catch { return ''; } }

export function showEvents(model, all) {
  const list = $('events');
  const only = $('notable').checked;
  let fresh = all || model.dirty.replaced ? model.events : model.dirty.events;
  if (all || model.dirty.replaced) list.replaceChildren();
  if (only) fresh = fresh.filter(e => notable.has(e.type));
  if (fresh.length) {
    list.prepend(...fresh.slice(-mostEvents).reverse().map(e => event(e)));
    while (list.children.length > mostEvents) list.lastChild.remove();
  }
  $('no-events').hidden = list.children.length > 0;
}
