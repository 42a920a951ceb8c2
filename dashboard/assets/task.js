// A task's own page.
import { $, el, text, age, bytes, clock, duration, legible, taskPath } from './dom.js';
import { event } from './lists.js';

let shown = null;  // the ID
let now = Date.now; // by the server's clock
let timer = 0, asked = 0, known = null;

// openTask shows the page of a task; null closes it.
export function openTask(id, model) {
  shown = id;
  now = () => model.now();
  known = null;
  clearTimeout(timer);
  timer = 0;
  if (id === null) return;
  $('task-view').dataset.id = id;
  text($('task-title'), legible(id));
  text($('task-state'), '');
  for (const e of ['task-facts', 'timeline', 'gantt']) $(e).replaceChildren();
  for (const e of ['task-problem', 'task-progress', 'task-report', 'task-slots', 'result', 'task-cancel']) $(e).hidden = true;
  text($('result-size'), '');
  $('task-cancel').dataset.ask = 'cancel';
  $('task-cancel').dataset.id = id;
  load();
}

// touched has the page loaded again soon when something of its task changed.
export function touched(model) {
  if (shown === null || timer) return;
  const mine = x => x.id === shown || x.request === shown || x.owner === shown;
  let hit = model.dirty.events.some(mine);
  if (!hit) out: for (const [id, changed] of model.dirty.slots) for (const i of changed) {
    const s = model.servers.get(id)?.slots[i];
    if (s && mine(s)) { hit = true; break out; }
  }
  if (hit) timer = setTimeout(load, Math.max(100, asked + 500 - Date.now()));
}

async function load() {
  const id = shown;
  clearTimeout(timer);
  timer = 0;
  asked = Date.now();
  let problem = '';
  try {
    const answer = await fetch('/api/task?id=' + encodeURIComponent(id), { signal: AbortSignal.timeout(10000), cache: 'no-store' });
    const body = await answer.json();
    if (shown !== id) return;
    if (answer.ok) { known = body; problem = body.problem || ''; } else problem = `${body.error}: ${body.hint}`;
  } catch { problem = 'The server does not answer; this page tries again.'; }
  if (shown !== id) return;
  text($('task-problem'), problem);
  $('task-problem').hidden = !problem;
  if (known) show(known);
  if (!timer && !(known && known.outcome)) timer = setTimeout(load, 3000);
}

function facts(pairs) {
  $('task-facts').replaceChildren(...pairs.filter(([, v]) => v !== '' && v !== undefined).map(([k, v]) => el('div', null, el('dt', null, k), el('dd', null, v instanceof Node ? v : legible(v)))));
}

