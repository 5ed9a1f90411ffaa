// The gateway: the program itself, in a folder of its own that "halfdoor init" made.

import { spawn } from 'node:child_process';
import { cp, mkdtemp, readFile, readdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import tls from 'node:tls';
import { parse, stringify } from 'yaml';

const program = process.env.HALFDOOR_PROGRAM ?? fileURLToPath(new URL('../.cache/halfdoor', import.meta.url));
const patience = 60_000;

// until waits for a condition, and fails when it has not come true in time.
export async function until(what, condition) {
  const deadline = Date.now() + patience;
  for (;;) {
    const found = await condition();
    if (found) {
      return found;
    }
    if (Date.now() > deadline) {
      throw new Error(`waited ${patience / 1000} s in vain for ${what}`);
    }
    await pause(5);
  }
}

// halfdoor runs a command to its end.
export function halfdoor(...args) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    let err = '';
    child.stdout.setEncoding('utf8').on('data', (text) => { out += text; });
    child.stderr.setEncoding('utf8').on('data', (text) => { err += text; });
    child.once('error', (e) => reject(new Error(`${program} cannot be run (./test/run builds it): ${e.message}`)));
    child.once('close', (code) => resolve({ code, out, err }));
  });
}

// freePorts are ports that nobody listens on, all different.
export async function freePorts(n) {
  const servers = await Promise.all(Array.from({ length: n }, () => new Promise((resolve, reject) => {
    const server = createServer().once('error', reject).listen(0, '127.0.0.1', () => resolve(server));
  })));
  const ports = servers.map((s) => s.address().port);
  await Promise.all(servers.map((s) => new Promise((resolve) => { s.close(resolve); })));
  return ports;
}

export class Gateway {
  // make writes a configuration; edit may change it before it is stored. The log is named after the host.
  static async make({ ehr, issuer, edit = () => {}, host = '127.0.0.1' }) {
    const gateway = new Gateway();
    try {
      await gateway.prepare(ehr, issuer, edit, host);
    } catch (e) {
      await gateway.remove();
      throw e;
    }
    return gateway;
  }

  async prepare(ehr, issuer, edit, host) {
    this.dir = await mkdtemp(join(tmpdir(), 'halfdoor-system-'));
    const keeper = fileURLToPath(new URL('keeper.js', import.meta.url));
    this.keeper = spawn(process.execPath, [keeper, this.dir], { stdio: ['pipe', 'ignore', 'inherit'], detached: true });
    const [port, admin] = await freePorts(2);
    this.origin = `https://${host}:${port}`;
    this.base = `${this.origin}/fhir`;
    this.admin = `http://127.0.0.1:${admin}`;
    this.config = join(this.dir, 'halfdoor.yaml');
    this.log = join(this.dir, 'log');
    this.key = join(this.dir, 'keys', 'log-verifier-key');
    const made = await halfdoor('init', '--dir', this.dir, '--ehr', ehr, '--issuer', issuer, '--public-url', this.origin,
      '--listen', `127.0.0.1:${port}`, '--admin-listen', `127.0.0.1:${admin}`);
    if (made.code !== 0) {
      throw new Error(`halfdoor init: ${made.err}`);
    }
    const config = parse(await readFile(this.config, 'utf8'));
    config.log = { level: 'debug' };
    edit(config);
    await writeFile(this.config, stringify(config));
    const ca = await readFile(join(this.dir, 'certs', 'ca.pem'), 'utf8');
    tls.setDefaultCACertificates([...tls.getCACertificates('default'), ca]);
  }

  // start serves, and returns when the gateway says that it is ready.
  async start() {
    this.said ??= '';
    this.child = spawn(program, ['serve', '--config', this.config], { stdio: ['ignore', 'pipe', 'pipe'] });
    const child = this.child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => { this.said += text; });
    }
    this.keeper.stdin.write(`${child.pid}\n`);
    this.ended = new Promise((resolve) => { child.once('close', (code, signal) => resolve(signal ?? code)); });
    await until('the gateway to be ready', async () => {
      if (child.exitCode !== null || child.signalCode !== null) {
        throw new Error(`the gateway ended: ${this.said}`);
      }
      const response = await fetch(`${this.admin}/readyz`).catch(() => undefined);
      await response?.body?.cancel();
      return response?.ok;
    });
  }

  // end sends the gateway's process a signal, and returns how it ended.
  async end(signal) {
    this.child.kill(signal);
    const how = await this.ended;
    this.keeper.stdin.write('\n');
    this.child = undefined;
    return how;
  }

  async remove() {
    if (this.child) {
      await this.end('SIGKILL');
    }
    if (!this.keeper) {
      return;
    }
    const kept = new Promise((resolve) => { this.keeper.once('close', resolve); });
    this.keeper.stdin.end();
    await kept;
  }

  verify(dir = this.log, ...more) {
    return halfdoor('audit', 'verify', '--log', dir, '--key', this.key, ...more);
  }

  // records are those that fit flags such as --correlation.
  async records(...flags) {
    const { code, out, err } = await halfdoor('audit', 'query', '--unrecorded', '--log', this.log, ...flags);
    if (code !== 0) {
      throw new Error(`halfdoor audit query: ${err}`);
    }
    return out.split('\n').filter(Boolean).map((line) => JSON.parse(line));
  }

  // copyLog copies the log's folder as it is now.
  async copyLog(name) {
    const to = join(this.dir, name);
    await cp(this.log, to, { recursive: true });
    return to;
  }

  // written is all that the gateway's log folder holds, as text.
  async written() {
    const texts = await Promise.all((await readdir(this.log)).map((name) => readFile(join(this.log, name), 'utf8')));
    return texts.join('\n');
  }
}
