import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { type Usage, usageOf } from './usage.ts'

/** What a Node that only waits uses: the least that a program on it can. */
export async function nodeThatWaits<T>(read: (usage: Usage) => T): Promise<T> {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => undefined, 1000)'])
  await once(child, 'spawn')
  await delay(2000)
  const result = read(usageOf(child.pid as number))
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
  return result
}
