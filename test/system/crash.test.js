// kill -9 in the middle of a load: whatever a client received is in the log.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import https from 'node:https';
import { after, before, test } from 'node:test';
import { until } from './gateway.js';
import { World } from './world.js';

let world;
before(async () => { world = await World.start((config) => { config.limits = { window: '4KiB' }; }); });
after(() => world?.stop());

// Load calls the gateway from several sides at once, and keeps every byte that comes back.
class Load {
  constructor(tokens) {
    this.tokens = tokens;
    this.calls = [];
    this.agent = new https.Agent({ keepAlive: true });
  }

  // begin makes n callers that each go through the paths until the load stops.
  begin(n, paths) {
    for (let i = 0; i < n; i++) {
      this.next(i, paths);
    }
  }

  next(i, paths) {
    if (this.stopped) {
      return;
    }
    const [as, path] = paths[i % paths.length];
    const call = { id: randomUUID(), answered: false, whole: false, bytes: '' };
    this.calls.push(call);
    const ended = () => {
      if (!call.ended) {
        call.ended = true;
        this.next(i + 1, paths);
      }
    };
    const request = https.get(`${world.base}/${path}`, {
      agent: this.agent, headers: { Authorization: `Bearer ${this.tokens[as]}`, 'X-Request-Id': call.id },
    }, (response) => {
      call.answered = true;
      call.status = response.statusCode;
      response.setEncoding('utf8').on('data', (text) => { call.bytes += text; });
      response.once('end', () => { call.whole = response.complete; });
      response.once('error', () => {}).once('close', ended);
    });
    request.once('error', ended);
  }

  // stop begins nothing further, and waits for what is under way.
  async stop() {
    this.stopped = true;
    await until('every call to end', () => this.calls.every((c) => c.ended));
    this.agent.destroy();
  }

  get answered() {
    return this.calls.filter((c) => c.answered);
  }
}

// named are the resources that the bytes name, whole names only.
function named(bytes) {
  const found = new Set();
  for (const [, name] of bytes.matchAll(/"fullUrl":"[^"]*\/([A-Za-z]+\/[A-Za-z0-9.-]+)"/g)) {
    found.add(name);
  }
  for (const [, name] of bytes.matchAll(/"(?:[^"]*\/)?(Patient\/[A-Za-z0-9.-]+)"/g)) {
    found.add(name);
  }
  return found;
}

for (const round of [1, 2]) {
  test(`kill -9, ${round}`, async () => {
    const clients = ['scheduling-a', 'scheduling-b', 'billing-a', 'access-a'];
    const tokens = Object.fromEntries(await Promise.all(clients.map(async (c) => [c, await world.token(c)])));
    const load = new Load(tokens);

    // Some answers stop in the middle at the EHR, so that they are half out when the gateway dies.
    let release;
    const killed = new Promise((resolve) => { release = resolve; });
    world.ehr.hold = (request) => (request.url.includes('_count=67') ? killed : undefined);
    load.begin(3, [['scheduling-a', 'Appointment?_count=67'], ['scheduling-b', 'Appointment?_count=67']]);
    load.begin(8, [
      ['scheduling-a', 'Appointment?_count=40'], ['billing-a', 'Coverage?_count=32'], ['access-a', 'Patient?_count=32'],
      ['scheduling-b', 'Encounter?_count=23'], ['billing-a', 'Patient?_count=5'], ['scheduling-a', 'Task?_count=10'],
    ]);
    const held = () => load.calls.filter((c) => c.answered && !c.ended && named(c.bytes).size > 20);
    await until('a load under way', () => load.answered.filter((c) => c.whole).length >= 60 && held().length >= 3);
    const how = await world.gateway.end('SIGKILL');
    assert.equal(how, 'SIGKILL');
    await load.stop();
    release();
    world.ehr.hold = undefined;

    const broken = load.answered.filter((c) => !c.whole);
    assert.ok(broken.length >= 3, 'answers were cut');
    assert.ok(broken.every((c) => c.status === 200));

    await world.gateway.start();
    const records = new Map();
    for (const record of await world.gateway.records()) {
      records.set(record.request_id, [...(records.get(record.request_id) ?? []), record]);
    }
    let patients = 0;
    for (const call of load.answered) {
      const own = records.get(call.id);
      assert.ok(own, `${call.id}: the client has an answer that no record tells of`);
      assert.equal(own[0].kind, 'access');
      const subjects = new Set(own.flatMap((r) => r.subjects ?? []));
      for (const name of named(call.bytes)) {
        assert.ok(subjects.has(name), `${call.id}: ${name} was received and no record names it`);
        patients += name.startsWith('Patient/') ? 1 : 0;
      }
    }
    assert.ok(patients > 500, `${patients} patients were named in what was received`);
    assert.ok([...records.values()].some((own) => own.some((r) => r.kind === 'release')), 'answers went in windows');

    const verified = await world.gateway.verify();
    assert.equal(verified.code, 0, verified.err);
    assert.equal((await world.call('/Appointment?_count=3', { as: 'scheduling-a' })).status, 200);
    assert.equal((await world.gateway.verify()).code, 0);
  });
}

test('tokens from before a crash still open', async () => {
  const { json } = await world.call('/Appointment?_count=1', { as: 'scheduling-a' });
  await world.gateway.end('SIGKILL');
  await world.gateway.start();
  const { status } = await world.call(`/Appointment/${json.entry[0].resource.id}`, { as: 'scheduling-a' });
  assert.equal(status, 200);
  await world.clean();
});
