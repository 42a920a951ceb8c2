// Small helpers. Data reaches the page as text nodes and attributes only.

export const $ = id => document.getElementById(id);

// el makes an element; children are nodes or text.
export function el(tag, attributes, ...children) {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(attributes || {})) if (v !== undefined && v !== null && v !== false) e.setAttribute(k, v);
  e.append(...children);
  return e;
}

// text sets the text of an element, if it is another.
export function text(e, t) { if (e.textContent !== t) e.textContent = t; }

export function attribute(e, k, v) { if (e.getAttribute(k) !== v) e.setAttribute(k, v); }

// taskPath is where the page of a task is. A path keeps no dot segments, and
// servers and proxies treat encoded slashes as they like.
export function taskPath(id) {
  return /^[^/\\]+$/.test(id) && id !== '.' && id !== '..' ? '/task/' + encodeURIComponent(id) : '/task/?id=' + encodeURIComponent(id);
}

export function taskOf(location) {
  if (!location.pathname.startsWith('/task/')) return null;
  const rest = location.pathname.slice('/task/'.length);
  if (rest === '') return new URLSearchParams(location.search).get('id') || null;
  try { return decodeURIComponent(rest); } catch { return rest; }
}

export function duration(ms) {
  if (!(ms >= 0)) return '0 s';
  if (ms < 1000) return Math.round(ms) + ' ms';
  const s = ms / 1000;
  if (s < 10) return s.toFixed(1) + ' s';
  if (s < 60) return Math.floor(s) + ' s';
  if (s < 3600) return Math.floor(s / 60) + ' min ' + String(Math.floor(s % 60)).padStart(2, '0') + ' s';
  if (s < 86400) return Math.floor(s / 3600) + ' h ' + String(Math.floor(s / 60) % 60).padStart(2, '0') + ' min';
  return Math.floor(s / 86400) + ' d ' + Math.floor(s / 3600) % 24 + ' h';
}

// age is a duration that is told each second.
export function age(ms) { return ms < 10000 ? Math.max(0, Math.floor(ms / 1000)) + ' s' : duration(ms); }

const clocks = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });
export const clock = ms => clocks.format(ms);

export function bytes(n) { return n < 1024 ? n + ' bytes' : n < 1 << 20 ? (n / 1024).toFixed(1) + ' KB' : (n / (1 << 20)).toFixed(1) + ' MB'; }

// legible is text from elsewhere with its control and direction characters
// spelled out: they would move, hide or turn round what stands beside them.
export function legible(t) {
  return String(t).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, c => '\\u{' + c.codePointAt(0).toString(16) + '}');
}

let lastSaid = 0, pending = '';
// say tells a screen reader, not more than once in 3 s; the last word counts.
export function say(message) {
  pending = legible(message);
  const wait = Math.max(0, lastSaid + 3000 - Date.now());
  setTimeout(() => {
    if (!pending) return;
    $('say').textContent = pending;
    pending = '';
    lastSaid = Date.now();
  }, wait);
}
