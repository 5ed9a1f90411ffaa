// Cleans up behind a test, however the test's process ends: started with a folder, it reads the
// number of the process that runs there, or an empty line when that has ended. When its input
// ends, it ends that process and removes the folder.

import { rmSync } from 'node:fs';
import { createInterface } from 'node:readline';

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {}); // its input ends soon
}

let running = '';
for await (const line of createInterface({ input: process.stdin })) {
  running = line;
}
if (running) {
  try {
    process.kill(Number(running), 'SIGKILL');
  } catch {
    // it has ended by itself
  }
}
rmSync(process.argv[2], { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
