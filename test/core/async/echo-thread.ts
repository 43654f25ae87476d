import { parentPort } from 'node:worker_threads'

/** Answers each number after so many milliseconds of work. */
parentPort!.on('message', (ms: number) => {
  const end = performance.now() + ms
  while (performance.now() < end);
  parentPort!.postMessage(ms)
})
