// The access log: whole when it is, and not whole when it is not, with the place.

import assert from 'node:assert/strict';
import { copyFile, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { halfdoor } from './gateway.js';
import { World } from './world.js';

const segment = '000001.jsonl';

let world;
let early; // the log's folder, copied while the gateway was running
let kept; // a checkpoint that was signed after that, kept elsewhere
let calls;
before(async () => {
  world = await World.start();
  calls = async (n) => {
    for (let i = 0; i < n; i++) {
      assert.equal((await world.call('/Patient?_count=3', { as: i % 2 ? 'scheduling-a' : 'billing-a' })).status, 200);
    }
  };
  await calls(12);
  early = await world.gateway.copyLog('early');
  await calls(12);
  kept = join(world.gateway.dir, 'kept-checkpoint');
  await copyFile(join(world.gateway.log, 'checkpoint'), kept);
  await calls(6);
});
after(() => world?.stop());

test('verifies while the gateway runs, and after it ended', async () => {
  const running = await world.gateway.verify();
  assert.equal(running.code, 0, running.err);
  assert.match(running.out, /^verified: \d+ records/);
  assert.equal(await world.gateway.end('SIGTERM'), 0, world.gateway.said);
  const ended = await world.gateway.verify();
  assert.equal(ended.code, 0, ended.err);
  const withKept = await world.gateway.verify(undefined, '--checkpoint', kept);
  assert.equal(withKept.code, 0, withKept.err);
  assert.match(withKept.out, /kept checkpoint: its \d+ records are all there/);
});

test('is found again by ticket, client and patient', async () => {
  const all = (await world.gateway.records()).filter((r) => r.kind === 'access');
  assert.equal(all.length, 30);
  assert.deepEqual(all.map((r) => r.seq), all.map((_, i) => all[0].seq + i));
  const billing = await world.gateway.records('--ticket', 'INC-billing-1');
  assert.equal(billing.length, 15);
  assert.ok(billing.every((r) => r.actor.client === 'billing-a' && r.policy.dataset === 'billing' && r.purpose === 'HPAYMT'));
  assert.equal((await world.gateway.records('--actor', 'scheduling-a')).length, 15);
  const [subject] = billing[0].subjects;
  assert.equal((await world.gateway.records('--patient', subject)).length, 15, 'by this client\'s token');
  assert.equal((await world.gateway.records('--patient', billing[0].patients[0])).length, 30, 'by the hash that both clients\' records share');
  // The question itself is about the patient, and is among them: the command recorded it, as no gateway runs.
  const byID = (await world.gateway.records('--config', world.gateway.config, '--patient', 'rawid-Patient-0001')).filter((r) => r.kind !== 'admin' || r.code !== 'audit-query');
  assert.equal(byID.length, 30, 'by the EHR\'s own id, with the configuration\'s key');
  const table = await halfdoor('audit', 'query', '--unrecorded', '--log', world.gateway.log, '--ticket', 'INC-billing-1', '--format', 'table');
  assert.equal(table.out.trimEnd().split('\n').length, 16);
});

describe('a copy of the log', () => {
  // Each changes a copy's lines; fails is what "audit verify" must say.
  const lines = (change) => async (dir) => {
    const file = join(dir, segment);
    const text = await readFile(file, 'utf8');
    const all = text.replace(/\0+$/, '').trimEnd().split('\n');
    await writeFile(file, `${change(all).join('\n')}\n`);
  };
  const tampered = [
    {
      name: 'with one byte changed', fails: /000001\.jsonl line (9|10) /,
      tamper: lines((all) => all.map((line, i) => (i === 8 ? line.replace('"status":200', '"status":201') : line))),
    },
    { name: 'with one byte changed in the last line', fails: /000001\.jsonl/, tamper: lines((all) => [...all.slice(0, -1), all.at(-1).replace('"time":"2', '"time":"1')]) },
    { name: 'with the first line removed', fails: /000001\.jsonl line 1 /, tamper: lines((all) => all.slice(1)) },
    { name: 'with a line removed', fails: /000001\.jsonl line 9 /, tamper: lines((all) => all.toSpliced(8, 1)) },
    { name: 'with a line twice', fails: /000001\.jsonl line 10 /, tamper: lines((all) => all.toSpliced(8, 0, all[8])) },
    { name: 'with two lines exchanged', fails: /000001\.jsonl line 9 /, tamper: lines((all) => all.toSpliced(8, 2, all[9], all[8])) },
    { name: 'cut back by one line', fails: /000001\.jsonl/, tamper: lines((all) => all.slice(0, -1)) },
    { name: 'cut back by half', fails: /000001\.jsonl/, tamper: lines((all) => all.slice(0, all.length >> 1)) },
    { name: 'emptied', fails: /000001\.jsonl/, tamper: (dir) => writeFile(join(dir, segment), '') },
    { name: 'without its segment', fails: /000001\.jsonl|checkpoint/, tamper: (dir) => rm(join(dir, segment)) },
    { name: 'without its checkpoint', fails: /checkpoint/, tamper: (dir) => rm(join(dir, 'checkpoint')) },
    {
      name: 'with a checkpoint that another key signed', fails: /checkpoint/,
      async tamper(dir) {
        const file = join(dir, 'checkpoint');
        await writeFile(file, (await readFile(file, 'utf8')).replace(/.(?=.{10}\n$)/s, (c) => (c === 'A' ? 'B' : 'A')));
      },
    },
  ];
  for (const [i, { name, tamper, fails }] of tampered.entries()) {
    test(name, async () => {
      const dir = await world.gateway.copyLog(`copy-${i}`);
      assert.equal((await world.gateway.verify(dir)).code, 0, 'the copy is whole');
      await tamper(dir);
      const { code, out, err } = await world.gateway.verify(dir);
      assert.equal(code, 1, out);
      assert.match(err, fails);
      assert.doesNotMatch(out, /verified/);
    });
  }

  test('cut back together with its checkpoint, held against a checkpoint that was kept', async () => {
    assert.ok((await readdir(early)).includes('checkpoint'));
    assert.equal((await world.gateway.verify(early)).code, 0, 'it looks whole');
    const { code, err } = await world.gateway.verify(early, '--checkpoint', kept);
    assert.equal(code, 1);
    assert.match(err, /checkpoint/);
  });

  test('of another log, held against a checkpoint that was kept', async () => {
    const other = await World.start();
    try {
      const { code, err } = await halfdoor('audit', 'verify', '--log', other.gateway.log, '--key', other.gateway.key, '--checkpoint', kept);
      assert.equal(code, 1);
      assert.match(err, /checkpoint/);
    } finally {
      await other.stop();
    }
  });
});
