// Closes threads whose answers arrive meanwhile, in a process that has nothing else to do.
import { WorkerThread } from '../../../src/core/async/worker-thread.ts'

const ROUNDS = 10
let answers = 0

for (let round = 0; round < ROUNDS; round++) {
  const thread = new WorkerThread<number, number>('./echo-thread', import.meta.url)
  await thread.ask(0)
  const answer = thread.ask(1)
  const end = performance.now() + 10
  // The answer is there, but this thread was too busy to take it.
  while (performance.now() < end);
  await thread.close()
  if ((await answer) !== undefined) answers++
}
console.log(JSON.stringify({ closed: ROUNDS, answers }))
