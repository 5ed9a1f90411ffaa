// halfdoor probe in front of an EHR that others wrote: what it plants there stays hidden behind the gateway, shows without
// it, and is removed.

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { halfdoor } from './gateway.js';
import { World } from './world.js';

let world;
before(async () => { world = await World.start(); });
after(() => world?.stop());

// probe runs the command, and returns its exit status and the names of what failed, with the evidence.
async function probe(checks, ...args) {
  const { code, out, err } = await halfdoor('probe', '--json', '--ehr', world.ehr.base, '--dataset', 'scheduling', ...checks.flatMap((c) => ['--only', c]), ...args);
  assert.equal(err, '');
  const results = out.trim().split('\n').map((line) => JSON.parse(line));
  return { code, results, failed: Object.fromEntries(results.filter((r) => r.ok === false).map((r) => [r.name, r.evidence])) };
}

const patients = async () => (await (await fetch(`${world.ehr.base}/Patient?_count=1`)).json()).total;

test('nothing planted comes through the gateway', async () => {
  const there = await patients();
  const file = async (client) => {
    const name = join(world.gateway.dir, `${client}.token`);
    await writeFile(name, await world.token(client), { mode: 0o600 });
    return `file:${name}`;
  };
  const { results, failed } = await probe(['leak/*', 'refuse/*'], '--url', world.base, '--ca', join(world.gateway.dir, 'certs', 'ca.pem'),
    '--token', await file('scheduling-a'), '--other-token', await file('billing-a'));
  assert.deepEqual(failed, {});
  assert.ok(results.filter((r) => r.ok).length > 50);
  assert.equal(await patients(), there, 'the canaries are gone');
});

test('without the gateway, it does', async () => {
  const checks = ['leak/no-token', 'leak/element', 'leak/narrative', 'leak/label', 'leak/include', 'leak/search-birthdate', 'leak/chain', 'leak/history', 'leak/batch', 'leak/graphql'];
  const { code, failed } = await probe(checks, '--url', world.ehr.base, '--token', 'any');
  assert.equal(code, 1);
  assert.deepEqual(Object.keys(failed).sort(), [...checks].sort());
  assert.match(failed['leak/narrative'], /^canary hdc[0-9a-f]{8}x\d+, planted in /);
});
