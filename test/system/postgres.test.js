// The access log in a PostgreSQL database: there what is in the log's folder, over kills of both ends, and an alarm where it differs.

import assert from 'node:assert/strict';
import { chmod, mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Gateway, halfdoor, until } from './gateway.js';
import { Postgres } from './postgres.js';
import { World } from './world.js';

const password = 'canary-of-the-database-password';
let database;
let world;
let second; // a replica with a log of its own, for a while
let ca;
let stored; // the database's URL with its password, in a file
before(async () => {
  database = await Postgres.make(password);
  world = await World.start(
    (config) => { config.sinks = [{ name: 'reviewers', kind: 'postgres', url: database.url, password: 'file:keys/database', ca: 'certs/ca.pem' }]; },
    async ({ gateway }) => {
      await database.certify(join(gateway.dir, 'certs', 'server.pem'), join(gateway.dir, 'certs', 'server-key.pem'));
      await database.run();
      ca = join(gateway.dir, 'certs', 'ca.pem');
      stored = join(gateway.dir, 'keys', 'database-url');
      await writeFile(join(gateway.dir, 'keys', 'database'), password, { mode: 0o600 });
      await writeFile(stored, `${database.url.replace('halfdoor@', `halfdoor:${password}@`)}?sslrootcert=${ca}\n`);
      await chmod(stored, 0o600);
    },
  );
});
after(async () => {
  await second?.remove();
  await world?.stop();
  await database?.stop();
});

const ask = async (n) => {
  for (let i = 0; i < n; i++) {
    assert.equal((await world.call('/Patient?_count=3', { as: i % 2 ? 'scheduling-a' : 'billing-a' })).status, 200);
  }
};
const sink = async (gateway = world.gateway) => {
  const metrics = await (await fetch(`${gateway.admin}/metrics`)).text();
  const value = (name) => Number(metrics.match(new RegExp(`^halfdoor_sink_${name}\\{sink="reviewers"\\} (\\S+)$`, 'm'))[1]);
  return { behind: value('behind_records'), failing: value('failing'), differs: value('history_differs'), failures: value('failures_total') };
};
const delivered = (gateway) => until('the database to have all', async () => {
  const s = await sink(gateway);
  return s.behind === 0 && s.failing === 0;
});

// alike is an answer without when it was made, and what it says of the database.
const alike = (text) => text.replace(/ Made \S+\. /, ' ').replace(/^<p>Note: .*\n/gm, '');

// both asks the log's folder and the database the same. Anomalies end with status 1.
const both = async (...question) => {
  const [command, ...rest] = question;
  const code = command === 'anomalies' ? 1 : 0;
  const folder = await halfdoor('audit', command, '--unrecorded', '--log', world.gateway.log, ...rest);
  const base = await halfdoor('audit', command, '--unrecorded', '--postgres-url-file', stored, ...rest);
  assert.equal(folder.code, code, folder.err);
  assert.equal(base.code, code, base.err);
  assert.match(base.err, /a projection of the logs, not the record/);
  assert.equal(alike(base.out), alike(folder.out), question.join(' '));
  return base.out;
};

test('has what the log has, also after the gateway was killed and the database was down', async () => {
  await ask(8);
  await delivered();
  await world.gateway.end('SIGKILL');
  await world.gateway.start();
  await ask(4);
  await delivered();
  await database.end();
  await ask(6); // the calls do not wait for it
  await until('the sink to fail', async () => (await sink()).failing === 1);
  await database.run();
  await delivered();
  const { status } = await world.call('/Patient/tAnobodyAnobodyAnobodyAnobodyAnobodyAnobo', { as: 'billing-a' });
  assert.equal(status, 404);
  await delivered();
  // From here on nothing is appended: a question would be a record of its own.
  assert.equal(await world.gateway.end('SIGKILL'), 'SIGKILL');
  const all = (await both('query')).trimEnd().split('\n').map((line) => JSON.parse(line));
  const access = all.filter((r) => r.kind === 'access');
  assert.equal(access.length, 18);
  assert.ok(all.some((r) => r.kind === 'refusal'));
  assert.deepEqual(all.map((r) => r.seq), all.map((_, i) => i));
  const { patients, subjects, correlation, request_id: id, time } = access.find((r) => r.ticket?.id === 'INC-billing-1');
  const questions = [
    ['query', '--ticket', 'INC-billing-1'], ['query', '--actor', 'scheduling-a'], ['query', '--patient', patients[0]], ['query', '--patient', subjects[0]],
    ['query', '--correlation', correlation], ['query', '--correlation', id], ['query', '--since', time], ['query', '--until', time, '--format', 'table'],
    ['query', '--ticket', 'INC-billing-1', '--patient', patients[0], '--since', time], ['query', '--patient', 'tAnobodyAnobodyAnobodyAnobodyAnobodyAnobo'],
    // A hash may begin with a dash, so it stands behind two.
    ['who-saw', '--', patients[0]], ['who-saw', '--json', '--', patients[0]], ['who-saw', subjects[0], '--client', 'billing-a', '--refused'],
    ['ticket', 'INC-billing-1'], ['ticket', 'INC-billing-1', '--json'], ['trace', correlation],
    ['disclosures', '--', patients[0]], ['disclosures', subjects[0], '--format', 'csv', '--years', '1'], ['disclosures', '--format', 'html', '--', patients[0]],
    ['export', '--format', 'fhir'], ['export', '--bundle', '--kind', 'query'], ['export', '--patient', patients[0]],
    ['anomalies', '--patients', '2', '--unknown', '1'], ['anomalies', '--patients', '2', '--json'],
  ];
  for (const question of questions) {
    assert.notEqual(await both(...question), '', question.join(' '));
  }
  assert.equal(await both('query', '--ticket', 'INC-nobody'), '');
  assert.match(await both('disclosures', '--format', 'html', '--', patients[0]), /<p>Note: 127\.0\.0\.1\/audit: records 0 to \d+, the newest of /);
  assert.ok(!world.gateway.said.includes(password), 'the password is in the gateway\'s log');
});

