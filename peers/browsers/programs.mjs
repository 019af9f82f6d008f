// The programs under test, each a process that ends with this one.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';

const running = new Set();

/** For what takes milliseconds where nothing else runs. */
const PATIENCE = 10_000;

/** A program whose standard output is read line by line. */
export class Program {
  constructor(file, options) {
    this.name = path.basename(file);
    this.child = spawn(file, options, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.said = '';
    this.child.stderr.on('data', (text) => { this.said += text; });
    this.lines = createInterface({ input: this.child.stdout });
    this.lines.on('line', (line) => { this.said += `${line}\n`; });
    this.ended = once(this.child, 'close');
    running.add(this);
  }

  /** The first line that matches. */
  async line(pattern) {
    const found = new Promise((resolve) => {
      this.lines.on('line', (line) => { if (pattern.test(line)) resolve(line); });
    });
    const gone = this.ended.then(() => { throw new Error(`${this.name} ended: ${this.said}`); });
    return Promise.race([found, gone]);
  }

  /** The most that it has had in memory, in kB. */
  memory() {
    return Number(fs.readFileSync(`/proc/${this.child.pid}/status`, 'utf8').match(/VmHWM:\s*(\d+)/)[1]);
  }

  /** By a signal, and if that does not do it within ten seconds, by force. */
  async end(signal = 'SIGINT') {
    this.child.kill(signal);
    const force = setTimeout(() => this.child.kill('SIGKILL'), 10_000);
    await this.ended;
    clearTimeout(force);
    running.delete(this);
  }
}

/** Ends what still runs: on failure too, nothing is left behind. */
export async function endAll() {
  await Promise.all([...running].reverse().map((program) => program.end()));
}

/** A server, and the address of its page. `inside` is the command that brings it into a namespace. */
export async function server(folder, name, options, inside = []) {
  const command = [...inside, path.join(folder, name), ...options];
  const program = new Program(command[0], command.slice(1));
  const url = await program.line(/^http:/);
  return { url, said: () => program.said, memory: () => program.memory(), end: () => program.end() };
}

/** Two namespaces with a bad network between them. */
export async function network(folder, options) {
  const names = ['left', 'right'].map((side) => `browsers-${process.pid}-${side}`);
  const program = new Program(path.join(folder, 'netsim-tun'), [...options, '--left', names[0], '--right', names[1]]);
  await program.line(/are up/);
  return { names, end: async () => { await program.end(); return program.said; } };
}

/** Looks again and again until it is as it should be. */
export async function until(what, isSo) {
  for (const last = Date.now() + PATIENCE; !(await isSo());) {
    if (Date.now() > last) throw new Error(`${what}: not within ${PATIENCE} ms`);
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
}