function show(t) {
  const slots = t.slots || [], events = t.events || [], o = t.outcome;
  const own = slots.find(s => s.id === shown && s.status === 'protected') || slots.find(s => s.id === shown);
  const rest = slots.filter(s => s !== own);
  const state = o ? o.status : own ? own.phase || 'running' : rest.length ? 'running' : events.some(e => e.id === shown && e.type === 'ended') ? 'ended' : 'unknown';
  text($('task-state'), state);
  $('task-state').dataset.state = state;
  $('task-cancel').hidden = !!o;
  const first = events.find(e => e.type === 'started');
  const request = own && own.request && own.request !== shown ? el('a', { href: taskPath(own.request), 'data-nav': '', class: 'id' }, legible(own.request)) : '';
  facts([
    ['Kind', o?.kind || own?.kind || first?.kind || ''], ['Status', own?.status || ''], ['Works for', request],
    ['Server', o?.server || (own ? `${own.server}, slot ${own.slot || 0}` : '')],
    ['Attempt', o?.attempt || own?.attempt || ''], ['Priority', own?.priority || ''],
    ['Started', own?.since ? clock(own.since) : first ? clock(first.time) : ''],
    ['Age', own?.since ? age(now() - own.since) : ''], ['Assistants', rest.length || ''], ['Reason', o?.reason || ''],
  ]);
  const fraction = own?.fraction || 0;
  $('task-progress').hidden = !(fraction > 0) || !!o;
  if (fraction > 0) $('task-progress').value = Math.min(fraction, 1);
  const report = t.progress && typeof t.progress !== 'number' ? t.progress : '';
  $('task-report').hidden = !report;
  if (report) text($('task-report'), typeof report === 'string' ? pretty(report) : JSON.stringify(report, null, 2));

  $('task-slots').tBodies[0].replaceChildren(...rest.map(s => el('tr', null,
    el('th', { scope: 'row' }, el('a', { href: taskPath(s.id || ''), 'data-nav': '', class: 'id' }, legible(s.id || ''))),
    el('td', null, el('i', { class: 'swatch ' + s.status, 'aria-hidden': 'true' }, (s.status || '')[0]?.toUpperCase() || ''), s.status || ''),
    el('td', null, legible(`${s.server}, slot ${s.slot || 0}`)), el('td', { class: 'num' }, s.since ? age(now() - s.since) : ''))));
  $('task-slots').hidden = rest.length === 0;
  $('no-task-slots').hidden = rest.length > 0;

  const since = events.length ? events[0].time : 0;
  $('timeline').replaceChildren(...events.map(e => event(e, since)));
  $('no-timeline').hidden = events.length > 0;
  gantt(slots, events);

  const has = o && o.size > 0;
  $('result').hidden = !has;
  $('no-result').hidden = !!has;
  text($('no-result'), o ? 'It left none.' : 'None yet.');
  text($('result-size'), has ? bytes(o.size) + (o.encoding ? ', ' + o.encoding : '') + (o.truncated ? ', only the beginning is shown' : '') : '');
  if (has) text($('result'), o.encoding || o.truncated ? o.result : pretty(o.result));
}

// pretty spreads JSON out; other text stays as it is.
function pretty(t) {
  try {
    const v = JSON.parse(t);
    return v && typeof v === 'object' ? JSON.stringify(v, null, 2) : t;
  } catch { return t; }
}

// gantt draws when which slot worked for the task. The list below says the same.
function gantt(slots, events) {
  const bars = [], open = new Map();
  for (const e of events) {
    const at = e.server + '\n' + (e.slot || 0);
    if (e.type === 'started') open.set(at, { server: e.server, slot: e.slot || 0, status: e.status, id: e.id, from: e.time });
    else if (e.type === 'ended' && open.has(at)) { bars.push({ ...open.get(at), to: e.time }); open.delete(at); }
    else if (e.type === 'ended' && e.took) bars.push({ server: e.server, slot: e.slot || 0, status: e.status, id: e.id, from: e.time - e.took, to: e.time });
  }
  const end = Math.max(slots.length ? now() : 0, ...events.map(e => e.time || 0));
  for (const s of slots) {
    open.delete(s.server + '\n' + (s.slot || 0));
    bars.push({ server: s.server, slot: s.slot || 0, status: s.status, id: s.id, from: s.since || end, to: end, runs: true });
  }
  for (const b of open.values()) bars.push({ ...b, to: b.from });
  const begin = Math.min(...bars.map(b => b.from));
  const length = Math.max(end - begin, 1);
  const lanes = new Map();
  for (const b of bars.slice(-400)) {
    const k = b.server + '\n' + b.slot;
    if (!lanes.has(k)) lanes.set(k, []);
    lanes.get(k).push(b);
  }
  const list = [...lanes.values()].sort((a, b) => a[0].from - b[0].from).slice(0, 40);
  $('gantt').replaceChildren(...list.map(lane => {
    const track = el('div', { class: 'track' });
    for (const b of lane) {
      const bar = el('i', { class: 'bar ' + (/^(protected|internal|external)$/.test(b.status) ? b.status : ''), title: `${b.id}: ${duration(b.to - b.from)}` });
      bar.style.left = (b.from - begin) / length * 100 + '%';
      bar.style.width = Math.max((b.to - b.from) / length * 100, .4) + '%';
      track.append(bar);
    }
    return el('div', { class: 'lane' }, el('span', { class: 'lane-name' }, legible(`${lane[0].server} · ${lane[0].slot}`)), track);
  }));
  if (list.length) $('gantt').append(el('div', { class: 'lane scale' }, el('span'), el('div', { class: 'track' }, el('span', null, clock(begin)), el('span', null, duration(length)))));
}