test('is asked by nobody without the password, and asked for nothing where it does not prove itself', async () => {
  const refusals = [
    [`${database.url}?sslrootcert=${ca}`, 1, /SQLSTATE 28/], // no password
    [database.url, 1, /certificate/], // of an authority that the system does not know
    [`${database.url}?sslmode=disable`, 1, /SQLSTATE 28000/], // refused by the server
    [`${database.url}?sslmode=prefer`, 2, /want sslmode=verify-full/],
  ];
  for (const [url, code, says] of refusals) {
    const refused = await halfdoor('audit', 'query', '--unrecorded', '--postgres', url);
    assert.equal(refused.code, code, refused.err);
    assert.equal(refused.out, '');
    assert.match(refused.err, says);
  }
  const shown = await halfdoor('audit', 'query', '--unrecorded', '--postgres', database.url.replace('halfdoor@', `halfdoor:${password}@`));
  assert.equal(shown.code, 2);
  assert.match(shown.err, /holds a password/);
  assert.ok(!shown.err.includes(password));
});

test('raises an alarm where a row differs, and leaves it as it is; what it lacks is said', async () => {
  await database.end();
  await database.sql("UPDATE halfdoor_record SET line = convert_to(replace(convert_from(line, 'UTF8'), '\"status\":200', '\"status\":201'), 'UTF8') WHERE seq = (SELECT min(seq) FROM halfdoor_record WHERE kind = 'access')");
  await database.run();
  await rm(`${world.gateway.log}.sinks`, { recursive: true }); // all comes again, and is compared
  await world.gateway.start();
  await until('the alarm', async () => (await sink()).differs === 1);
  assert.ok((await sink()).behind > 0);
  assert.match(world.gateway.said, /the history differs: the database has another line for record \d+ of /);
  assert.equal((await world.call('/Patient?_count=3', { as: 'billing-a' })).status, 200);
  await world.gateway.end('SIGKILL');
  const changed = await halfdoor('audit', 'query', '--unrecorded', '--postgres-url-file', stored);
  assert.equal(changed.out.split('\n').filter((line) => line.includes('"status":201')).length, 1, changed.err);
  await database.end();
  await database.sql("DELETE FROM halfdoor_record WHERE line LIKE '%\"status\":201%'");
  await database.run();
  const lacking = await halfdoor('audit', 'query', '--unrecorded', '--postgres-url-file', stored);
  assert.equal(lacking.code, 1);
  assert.match(lacking.err, /the database lacks 1 records/);
  const page = await halfdoor('audit', 'disclosures', 'A'.repeat(22), '--format', 'html', '--unrecorded', '--postgres-url-file', stored);
  assert.equal(page.code, 1);
  assert.match(page.out, /this list is incomplete/);
  const bundle = await halfdoor('audit', 'export', '--bundle', '--unrecorded', '--postgres-url-file', stored);
  assert.equal(bundle.code, 1);
  assert.throws(() => JSON.parse(bundle.out), 'a Bundle that lacks events is closed');
  await world.gateway.start(); // it comes again, from the log
  await delivered();
  assert.equal((await sink()).differs, 0);
  await world.gateway.end('SIGKILL');
  await both('query');
});

test('has the logs of several replicas, which make its tables at once, and tells of both by their times', async () => {
  const { gateway } = world;
  second = await Gateway.make({
    ehr: world.ehr.base, issuer: world.issuer.url, host: 'localhost',
    edit: (config) => { config.sinks = [{ name: 'reviewers', kind: 'postgres', url: database.url, password: `file:${join(gateway.dir, 'keys', 'database')}`, ca }]; },
  });
  await database.end();
  await database.sql('DROP TABLE halfdoor_record, halfdoor_schema');
  await database.run();
  await rm(`${gateway.log}.sinks`, { recursive: true });
  await Promise.all([gateway.start(), second.start()]);
  for (let i = 0; i < 4; i++) {
    await ask(1);
    const refused = await fetch(`${second.base}/Patient`);
    await refused.body.cancel();
    assert.equal(refused.status, 401);
  }
  await Promise.all([delivered(gateway), delivered(second)]);
  assert.deepEqual([await sink(gateway), await sink(second)].map((s) => s.failures), [0, 0]);
  await Promise.all([gateway.end('SIGKILL'), second.end('SIGKILL')]);
  const logs = join(gateway.dir, 'logs');
  await mkdir(logs);
  await symlink(gateway.log, join(logs, '1'));
  await symlink(second.log, join(logs, '2'));
  const folder = await halfdoor('audit', 'query', '--unrecorded', '--log', logs);
  const base = await halfdoor('audit', 'query', '--unrecorded', '--postgres-url-file', stored);
  assert.equal(folder.code, 0, folder.err);
  assert.equal(base.code, 0, base.err);
  assert.equal(base.out, folder.out);
  assert.equal(base.out.split('\n').filter((line) => line.includes('"status":401')).length, 4);
  assert.match(base.err, /127\.0\.0\.1\/audit: records 0 to /);
  assert.match(base.err, /localhost\/audit: records 0 to /);
  const events = await Promise.all([['--log', logs], ['--postgres-url-file', stored]].map((where) => halfdoor('audit', 'export', '--unrecorded', ...where)));
  assert.deepEqual(events.map((e) => e.code), [0, 0], events[1].err);
  assert.equal(events[1].out, events[0].out);
  assert.ok(['127.0.0.1', 'localhost'].every((host) => events[1].out.includes(`${host}/audit`)));
});
