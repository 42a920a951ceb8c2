// What is known of the fleet. Updates are those of GET /api/fleet.

const keepEvents = 400;
const statuses = new Set(['empty', 'protected', 'internal', 'external']);

export class Model {
  constructor() {
    this.servers = new Map(); // by ID, each with slots by index
    this.queues = [];
    this.events = []; // oldest first
    this.broker = '';
    this.version = 0;
    this.offset = 0; // of the server's clock to this one
    this.clearDirty();
  }

  clearDirty() {
    this.dirty = { servers: new Set(), slots: new Map(), layout: false, events: [], queues: false, count: 0 };
  }

  now() { return Date.now() + this.offset; }

  // apply takes over an update and notes what changed since clearDirty.
  apply(u) {
    this.version = u.v;
    if (u.now) this.offset = u.now - Date.now();
    if (u.broker) this.broker = u.broker;
    if (u.full) {
      const there = new Set((u.servers || []).map(s => s.id));
      for (const id of this.servers.keys()) if (!there.has(id)) this.remove(id);
      this.events = [];
      this.dirty.events = [];
      this.dirty.replaced = true;
    }
    for (const id of u.removed || []) this.remove(id);
    for (const s of u.servers || []) this.server(s, u.full);
    if (u.queues || u.full) {
      this.queues = u.queues || [];
      this.dirty.queues = true;
    }
    if (u.events && u.events.length) {
      this.events.push(...u.events);
      this.dirty.events.push(...u.events);
      if (this.events.length > keepEvents) this.events.splice(0, this.events.length - keepEvents);
      if (this.dirty.events.length > keepEvents) this.dirty.events.splice(0, this.dirty.events.length - keepEvents);
    }
  }

  remove(id) {
    if (this.servers.delete(id)) this.dirty.layout = true;
    this.dirty.slots.delete(id);
  }

  server(s, full) {
    let k = this.servers.get(s.id);
    if (!k) {
      k = { id: s.id, slots: [], kinds: [] };
      this.servers.set(s.id, k);
      this.dirty.layout = true;
    }
    for (const f of ['seen', 'started', 'waiting', 'held', 'converting', 'backlog', 'capacity', 'headroom', 'preemptions']) k[f] = s[f] || 0;
    k.state = s.state || 'up';
    if (s.kinds) k.kinds = s.kinds;
    const size = Math.min(Math.max(s.size || 0, 0), 4096);
    let dirty = this.dirty.slots.get(s.id);
    if (!dirty) this.dirty.slots.set(s.id, dirty = new Set());
    if (size !== k.slots.length || full) {
      if (size !== k.slots.length) this.dirty.layout = true;
      if (size < k.slots.length) k.slots.length = size;
      for (let i = 0; i < size; i++) {
        if (full || !k.slots[i]) k.slots[i] = { slot: i, status: 'empty' };
        dirty.add(i);
      }
    }
    for (const slot of s.slots || []) {
      const i = slot.slot || 0;
      if (i >= size) continue;
      if (!statuses.has(slot.status)) slot.status = 'empty';
      k.slots[i] = slot;
      dirty.add(i);
      this.dirty.count++;
    }
    this.dirty.servers.add(s.id);
  }

  totals() {
    const t = { servers: 0, gone: 0, slots: 0, empty: 0, protected: 0, internal: 0, external: 0, stuck: 0, waiting: 0, backlog: 0 };
    for (const s of this.servers.values()) {
      if (s.state === 'gone') { t.gone++; continue; }
      t.servers++;
      t.waiting += s.waiting + s.held + s.converting;
      t.backlog += s.backlog;
      t.slots += s.slots.length;
      for (const slot of s.slots) {
        t[slot.status]++;
        if (slot.phase === 'stuck') t.stuck++;
      }
    }
    return t;
  }

  // requests are what runs, oldest first: each with the slots that work for it.
  requests() {
    const all = new Map();
    for (const s of this.servers.values()) {
      if (s.state === 'gone') continue;
      for (const slot of s.slots) {
        if (slot.status === 'empty') continue;
        const id = slot.request || slot.owner || slot.id || '';
        let r = all.get(id);
        if (!r) all.set(id, r = { id, kind: '', server: '', since: Infinity, fraction: 0, priority: 0, attempt: 0, protected: 0, internal: 0, external: 0, stuck: false, stopping: false });
        r[slot.status]++;
        if (slot.phase === 'stuck') r.stuck = true;
        if (slot.status === 'protected') {
          r.server = s.id; r.slot = slot.slot || 0; r.kind = slot.kind; r.attempt = slot.attempt || 0;
          r.since = slot.since || 0; r.fraction = slot.fraction || 0; r.stopping = slot.phase === 'stopping';
        } else {
          r.kind ||= slot.kind;
          if (!r.server) r.since = Math.min(r.since, slot.since || 0);
        }
      }
    }
    return [...all.values()].sort((a, b) => a.since - b.since || (a.id < b.id ? -1 : 1));
  }
}
